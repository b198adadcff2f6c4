"""`dashzoo publish DIR DEST`."""

from __future__ import annotations

from pathlib import Path

import click

from dashzoo.cli.options import export_json, folder_argument


@click.command("publish")
@folder_argument
@click.argument("dest", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace a bundle that is there.")
@export_json
def command(folder: Path, dest: Path, force: bool, as_json: bool) -> None:
    """Copy the bundle in DIR to the folder DEST, after checking it."""
    from dashzoo.cli.console import print_json
    from dashzoo.publishing import publish

    files = publish(folder, dest, force=force)
    if as_json:
        print_json({"dest": str(dest), "files": files})
        return
    click.echo(f"Published {len(files)} files to {dest}.")
