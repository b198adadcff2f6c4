"""`dashzoo show NAME`."""

from __future__ import annotations

import click

from dashzoo.cli.options import export_json


@click.command("show")
@click.argument("name", metavar="NAME|DIR")
@click.option("--card", "whole_card", is_flag=True, help="Print its card instead.")
@export_json
def command(name: str, whole_card: bool, as_json: bool) -> None:
    """Print the kernels and scores of a model, and whether its bundle is whole.

    NAME is of the shelf, a folder, or org/name@revision on the Hub.
    """
    from dashzoo.catalogue import find
    from dashzoo.cli.console import on_one_line, print_json, print_results
    from dashzoo.steps.before import require
    from dashzoo_cards.facts import load_facts
    from dashzoo_export.bundle import README, RESULTS, check_bundle, read_json
    from dashzoo_search.errors import BadBundle

    found = find(name)
    folder = found.folder
    if whole_card:
        check_bundle(folder)
        for row in (folder / README).read_text(encoding="utf-8", errors="replace").splitlines():
            click.echo(on_one_line(row))
        return
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
