"""`dashzoo calibrate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dashzoo.cli.options import export_json


@click.command("calibrate")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the table here; name it in DASHZOO_COSTS to use it.",
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, …")
@click.option("--threads", type=click.IntRange(1), help="CPU threads; all cores if left out.")
@click.option("--quick", is_flag=True, help="A few shapes only: seconds, and less exact.")
@export_json
def command(out: Path | None, device: str, threads: int | None, quick: bool, as_json: bool) -> None:
    """Measure what convolutions cost on this machine, about two minutes.

    The table holds the constants by which a supernet's layers pick their fastest form, and the
    latency of single convolutions.
    """
    from dashzoo.cli.console import print_json
    from dashzoo_search.ops.calibration import calibrate, table, usual_latencies
    from dashzoo_search.training.runtime import limit_threads, resolve_device

    where = resolve_device(device)
    limit_threads(threads)
    calibration = calibrate(where, quick=quick)
    latencies = usual_latencies(where, quick=quick)
    found = {**table(calibration), "latency": latencies.to_json()}
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if as_json:
        print_json(found)
        return
    fit = found["fit"]
    click.echo(
        f"{fit['cases']} convolutions timed on {where}; the fitted costs are off by "
        f"{fit['median_error']:.0%} (median), {fit['largest_error']:.0%} at most."
    )
    click.echo(f"{len(latencies)} latencies of single convolutions.")
    if out is not None:
        click.echo(f"Written to {out}; use it with: export DASHZOO_COSTS={out}")
