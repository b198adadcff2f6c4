"""`dashzoo show NAME`."""

from __future__ import annotations

import click

from dashzoo.cli.options import export_json


@click.command("show")
@click.argument("name", metavar="NAME|DIR")
@export_json
def command(name: str, as_json: bool) -> None:
    """Print the kernels and scores of a model, and whether its bundle is whole.

    NAME is of the shelf, a folder, or org/name@revision on the Hub.
    """
    from dashzoo.catalogue import find
    from dashzoo.cli.console import print_json, print_results
    from dashzoo.steps.before import require
    from dashzoo_cards.facts import load_facts
    from dashzoo_export.bundle import RESULTS, check_bundle, read_json
    from dashzoo_search.errors import BadBundle

    found = find(name)
    folder = found.folder
    require(folder, "train")
    load_facts(folder)  # checks every field before any is printed
    results = read_json(folder / RESULTS)
    try:
        check_bundle(folder)
        fault = None
    except BadBundle as error:
        fault = str(error)
    if as_json:
        taken = {"where": found.where, "commit": found.commit}
        print_json({**results, **taken, "whole": fault is None, "fault": fault})
        return
    if found.where != "folder":
        click.echo(f"{found}.")
    print_results(results)
    click.echo("The bundle is whole." if fault is None else f"Not whole: {fault}.")
