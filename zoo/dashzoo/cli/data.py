"""What a user can say of their data, on every command that reads it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from dashzoo.cli.values import Sizes

__all__ = ["data_options", "trust_option"]


class _Names(click.ParamType[tuple[str, ...]]):
    """Comma-separated names."""

    name = "NAME,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """``"a,b"`` → ("a", "b")."""
        return value if isinstance(value, tuple) else tuple(filter(None, str(value).split(",")))


_OPTIONS = {
    "kind": click.option(
        "--kind",
        type=click.Choice(
            ["classification", "multilabel", "regression", "dense_regression", "dense_labels"]
        ),
        help="Of the problem; default: what the labels look like.",
    ),
    "target": click.option(
        "--target",
        type=_Names(),
        help="Column or feature of the labels; default: y, label, target, or the last.",
    ),
    "id": click.option("--id", metavar="NAME", help="Long tables: column that names the sample."),
    "time": click.option("--time", metavar="NAME", help="Tables: column that orders the rows."),
    "channels": click.option(
        "--channels", type=click.IntRange(1), help="Tables with a row a sample: its channels."
    ),
    "lengths": click.option(
        "--lengths",
        type=click.Choice(["pad", "resample"]),
        help="Sequences of unequal length: pad with a mask, or resample.",
    ),
    "size": click.option(
        "--size", type=Sizes(), help="Length to bring sequences to, or height,width of images."
    ),
    "split": click.option(
        "--split",
        type=click.Choice(["random", "time"]),
        help="Data without splits: cut by seed (default), or the last samples are test.",
    ),
    "split_column": click.option(
        "--split-column", metavar="NAME", help="Tables: column that says train, val or test."
    ),
    "groups": click.option(
        "--groups", metavar="NAME", help="Column or feature no split may tear apart: the patient."
    ),
    "loss": click.option(
        "--loss",
        metavar="NAME",
        help="Loss, or module:function of your own; default: that of the kind.",
    ),
    "metric": click.option(
        "--metric",
        metavar="NAME",
        help="Metric, or module:function of your own; default: that of the kind.",
    ),
    "positive_weight": click.option(
        "--positive-weight",
        type=click.FloatRange(0, min_open=True),
        help="Multilabel: what a 1 counts in the loss; default: 1, as a 0.",
    ),
}


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of `DataOptions`, given to ``command`` as ``data_options`` if there are any."""

    @functools.wraps(command)
    def collect(**values: Any) -> Any:
        said = {name: values.pop(name) for name in _OPTIONS}
        said = {name: value for name, value in said.items() if value not in (None, ())}
        if said:
            from dashzoo_search.tasks.options import DataOptions

            values["data_options"] = DataOptions(**said)
        return command(**values)

    for option in reversed(_OPTIONS.values()):
        collect = option(collect)
    return collect


trust_option = click.option(
    "--trust",
    multiple=True,
    metavar="MODULE:FUNCTION",
    help="Loss or metric of your own that the search was told of; what a folder names does not run "
    "without it.",
)
