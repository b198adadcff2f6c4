"""`dashzoo list [PATTERN]`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dashzoo.cli.options import export_json

if TYPE_CHECKING:
    from dashzoo.catalogue import Entry

_HEAD = ("model", "trained on", "test", "default", "published", "parameters", "ms")


@click.command("list")
@click.argument("pattern", default="*")
@click.option("--remote", is_flag=True, help="Also ask the Hub.")
@export_json
def command(pattern: str, remote: bool, as_json: bool) -> None:
    """List models whose names match PATTERN, such as 'ucr-*' or 'zoo/*'.

    Test is the model's score, default that of the same backbone with its default kernels, published
    the best that others tell of; ms is ONNX Runtime's time for one sample, where dashzoo bench
    --save measured it.
    """
    from rich.markup import escape

    from dashzoo.catalogue import catalogue
    from dashzoo.cli.console import on_one_line, print_json, table, wide_console

    entries = catalogue(pattern, remote=remote)
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    if not entries:
        more = "" if remote else "; --remote asks the Hub too"
        click.echo(f"No model matches {pattern!r}{more}.")
        return
    rows = [tuple(escape(on_one_line(text)) for text in _row(entry)) for entry in entries]
    wide_console().print(table(_HEAD, rows))
    for entry in entries:
        if entry.fault:
            click.echo(on_one_line(f"{entry.name} is damaged: {entry.fault}."))


def _row(entry: Entry) -> tuple[str, ...]:
    if entry.fault:
        return (entry.name, "damaged")
    best = f"{_score(entry, entry.best)} {entry.best_by}" if entry.best_by else "–"
    metric = "" if entry.percent or entry.metric is None else f" {entry.metric}"
    return (
        entry.name,
        entry.task or "–",
        _score(entry, entry.value) + metric,
        _score(entry, entry.default),
        best,
        "–" if entry.parameters is None else f"{entry.parameters:,}",
        "–" if entry.latency_ms is None else f"{entry.latency_ms:.3g}",
    )


def _score(entry: Entry, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1%}" if entry.percent else f"{value:.4g}"
