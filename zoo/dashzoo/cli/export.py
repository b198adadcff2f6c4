"""`dashzoo export DIR`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from dashzoo.cli.options import export_json, folder_argument


@click.command("export")
@folder_argument
@export_json
def command(folder: Path, as_json: bool) -> None:
    """Lower the trained network in DIR to ONNX and compare it with torch."""
    from dashzoo.cli.console import print_json
    from dashzoo.steps.export import export

    report = export(folder)
    if as_json:
        print_json(report)
        return
    for check in report["parity"]["checks"]:
        click.echo(
            f"batch {check['batch']}, {check['inputs']:>6} inputs: "
            f"{check['relative_to_max']:.1e} of the largest output"
        )
    click.echo(f"Next: dashzoo card {shlex.quote(str(folder))}")
