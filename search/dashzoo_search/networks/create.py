"""Make a backbone by name: any 2-D CNN timm knows, or one of our 1-D ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
from torch import nn

from dashzoo_search.errors import BadBackbone, UnknownBackbone
from dashzoo_search.networks import chain as chain  # registers chain1d and chain2d
from dashzoo_search.networks import wrn as wrn  # registers wrn1d

__all__ = ["SEQUENCE_BACKBONES", "create_backbone", "default_backbone"]

SEQUENCE_BACKBONES = ("wrn1d", "chain1d")


# What timm's factory takes beside a model's own arguments. A config.json may come off a hub, and
# some of these would fetch or load other files.
_NOT_ARGUMENTS = frozenset(
    {
        "cache_dir",
        "checkpoint_path",
        "exportable",
        "features_only",
        "in_chans",
        "no_jit",
        "num_classes",
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "pretrained_strict",
        "scriptable",
    }
)


def default_backbone(dims: int) -> str:
    """What is used when the user names none: wrn1d for sequences, resnet18 for images."""
    return "wrn1d" if dims == 1 else "resnet18"


def create_backbone(
    name: str,
    *,
    dims: int,
    in_chans: int,
    num_classes: int,
    args: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A randomly initialised backbone that classifies.

    Args:
        name: a name `timm.list_models` lists, or ``wrn1d``.
        dims: 1 for a backbone on (1, l) planes, 2 for images.
        in_chans: channels of the input.
        num_classes: outputs.
        args: further keyword arguments of that timm model, such as ``{"width": 16}``.

    Returns:
        A module [b, c, h, w] → [b, num_classes].

    Raises:
        UnknownBackbone: no such name for these dims.
        BadBackbone: timm refuses the arguments.

    >>> net = create_backbone("wrn1d", dims=1, in_chans=1, num_classes=3, args={"width": 8})
    >>> sum(p.numel() for p in net.parameters())
    8643
    """
    known = SEQUENCE_BACKBONES if dims == 1 else _image_backbones()
    if name not in known:
        if dims == 1:
            raise UnknownBackbone(
                name, known, hint=f"For sequences take one of: {', '.join(known)}."
            )
        if name in SEQUENCE_BACKBONES:
            raise UnknownBackbone(name, known, hint=f"{name} is for sequences [n, c, l] only.")
        raise UnknownBackbone(name, known, hint="timm.list_models() lists the image backbones.")
    if refused := sorted(_NOT_ARGUMENTS & set(args or {})):
        raise BadBackbone(f"{refused[0]} is no argument of backbone {name}; leave it out")
    try:
        net: nn.Module = timm.create_model(
            name, pretrained=False, in_chans=in_chans, num_classes=num_classes, **dict(args or {})
        )
    except Exception as error:  # timm raises whatever the family's constructor raises
        raise BadBackbone(f"Backbone {name} refuses {dict(args or {})}: {error}") from error
    return net


def _image_backbones() -> tuple[str, ...]:
    own = (*SEQUENCE_BACKBONES, "dashzoo_searched")
    return tuple(name for name in timm.list_models() if name not in own)
