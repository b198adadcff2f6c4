"""`dashzoo search DATA --out DIR`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from dashzoo.cli.data import data_options
from dashzoo.cli.options import (
    export_json,
    given,
    live_option,
    machine_options,
    resume_options,
    search_options,
)
from dashzoo.cli.together import together


@click.command("search")
@click.argument("data")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to work in.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs of the search.")
@search_options
@data_options
@machine_options
@resume_options
@live_option
@click.option("--force", is_flag=True, help="Replace what is there.")
@export_json
def command(data: str, out: Path, as_json: bool, tensorboard: Path | None, **options: Any) -> None:
    """Find a kernel size and dilation for every searchable layer of a backbone on DATA.

    With --operator xd its layers become XD-operations instead, and their transforms are learned.
    """
    from dashzoo.cli.console import bars, on_one_line, print_json, started_from
    from dashzoo.steps.search import search
    from dashzoo.workfiles import SearchRecord

    with (
        together(options["device"]) as first,
        bars(silent=as_json or not first, tensorboard=tensorboard if first else None) as on_epoch,
    ):
        spec = search(data, out, on_epoch=on_epoch, **given(**options))
    if not first:
        return
    record = SearchRecord.read(out)
    found = record.tradeoff
    if as_json:
        print_json({**spec.to_json(), "tradeoff": found, "started": record.started})
        return
    for layer, choice in (*spec.layers.items(), *spec.xd.items()):
        click.echo(f"{layer}  {choice}")
    if record.started:
        click.echo(on_one_line(started_from(record.started)))
    if found:
        axis = found["axis"]
        front = ", ".join(
            f"{n}: {member['cost'][axis]:,} (+{member['behind']:.3f})"
            for n, member in enumerate(found["front"])
        )
        click.echo(f"{axis}: {found['searched'][axis]:,}, by default {found['default'][axis]:,}.")
        click.echo(f"To be had with train --pick N, for so much more predicted loss: {front}.")
    click.echo(f"Next: dashzoo train {shlex.quote(str(out))}")
