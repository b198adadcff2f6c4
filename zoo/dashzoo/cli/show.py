"""`dashzoo show DIR`."""

from __future__ import annotations

from pathlib import Path

import click

from dashzoo.cli.options import export_json, folder_argument


@click.command("show")
@folder_argument
@export_json
def command(folder: Path, as_json: bool) -> None:
    """Print the kernels and scores of the bundle in DIR, and whether it is whole."""
    from dashzoo.cli.console import print_json, print_results
    from dashzoo.steps.before import require
    from dashzoo_cards.facts import load_facts
    from dashzoo_export.bundle import RESULTS, check_bundle, read_json
    from dashzoo_search.errors import BadBundle

    require(folder, "train")
    load_facts(folder)  # checks every field before any is printed
    results = read_json(folder / RESULTS)
    try:
        check_bundle(folder)
        fault = None
    except BadBundle as error:
        fault = str(error)
    if as_json:
        print_json({**results, "whole": fault is None, "fault": fault})
        return
    print_results(results)
    click.echo("The bundle is whole." if fault is None else f"Not whole: {fault}.")
