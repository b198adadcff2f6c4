"""`dashzoo list [PATTERN]`."""

from __future__ import annotations

from dataclasses import asdict

import click

from dashzoo.cli.options import export_json


@click.command("list")
@click.argument("pattern", default="*")
@click.option("--remote", is_flag=True, help="Also ask the Hub.")
@export_json
def command(pattern: str, remote: bool, as_json: bool) -> None:
    """List models whose names match PATTERN, such as 'ucr-*' or 'zoo/*'."""
    from rich.console import Console
    from rich.markup import escape

    from dashzoo.catalogue import Entry, catalogue
    from dashzoo.cli.console import on_one_line, print_json, table

    entries = catalogue(pattern, remote=remote)
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    if not entries:
        more = "" if remote else "; --remote asks the Hub too"
        click.echo(f"No model matches {pattern!r}{more}.")
        return

    def row(entry: Entry) -> tuple[str, ...]:
        value = "" if entry.value is None else f"{entry.value:.4g}"
        told = (entry.name, entry.where, entry.task or entry.fault or "", entry.metric or "", value)
        return tuple(escape(on_one_line(text)) for text in told)

    rows = [row(entry) for entry in entries]
    Console().print(table(("model", "where", "trained on", "metric", "test"), rows))
