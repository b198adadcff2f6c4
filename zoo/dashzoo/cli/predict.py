"""`dashzoo predict DIR X.npy`."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from dashzoo.cli.options import export_json, folder_argument


@click.command("predict")
@folder_argument
@click.argument("samples", metavar="X.npy", type=click.Path(path_type=Path))
@click.option(
    "--runtime",
    type=click.Choice(["torch", "onnx"]),
    default="torch",
    show_default=True,
    help="What computes.",
)
@export_json
def command(folder: Path, samples: Path, runtime: str, as_json: bool) -> None:
    """Classify the raw samples of X.npy with the bundle in DIR."""
    from dashzoo.cli.console import on_one_line, print_json
    from dashzoo.prediction import Runtime, predict
    from dashzoo_search.tasks.readers.numpy_files import read_array

    probabilities, labels = predict(folder, read_array(samples), runtime=cast(Runtime, runtime))
    if as_json:
        rows = [
            {
                "label": labels[p.argmax()],
                "probabilities": dict(zip(labels, p.tolist(), strict=True)),
            }
            for p in probabilities
        ]
        print_json(rows)
        return
    for p in probabilities:
        click.echo(f"{on_one_line(labels[p.argmax()])}\t{p.max():.4f}")
