"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dashzoo.cli.network import Command, apply, network_options
from dashzoo_search.xd_choice import DEEPEST

__all__ = [
    "export_json",
    "folder_argument",
    "given",
    "live_option",
    "machine_options",
    "resume_options",
    "search_options",
    "train_options",
]


def export_json(command: Command) -> Command:
    """``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the outcome as JSON, and nothing else."
    )(command)


def folder_argument(command: Command) -> Command:
    """``DIR``."""
    return click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))(command)


def live_option(command: Command) -> Command:
    """``--tensorboard``."""
    return click.option(
        "--tensorboard",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Write live curves for TensorBoard there; needs dashzoo[live].",
    )(command)


def resume_options(command: Command) -> Command:
    """``--fresh``, ``--checkpoint-every``."""
    return apply(
        command,
        [
            click.option(
                "--fresh",
                is_flag=True,
                help="Throw away what an unfinished command left, instead of going on from it.",
            ),
            click.option(
                "--checkpoint-every",
                type=click.FloatRange(0),
                metavar="SECONDS",
                help="Least time between checkpoints; default: 5, or more where they are large.",
            ),
        ],
    )


def machine_options(command: Command) -> Command:
    """``--device``, ``--threads``, ``--precision``."""
    return apply(
        command,
        [
            click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, …"),
            click.option(
                "--threads",
                type=click.IntRange(1),
                help="Cores to use; default: all at hand, or one where batches are small.",
            ),
            click.option(
                "--precision",
                type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
                help="Of forward passes; default: bf16 on a GPU that has it, else fp32.",
            ),
        ],
    )


def search_options(command: Command) -> Command:
    """What `dashzoo.search` takes, beside data and epochs."""
    return apply(
        command,
        [
            network_options,
            click.option(
                "--operator",
                type=click.Choice(["kernels", "xd"]),
                help="Search kernel sizes and dilations (default), or learn the transforms of "
                "XD-operations, which every convolution is one of.",
            ),
            click.option(
                "--xd-depth",
                type=click.IntRange(1, DEEPEST),
                help="XD: butterflies in each matrix (3); 1 learns faster and cannot permute.",
            ),
            click.option(
                "--arch-optimizer",
                type=click.Choice(["adam", "sgd"]),
                help="XD: of the transforms; default: sgd for fields of numbers, else adam.",
            ),
            click.option(
                "--arch-lr",
                type=float,
                help="XD: peak learning rate of the transforms (0.001 of adam, 0.1 of sgd).",
            ),
            click.option(
                "--method",
                type=click.Choice(["paths", "mixture"]),
                help="One sampled kernel a layer and step (default), or DASH's mixture of all.",
            ),
            click.option("--heldout", type=float, help="Share of train that judges kernels."),
            click.option("--explore", type=float, help="Paths: layers that explore in a step."),
            click.option(
                "--scout",
                type=float,
                help="Paths: epochs of the scout, over those of the search (1); 0 for none.",
            ),
            click.option("--sparsity", type=float, help="Paths: what the scout's choices pay."),
            click.option(
                "--start-from",
                metavar="NAME|nearest",
                help="Paths: start from the kernels of a model, or of the shelf's nearest, and "
                "spare the scout.",
            ),
            click.option(
                "--confidence",
                type=float,
                help="Paths: standard errors by which a layer's own kernel must lose.",
            ),
            click.option("--max-params", type=int, help="Paths: most parameters."),
            click.option("--max-macs", type=int, help="Paths: most MACs for one sample."),
            click.option(
                "--max-receptive-field", type=int, help="Paths: largest receptive field, samples."
            ),
            click.option(
                "--max-latency",
                type=float,
                metavar="MS",
                help="Paths: longest time of all convolutions for one sample.",
            ),
            click.option(
                "--latency-table",
                type=click.Path(),
                help="Paths: times of the target, by dashzoo calibrate; default: measure here.",
            ),
            click.option(
                "--price-on",
                type=click.Choice(["params", "macs", "receptive_field", "latency"]),
                help="Paths: what --price is on; default: macs.",
            ),
            click.option(
                "--weights",
                type=click.Choice(["separate", "shared"]),
                help="Mixture: each choice has its own (default), or all of a layer share one "
                "kernel, which takes less memory.",
            ),
            click.option("--alpha-lr", type=float, help="Mixture: learning rate of α."),
            click.option(
                "--alpha-on",
                type=click.Choice(["heldout", "train"]),
                help="Mixture: samples α learns from.",
            ),
            click.option(
                "--price",
                type=float,
                help="Mixture: on taps (0.3). Paths: nats the backbone's cost is worth (0).",
            ),
            click.option(
                "--rule",
                type=click.Choice(["explained", "least_squares", "validation", "energy", "argmax"]),
                help="Mixture: how the spec is derived.",
            ),
            click.option(
                "--slack",
                type=float,
                help="Mixture: how much worse than the best a smaller kernel may be.",
            ),
            click.option(
                "--relaxation",
                type=click.Choice(["softmax", "gumbel", "straight_through", "sparsemax"]),
                help="Mixture: from α to coefficients.",
            ),
            click.option("--temperature", type=float, help="Mixture: of the relaxation, at first."),
            click.option("--temperature-end", type=float, help="Mixture: the same in the end."),
            click.option(
                "--shrink",
                type=float,
                help="Mixture: drop choices below this part of an equal share; 0 for none.",
            ),
            click.option(
                "--dilations-at",
                type=float,
                help="Mixture: share of the epochs after which a layer has one dilation; 0: never.",
            ),
            click.option(
                "--settle",
                type=click.IntRange(0),
                help="Mixture: checks without a change after which kernels stand still.",
            ),
            click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True),
        ],
    )


def train_options(command: Command) -> Command:
    """What `dashzoo.train` takes."""
    return apply(
        command,
        [
            click.option("--epochs", type=click.IntRange(1), help="Epochs of training."),
            click.option(
                "--init",
                type=click.Choice(["searched", "scratch", "both"]),
                help="Start from the search's weights (default of XD-operations) or from scratch "
                "(default of kernels); both costs a second training, as much again for the "
                "default kernels, and validation chooses.",
            ),
            click.option(
                "--baseline/--no-baseline",
                default=True,
                show_default=True,
                help="Also train the default kernels, on the same budget.",
            ),
            click.option(
                "--ship",
                type=click.Choice(["best", "searched"]),
                default="best",
                show_default=True,
                help="Which of the two to ship; best is decided on held-out training data.",
            ),
        ],
    )


def given(**options: Any) -> dict[str, Any]:
    """The options the user gave; those left out keep the library's default."""
    return {name: value for name, value in options.items() if value is not None}
