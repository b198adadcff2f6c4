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
    from dashzoo.cli.console import print_json
    from dashzoo.pulling import take_files

    found, folder, files = take_files(name, target, force=force)
    if as_json:
        told = {"name": found.name, "where": found.where, "commit": found.commit}
        print_json({**told, "folder": str(folder), "files": files})
        return
    click.echo(f"{found}: {len(files)} files in {folder}")
