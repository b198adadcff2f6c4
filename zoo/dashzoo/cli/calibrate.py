"""`dashzoo calibrate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dashzoo.cli.options import export_json

if TYPE_CHECKING:
    from dashzoo_export.providers import Provider


@click.command("calibrate")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the table here; name it in DASHZOO_COSTS to use it.",
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, …")
@click.option(
    "--provider",
    type=click.Choice(["cpu", "cuda", "tensorrt"]),
    help="Measure exported convolutions on this provider of ONNX Runtime instead, which tells "
    "export what is worth a Fourier transform, and add them to the table.",
)
@click.option("--threads", type=click.IntRange(1), help="CPU threads; all cores if left out.")
@click.option("--quick", is_flag=True, help="A few shapes only: seconds, and less exact.")
@export_json
def command(
    out: Path | None,
    device: str,
    provider: Provider | None,
    threads: int | None,
    quick: bool,
    as_json: bool,
) -> None:
    """Measure what convolutions cost on this machine, about two minutes.

    The table holds the constants by which a supernet's layers pick their fastest form, and the
    latency of single convolutions; with --provider those by which export picks the form of each
    layer.
    """
    from dashzoo.cli.console import print_json

    if provider is None:
        found, told = _operator(device, threads, quick)
    else:
        found, told = _exported(provider, threads, quick, out)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if as_json:
        print_json(found)
        return
    for line in told:
        click.echo(line)
    if out is not None:
        click.echo(f"Written to {out}; use it with: export DASHZOO_COSTS={out}")


def _operator(device: str, threads: int | None, quick: bool) -> tuple[dict[str, Any], list[str]]:
    """The table of costs in torch, and what to say of it."""
    from dashzoo_search.ops.calibration import calibrate, table, usual_latencies
    from dashzoo_search.training.runtime import limit_threads, resolve_device

    where = resolve_device(device)
    limit_threads(threads)
    calibration = calibrate(where, quick=quick)
    latencies = usual_latencies(where, quick=quick)
    found = {**table(calibration), "latency": latencies.to_json()}
    fit = found["fit"]
    return found, [
        f"{fit['cases']} convolutions timed on {where}; the fitted costs are off by "
        f"{fit['median_error']:.0%} (median), {fit['largest_error']:.0%} at most.",
        f"{len(latencies)} latencies of single convolutions.",
    ]


def _exported(
    provider: Provider, threads: int | None, quick: bool, out: Path | None
) -> tuple[dict[str, Any], list[str]]:
    """The table with the costs of exported layers, and what to say of them."""
    from dashzoo_export.lower.calibration import calibrate
    from dashzoo_export.lower.table import add_to_table, read_table

    known = read_table(out) if out is not None and out.exists() else None  # before minutes of work
    entry = calibrate(provider, threads=threads, quick=quick).to_json()
    fit = entry["fit"]
    return add_to_table(known, provider, entry), [
        f"{fit['cases']} exported layers timed on {provider}; the fitted costs are off by "
        f"{fit['median_error']:.0%} (median), {fit['largest_error']:.0%} at most."
    ]
