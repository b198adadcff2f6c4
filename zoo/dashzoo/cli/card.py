"""`dashzoo card DIR`."""

from __future__ import annotations

from pathlib import Path

import click

from dashzoo.cli.options import export_json, folder_argument


@click.command("card")
@folder_argument
@export_json
def command(folder: Path, as_json: bool) -> None:
    """Draw the figures, write the card, and seal the bundle in DIR with SHA256SUMS."""
    from dashzoo.cli.console import print_json
    from dashzoo.steps.card import card
    from dashzoo_export.bundle import check_bundle

    path = card(folder)
    files = check_bundle(folder)
    if as_json:
        print_json({"bundle": str(folder), "files": files})
        return
    click.echo(f"The bundle is whole: {len(files)} files; its card is {path}.")
