"""`dashzoo tasks`."""

from __future__ import annotations

import click

from dashzoo.cli.options import export_json


@click.command("tasks")
@export_json
def command(as_json: bool) -> None:
    """List the tasks that have a name, and say which were not run here for want of data."""
    from dashzoo.cli.console import print_json
    from dashzoo_search.tasks.registry import registered

    found = [
        {"name": name, "about": entry.about, "status": entry.status}
        for name, entry in registered().items()
    ]
    if as_json:
        print_json(found)
        return
    width = max(len(task["name"]) for task in found)
    for task in found:
        status = f" ({task['status']})" if task["status"] else ""
        click.echo(f"{task['name']:<{width}}  {task['about']}{status}")
