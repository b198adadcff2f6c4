"""`dashzoo run DATA --out DIR`."""

from __future__ import annotations

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
    train_options,
)
from dashzoo.cli.together import together


@click.command("run")
@click.argument("data")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the bundle.")
@click.option("--search-epochs", type=click.IntRange(1), help="Epochs of the search.")
@click.option(
    "--tune",
    type=click.IntRange(1),
    metavar="TRIALS",
    help="Tune learning rate, weight decay, momentum and dropout first; default: no.",
)
@train_options
@search_options
@data_options
@machine_options
@resume_options
@live_option
@click.option("--force", is_flag=True, help="Replace a bundle that is there.")
@export_json
def command(data: str, out: Path, as_json: bool, tensorboard: Path | None, **options: Any) -> None:
    """Search, train, export and describe: DATA in, a complete bundle out.

    DATA is a named task (ucr/GunPoint, …, digits) or an .npz file with X_train, y_train, X_test,
    y_test (or X, y): sequences [n, c, l] or images [n, c, h, w]; or a folder of such .npy files, a
    table (.csv, .parquet), images in a folder a class, a saved Hugging Face dataset, or zarr.
    """
    from dashzoo.cli.console import bars, print_json, print_results
    from dashzoo.steps.run import run
    from dashzoo_export.bundle import EXPORT, RESULTS, read_json

    with (
        together(options["device"]) as first,
        bars(silent=as_json or not first, tensorboard=tensorboard if first else None) as on_epoch,
    ):
        run(data, out, on_epoch=on_epoch, **given(**options))
    if not first:
        return
    results, report = read_json(out / RESULTS), read_json(out / EXPORT)
    if as_json:
        print_json({"bundle": str(out), "results": results, "export": report})
        return
    print_results(results)
    rows = [row for row in report["certificate"]["network"] if row["form"] == "fp32"]
    worst = max(row["relative_to_max"] for row in rows)
    click.echo(f"ONNX differs from torch by at most {worst:.1e} of the largest output.")
    click.echo(f"The bundle is in {out}; its card is {out / 'README.md'}.")
