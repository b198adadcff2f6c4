"""`dashzoo gallery [SHELF] --out DIR`."""

from __future__ import annotations

from pathlib import Path

import click

from dashzoo.cli.options import export_json


@click.command("gallery")
@click.argument("shelf", required=False, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the site.")
@click.option("--title", default="Model gallery", show_default=True, help="Of the index.")
@click.option("--force", is_flag=True, help="Replace a gallery that is there.")
@export_json
def command(shelf: Path | None, out: Path, title: str, force: bool, as_json: bool) -> None:
    """Make a static site of a folder of bundles: an index with a filter, a page a model.

    SHELF is that folder; left out, the shelf itself. Any host that serves files can serve it, and
    OUT/index.html opens from the disk too.
    """
    from dashzoo.cli.console import on_one_line, print_json
    from dashzoo.gallery import gallery

    site = gallery(out, shelf=shelf, title=title, force=force)
    if as_json:
        told = {"models": list(site.models), "faults": dict(site.faults), "files": list(site.files)}
        print_json({"gallery": str(site.folder), **told})
        return
    for name, fault in site.faults.items():
        click.echo(on_one_line(f"{name} is left out: {fault}."))
    click.echo(f"A gallery of {len(site.models)} models is in {site.folder / 'index.html'}.")
