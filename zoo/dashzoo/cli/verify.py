"""`dashzoo verify NAME`."""

from __future__ import annotations

from pathlib import Path

import click

from dashzoo.cli.options import export_json
from dashzoo.cli.taking import name_argument, take


@click.command("verify")
@name_argument
@click.option(
    "--public-key",
    metavar="PEM",
    type=click.Path(path_type=Path),
    help="Whose the signature must be; without it none is checked.",
)
@export_json
def command(name: str, public_key: Path | None, as_json: bool) -> None:
    """Check a bundle, and prove anew that its ONNX files compute what its weights do.

    NAME is of the shelf, a folder, or org/name@revision on the Hub.
    """
    from dashzoo.cli.console import print_json
    from dashzoo.cli.export import summary
    from dashzoo.steps.verify import verify

    told = verify(take(name).folder, public_key=public_key)
    if as_json:
        print_json(told)
        return
    for line in summary(told["certificate"]):
        click.echo(line)
    samples = "random and validation" if told["real_samples"] else "random"
    click.echo(f"{len(told['files'])} files are as they were made and agree, on {samples} samples.")
    if told["signature_checked"]:
        click.echo(f"All of them are signed by the key of {public_key}.")
    elif told["signed"]:
        click.echo("They are signed; give --public-key to check by whom.")
