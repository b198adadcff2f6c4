"""`dashzoo report NAME`."""

from __future__ import annotations

from pathlib import Path

import click

from dashzoo.cli.options import export_json
from dashzoo.cli.taking import name_argument, take


@click.command("report")
@name_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Where to write it, outside the bundle; default: DIR.html beside it.",
)
@export_json
def command(name: str, out: Path | None, as_json: bool) -> None:
    """Tell a run in one HTML file: kernels, curves, errors, rivals, certificate.

    NAME is of the shelf, a folder, or org/name@revision on the Hub.
    """
    from dashzoo.cli.console import print_json
    from dashzoo.steps.report import report

    take(name)
    path = report(name, out)
    if as_json:
        print_json({"report": str(path), "bytes": path.stat().st_size})
        return
    click.echo(f"The report is {path}; open it in a browser.")
