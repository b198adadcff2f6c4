"""`dashzoo train DIR`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from dashzoo.cli.data import trust_option
from dashzoo.cli.options import (
    export_json,
    folder_argument,
    given,
    live_option,
    machine_options,
    resume_options,
    train_options,
)
from dashzoo.cli.together import together


@click.command("train")
@folder_argument
@train_options
@click.option(
    "--pick",
    type=click.IntRange(0),
    metavar="N",
    help="Train spec N of the front in search.json, instead of the one found.",
)
@trust_option
@machine_options
@resume_options
@live_option
@click.option("--force", is_flag=True, help="Replace a trained network that is there.")
@export_json
def command(folder: Path, as_json: bool, tensorboard: Path | None, **options: Any) -> None:
    """Train the network that the search in DIR found, and score it on test, once."""
    from dashzoo.cli.console import bars, print_json, print_results
    from dashzoo.steps.train import train

    with (
        together(options["device"]) as first,
        bars(silent=as_json or not first, tensorboard=tensorboard if first else None) as on_epoch,
    ):
        results = train(folder, on_epoch=on_epoch, **given(**options))
    if not first:
        return
    if as_json:
        print_json(results)
        return
    print_results(results)
    click.echo(f"Next: dashzoo export {shlex.quote(str(folder))}")
