"""`dashzoo tune DIR`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from dashzoo.cli.data import trust_option
from dashzoo.cli.options import export_json, folder_argument, given


@click.command("tune")
@folder_argument
@click.option(
    "--trials",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="For each network; the first is the recipe as it stands.",
)
@click.option("--epochs", type=click.IntRange(1), help="Of a trial; default: those of training.")
@click.option(
    "--baseline/--no-baseline",
    default=True,
    show_default=True,
    help="Also tune the default kernels, with as many trials.",
)
@click.option(
    "--storage",
    metavar="URL",
    help="Database that several workers share; default: an SQLite file in DIR.",
)
@trust_option
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, …")
@click.option("--threads", type=click.IntRange(1), help="Cores to use.")
@export_json
def command(folder: Path, as_json: bool, **options: Any) -> None:
    """Tune learning rate, weight decay, momentum and dropout for training what DIR found."""
    from dashzoo.cli.console import bars, print_json
    from dashzoo.steps.tune import tune

    with bars(silent=as_json) as on_epoch:
        told = tune(folder, on_epoch=on_epoch, **given(**options))
    if as_json:
        print_json(told)
        return
    for name, found in told["candidates"].items():
        setting = ", ".join(
            f"{key} {value:.3g}" for key, value in found["setting"].items() if value is not None
        )
        click.echo(
            f"{name}: {setting}; trial {found['best_trial']} of {found['trials']} "
            f"({found['stopped']} stopped early), by {told['how']}."
        )
    click.echo(f"Next: dashzoo train {shlex.quote(str(folder))}")
