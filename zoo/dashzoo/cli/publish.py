"""`dashzoo publish DIR DEST`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dashzoo.cli.options import export_json, folder_argument

if TYPE_CHECKING:
    from dashzoo.publishing import Published


@click.command("publish")
@folder_argument
@click.argument("dest", metavar="ORG/NAME|FOLDER")
@click.option("--private", is_flag=True, help="Make the repository a private one.")
@click.option("--pr", is_flag=True, help="Open a pull request.")
@click.option("--tag", metavar="NAME", help="Tag the commit, such as v1.")
@click.option("--message", metavar="TEXT", help="Title of the commit.")
@click.option("--dry-run", is_flag=True, help="Check all, print what would go, write nothing.")
@click.option("--force", is_flag=True, help="Replace a bundle that is there, in a folder.")
@export_json
def command(folder: Path, dest: str, as_json: bool, **options: Any) -> None:
    """Publish the bundle in DIR, after checking it, to the Hub or to a folder.

    ORG/NAME is a repository; ./ORG/NAME, or any other name, is a folder.
    """
    from dashzoo.cli.console import print_json
    from dashzoo.publishing import publish

    done = publish(folder, dest, **options)
    if as_json:
        print_json(asdict(done))
        return
    if done.dry_run:
        for name in done.sent:
            click.echo(f"send    {(folder / name).stat().st_size:>12,}  {name}")
        for name in done.removed:
            click.echo(f"remove  {'':>12}  {name}")
    click.echo(_sentence(done))


def _sentence(done: Published) -> str:
    whole = f"{len(done.files)} files to {done.dest}"
    changes = f"{len(done.sent)} of them new or changed, {done.bytes:,} bytes"
    if done.dry_run:
        new = ", which would be new" if done.created else ""
        return f"Would publish {whole}{new}; {changes}."
    if done.request is not None:
        return f"Proposed {whole} at {done.request}; {changes}."
    if done.commit is None:
        return f"Published {whole}."
    if not done.sent and not done.removed:
        return f"{done.dest} is up to date at {done.commit}."
    return f"Published {whole} at {done.commit}; {changes}."
