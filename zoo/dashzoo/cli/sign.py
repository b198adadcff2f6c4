"""`dashzoo sign DIR --key KEY`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dashzoo.cli.options import export_json, folder_argument


@click.command("sign")
@folder_argument
@click.option(
    "--key",
    required=True,
    metavar="PEM",
    type=click.Path(path_type=Path),
    help="Private key, of the curve P-256, P-384 or P-521.",
)
@export_json
def command(folder: Path, key: Path, as_json: bool) -> None:
    """Sign the sealed bundle in DIR, every file of it, into DIR/model.sig.

    An encrypted key takes its password from DASHZOO_KEY_PASSWORD.
    """
    from dashzoo.cli.console import print_json
    from dashzoo.signing import sign

    path = sign(folder, key, password=os.environ.get("DASHZOO_KEY_PASSWORD"))
    if as_json:
        print_json({"bundle": str(folder), "signature": str(path)})
        return
    click.echo(f"Signed: {path}. Whoever has the public key can check it with dashzoo verify.")
