"""Options of what is searched, and how anything is trained on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from dashzoo.cli.values import Sizes

__all__ = ["Command", "apply", "network_options"]

Command = TypeVar("Command", bound=Callable[..., Any])


def apply(command: Command, options: list[Callable[[Any], Any]]) -> Command:
    """``command`` with ``options``, listed in their order."""
    for option in reversed(options):
        command = option(command)
    return command


def _backbone_args(
    ctx: click.Context, param: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, Any]:
    """``width=16`` → {"width": 16}; values are JSON, or else plain text."""
    args = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise click.BadParameter(f"{pair!r} is not name=value", ctx, param)
        try:
            args[name] = json.loads(value)
        except ValueError:
            args[name] = value
    return args


def _patterns(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...] | None:
    """None where nothing is given, so that it can be left out."""
    return given or None


def network_options(command: Command) -> Command:
    """What is searched, and how anything is trained on it."""
    return apply(
        command,
        [
            click.option(
                "--backbone",
                help="Any timm CNN, or one of ours; default: wrn1d for sequences, resnet18 for "
                "images.",
            ),
            click.option(
                "--backbone-arg",
                "backbone_args",
                multiple=True,
                callback=_backbone_args,
                metavar="NAME=VALUE",
                help="Argument of the backbone, such as width=16; may be repeated.",
            ),
            click.option(
                "--resize",
                type=click.IntRange(1),
                help="Side to interpolate images to, inside the net.",
            ),
            click.option(
                "--coords",
                is_flag=True,
                default=None,
                help="Give the backbone each position's coordinates, as channels.",
            ),
            click.option(
                "--input-norm",
                type=click.Choice(["channel", "position", "sample"]),
                help="Normalise samples by channel (default), position by position, or each sample "
                "by itself.",
            ),
            click.option(
                "--output-norm",
                type=click.Choice(["channel", "position"]),
                help="The same of targets that are numbers; default: by position where they are "
                "dense and train has 200 samples.",
            ),
            click.option(
                "--pretrained",
                is_flag=True,
                default=None,
                help="Start the backbone from timm's weights.",
            ),
            click.option(
                "--layers",
                multiple=True,
                callback=_patterns,
                metavar="PATTERN",
                help="Layers to search, such as 'stages.*.conv_dw'; may be repeated. Default: all "
                "that can be, but for shortcuts.",
            ),
            click.option(
                "--exclude",
                multiple=True,
                callback=_patterns,
                metavar="PATTERN",
                help="Layers to leave alone; may be repeated.",
            ),
            click.option("--kernels", type=Sizes(), help="Kernel sizes to search; odd."),
            click.option("--dilations", type=Sizes(), help="Dilations to search."),
            click.option("--batch-size", type=click.IntRange(1), help="Samples a step."),
            click.option("--lr", type=float, help="Peak learning rate of the weights."),
            click.option("--weight-decay", type=float, help="Weight decay of the weights."),
        ],
    )
