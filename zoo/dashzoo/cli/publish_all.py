"""`dashzoo publish-all ORG`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dashzoo.cli.options import export_json

if TYPE_CHECKING:
    from dashzoo.publishing_all import Attempt


@click.command("publish-all")
@click.argument("org")
@click.option("--private", is_flag=True, help="Make new repositories private ones.")
@click.option("--dry-run", is_flag=True, help="Check all, print what would go, write nothing.")
@click.option(
    "--record",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where commits and hashes are noted; default: published.json on the shelf.",
)
@export_json
def command(org: str, private: bool, dry_run: bool, record: Path | None, as_json: bool) -> None:
    """Publish every model of the shelf to the Hub, as ORG/NAME, with its card.

    What is there already is not sent again, so the same command goes on where one was stopped.
    """
    from dashzoo.cli.console import on_one_line, print_json
    from dashzoo.publishing_all import publish_all

    def tell(attempt: Attempt) -> None:
        if not as_json:
            click.echo(on_one_line(_sentence(attempt)))

    attempts = publish_all(org, private=private, dry_run=dry_run, record=record, on_model=tell)
    if as_json:
        print_json([asdict(attempt) for attempt in attempts])
    failed = sum(attempt.outcome == "failed" for attempt in attempts)
    if failed:
        click.echo(f"{failed} of {len(attempts)} models failed.", err=True)
        click.get_current_context().exit(2)


def _sentence(attempt: Attempt) -> str:
    changes = f"{attempt.sent} files new or changed, {attempt.bytes:,} bytes"
    match attempt.outcome:
        case "failed":
            return f"{attempt.name} failed: {attempt.reason}."
        case "unchanged":
            at = f" at {attempt.commit}" if attempt.commit else ""
            return f"{attempt.name} is in {attempt.repo} already{at}."
        case "planned":
            return f"{attempt.name} would go to {attempt.repo}; {changes}."
        case "published":
            return f"{attempt.name} is in {attempt.repo} at {attempt.commit}; {changes}."
