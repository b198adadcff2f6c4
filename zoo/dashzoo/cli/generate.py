"""`dashzoo generate TASK`."""

from __future__ import annotations

import click

from dashzoo.cli.options import export_json


@click.command("generate")
@click.argument("task")
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes to draw on."
)
@export_json
def command(task: str, jobs: int, as_json: bool) -> None:
    """Draw the data of TASK, such as darcy, on several processes, before a run asks for it.

    It is kept in $DASHZOO_CACHE, or else ~/.cache/dashzoo; a run would draw it on one process.
    """
    from dashzoo.cli.console import print_json
    from dashzoo_search.errors import BadData
    from dashzoo_search.tasks.synthetic import SYNTHETIC, load_synthetic

    if task not in SYNTHETIC:
        raise BadData(f"{task:.80} is not generated; give one of {', '.join(SYNTHETIC)}")
    told = load_synthetic(task, seed=0, jobs=jobs).describe()
    if as_json:
        print_json(told)
        return
    counts = " / ".join(f"{count} {part}" for part, count in told["counts"].items())
    click.echo(f"{task}: {counts}, sha256 {told['sha256'][:12]}")
