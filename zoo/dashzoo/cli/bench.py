"""`dashzoo bench NAME`."""

from __future__ import annotations

from typing import Any

import click

from dashzoo.cli.options import export_json
from dashzoo.cli.taking import name_argument, take
from dashzoo.cli.values import Names, Sizes


@click.command("bench")
@name_argument
@click.option(
    "--provider",
    type=click.Choice(["cpu", "cuda", "tensorrt"]),
    default="cpu",
    show_default=True,
    help="What ONNX Runtime runs on, or not at all.",
)
@click.option("--batch", "batches", type=Sizes(), default="1", show_default=True, help="Samples.")
@click.option(
    "--dtype",
    "dtypes",
    type=Names(),
    default="fp32",
    show_default=True,
    help="ONNX files that were exported, such as fp32,fp16,int8; torch runs in fp32.",
)
@click.option("--threads", type=click.IntRange(1), help="Cores; all at hand if left out.")
@click.option("--length", type=click.IntRange(1), help="Of sequences, or the side of images.")
@click.option("--compile", "compiled", is_flag=True, help="Also torch.compile, a minute more.")
@click.option(
    "--seconds",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="For each form and batch; ten calls are timed in any case.",
)
@click.option("--save", is_flag=True, help="Put the rows into the bundle, and seal it again.")
@export_json
def command(name: str, as_json: bool, **options: Any) -> None:
    """Time a bundle on ONNX Runtime and torch, on random samples and in turns.

    NAME is of the shelf, a folder, or org/name@revision on the Hub. Nothing is written without
    --save.
    """
    from rich.console import Console

    from dashzoo.cli.console import print_json, table
    from dashzoo.steps.bench import bench

    found = bench(name if options["save"] else take(name).folder, **options)
    if as_json:
        print_json(found)
        return
    head = ("", "batch", "median ms", "p95 ms", "CPU ms", "samples/s", "memory MB")
    Console().print(table(head, [_cells(row) for row in found["rows"]]))
    where = found["machine"]
    shape = " × ".join(map(str, found["rows"][0]["shape"][1:]))
    click.echo(
        f"Samples of {shape}, {where['threads']} threads, {where['gpu'] or where['processor']}."
    )
    for name, reason in found["aside"].items():
        click.echo(f"{name} was not measured: {reason}.")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    memory = row["memory_bytes"]
    return (
        f"{row['engine']} {row['dtype']} on {row['provider']}",
        str(row["shape"][0]),
        f"{row['median_ms']:.3g}",
        f"{row['p95_ms']:.3g}",
        f"{row['cpu_ms']:.3g}",
        f"{row['samples_per_s']:.4g}",
        "–" if memory is None else f"{memory / 2**20:.1f}",
    )
