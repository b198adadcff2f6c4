"""`dashzoo card DIR`, and `dashzoo card --check DIR`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from dashzoo.cli.options import export_json, folder_argument


@click.command("card")
@folder_argument
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; tell where card, figures, config and files disagree, and exit with 2.",
)
@export_json
def command(folder: Path, check: bool, as_json: bool) -> None:
    """Draw the figures, write the card, and seal the bundle in DIR with SHA256SUMS."""
    from dashzoo.cli.console import print_json
    from dashzoo.steps.card import card
    from dashzoo_export.bundle import check_bundle

    if check:
        _check(folder, as_json=as_json)
        return
    path = card(folder)
    files = check_bundle(folder)
    if as_json:
        print_json({"bundle": str(folder), "files": files})
        return
    click.echo(f"The bundle is whole: {len(files)} files; its card is {path}.")


def _check(folder: Path, *, as_json: bool) -> None:
    from dashzoo.cli.console import on_one_line, print_json
    from dashzoo.steps.card import differences

    found = differences(folder)
    if as_json:
        print_json({"bundle": str(folder), "differences": found})
    else:
        for difference in found:
            click.echo(on_one_line(difference))
        mend = f"If the files are right, run: dashzoo card {shlex.quote(str(folder))}"
        click.echo(mend if found else "Card, figures, config and files agree.")
    click.get_current_context().exit(2 if found else 0)
