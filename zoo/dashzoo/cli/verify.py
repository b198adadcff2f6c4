"""`dashzoo verify DIR`."""

from __future__ import annotations

from pathlib import Path

import click

from dashzoo.cli.options import export_json, folder_argument


@click.command("verify")
@folder_argument
@export_json
def command(folder: Path, as_json: bool) -> None:
    """Check the bundle in DIR, and prove anew that its ONNX files compute what its weights do."""
    from dashzoo.cli.console import print_json
    from dashzoo.cli.export import summary
    from dashzoo.steps.verify import verify

    told = verify(folder)
    if as_json:
        print_json(told)
        return
    for line in summary(told["certificate"]):
        click.echo(line)
    samples = "random and validation" if told["real_samples"] else "random"
    click.echo(f"{len(told['files'])} files are as they were made and agree, on {samples} samples.")
