"""`dashzoo pull NAME`."""

from __future__ import annotations

from pathlib import Path

import click

from dashzoo.cli.options import export_json


@click.command("pull")
@click.argument("name", metavar="NAME[@REVISION]")
@click.option(
    "--to", "target", metavar="DIR", type=click.Path(path_type=Path), help="Copy it to a folder."
)
@click.option("--force", is_flag=True, help="Replace a bundle that is there.")
@export_json
def command(name: str, target: Path | None, force: bool, as_json: bool) -> None:
    """Fetch one commit of a model, check it, and keep it for use offline."""
    from dashzoo.catalogue import find
    from dashzoo.cli.console import print_json
    from dashzoo.copying import copy_bundle
    from dashzoo_export.bundle import sealed_files

    found = find(name)
    files = sealed_files(found.folder)
    if target is not None:
        copy_bundle(found.folder, target, files, force=force)
    folder = target or found.folder
    if as_json:
        told = {"name": found.name, "where": found.where, "commit": found.commit}
        print_json({**told, "folder": str(folder), "files": files})
        return
    click.echo(f"{found}: {len(files)} files in {folder}")
