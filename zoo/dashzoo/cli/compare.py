"""`dashzoo compare DATA --out DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dashzoo.cli.data import data_options
from dashzoo.cli.network import network_options
from dashzoo.cli.options import export_json, given, machine_options


@click.command("compare")
@click.argument("data", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the panel.")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--contestants",
    metavar="NAME,…",
    help="ours, default, uniform, random, dash, rocket, fno, xd; default: all that fit the task, "
    "but xd.",
)
@click.option("--epochs", type=click.IntRange(1), help="Epochs of training one network.")
@click.option("--search-epochs", type=click.IntRange(1), help="Epochs of our search.")
@click.option(
    "--budget",
    type=click.IntRange(1),
    metavar="EPOCHS",
    help="Epochs in all for each contestant, instead of --epochs.",
)
@click.option(
    "--equal",
    type=click.Choice(["total", "training"]),
    default="total",
    show_default=True,
    help="What is equal: epochs in all, those of a search included, or of training a network.",
)
@click.option(
    "--draws", type=click.IntRange(1), default=3, show_default=True, help="Of random kernels."
)
@network_options
@data_options
@machine_options
@click.option("--plot", is_flag=True, help="Draw speed against the metric: DIR/speed.png.")
@click.option(
    "--profile",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Run nothing: draw speed.png and profile.png over all panels in FOLDER/*.json.",
)
@export_json
def command(
    data: str | None,
    out: Path | None,
    contestants: str | None,
    plot: bool,
    profile: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a searched network and its rivals on equal terms: DATA in, a panel out.

    On the same splits and optimiser: our search, the default kernels, the best uniform kernel,
    random kernels, DASH's recipe, MultiROCKET-Hydra for sequences, and an FNO for fields. Finished
    rows are kept, and not run again; test is read once for each.
    """
    if profile is not None:
        if data is not None:
            raise click.UsageError("--profile reads panels that are there; leave DATA out")
        _draw_all(profile, as_json)
        return
    if data is None or out is None:
        raise click.UsageError("Give DATA and --out DIR, or --profile FOLDER")

    from dashzoo.cli.console import bars, print_json
    from dashzoo.steps.compare import PANEL, compare
    from dashzoo_cards.panels import panel_table, read_panel

    names = [name for name in contestants.split(",") if name] if contestants else None
    with bars(silent=as_json) as on_epoch:
        told = compare(data, out, contestants=names, on_epoch=on_epoch, **given(**options))
    panel = read_panel(out / PANEL)
    figure = None
    if plot:
        from dashzoo_cards.panel_figures import draw_speed

        figure = draw_speed([panel], out / "speed.png")
    if as_json:
        print_json({"panel": str(out / PANEL), **told})
        return
    click.echo(panel_table(panel))
    click.echo(f"\nThe panel is in {out / PANEL}{f'; its figure is {figure}' if figure else ''}.")


def _draw_all(folder: Path, as_json: bool) -> None:
    from dashzoo.cli.console import print_json
    from dashzoo_cards.panel_figures import draw_profile, draw_speed
    from dashzoo_cards.panels import panel_table, read_panels

    panels = read_panels(folder)
    drawn = [
        str(draw_speed(panels, folder / "speed.png")),
        str(draw_profile(panels, folder / "profile.png")),
    ]
    if as_json:
        print_json({"panels": [panel.name for panel in panels], "figures": drawn})
        return
    for panel in panels:
        click.echo(f"{panel_table(panel)}\n")
    click.echo(f"Drawn: {' and '.join(drawn)}.")
