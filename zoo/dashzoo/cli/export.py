"""`dashzoo export NAME`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from dashzoo.cli.options import export_json
from dashzoo.cli.taking import name_argument, take
from dashzoo.cli.values import Names


@click.command("export")
@name_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write to a new folder; default: to that of the network itself.",
)
@click.option(
    "--lowering",
    type=click.Choice(["auto", "conv", "dft_matmul", "dft_op"]),
    default="auto",
    show_default=True,
    help="Form of the convolutions: the cheapest for each layer, or one for all.",
)
@click.option(
    "--provider",
    type=click.Choice(["cpu", "cuda", "tensorrt"]),
    default="cpu",
    show_default=True,
    help="What it is to run on; auto goes by the costs that calibrate measured there.",
)
@click.option(
    "--dtype",
    "precisions",
    type=Names(),
    default="fp32",
    show_default=True,
    help="Files to write: fp32 (always), fp16, bf16, int8.",
)
@click.option(
    "--dynamic",
    multiple=True,
    type=click.Choice(["length", "height", "width"]),
    help="An axis that is to be free beside the batch; may be repeated.",
)
@click.option("--softmax", is_flag=True, help="Tell probabilities.")
@click.option(
    "--any-length",
    is_flag=True,
    help="Pad or cut sequences in the graph, as --lengths pad did to the task's.",
)
@click.option(
    "--measure",
    is_flag=True,
    help="Time every layer on the provider, in its form and as an ordinary convolution.",
)
@export_json
def command(name: str, out: Path | None, as_json: bool, **options: Any) -> None:
    """Lower a trained network to ONNX and prove that it computes the same.

    NAME is a folder; or, with --out, a model of the shelf or org/name@revision on the Hub.
    """
    from dashzoo.cli.console import print_json
    from dashzoo.steps.export import export

    report = export(name if out is None else take(name).folder, out=out, **options)
    if as_json:
        print_json(report)
        return
    for line in summary(report["certificate"]):
        click.echo(line)
    for name, file in report["files"].items():
        if not file["portable"]:
            click.echo(
                f"{name} has operators that not every provider has; see operators in --json."
            )
    click.echo(f"Next: dashzoo card {shlex.quote(str(out or name))}")


def summary(certificate: dict[str, Any]) -> list[str]:
    """A line for each form of the network: how far it is from torch in float64."""
    lines = []
    for form in dict.fromkeys(row["form"] for row in certificate["network"]):
        rows = [row for row in certificate["network"] if row["form"] == form]
        worst = max(row["relative_to_max"] for row in rows)
        told = f"{form:>8}: {worst:.1e} of the largest output, mean "
        told += f"{max(row['relative_mean'] for row in rows):.1e}"
        counted = max(
            (row for row in rows), key=lambda row: (row["inputs"] == "real", row["samples"])
        )
        if counted["of"]:
            told += f"; {counted['agree']} of {counted['of']} alike on {counted['inputs']} inputs"
        lines.append(told)
    return lines
