"""What commands print: bars while they work, a table when they are done."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from dashzoo_search.measure import Measure

if TYPE_CHECKING:  # what only prints a bundle has no need of torch
    from dashzoo_search.training.progress import OnEpoch
    from dashzoo_search.training.progress import Progress as Epoch

__all__ = [
    "bars",
    "on_one_line",
    "print_json",
    "print_results",
    "started_from",
    "table",
    "wide_console",
]

_PIPED = 200  # columns
_PROPOSALS = {
    "uniform": "one kernel for all layers",
    "scouted": "those the scout named",
    "growing": "dilations growing with depth, tried beside what the search found",
    "shrinking": "dilations shrinking with depth, tried beside what the search found",
}
_STARTS = {"searched": "from the search's weights", "scratch": "from scratch"}


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def on_one_line(text: str) -> str:
    """``text`` with line ends, tabs and terminal codes escaped; labels may come off a hub."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def wide_console() -> Console:
    """Standard output, on which a table keeps its width where no terminal limits it."""
    console = Console()
    if not console.is_terminal:
        console.width = _PIPED
    return console


@contextlib.contextmanager
def bars(*, silent: bool = False, tensorboard: Path | None = None) -> Iterator[OnEpoch]:
    """A bar for each stage, with loss and time left; a line a finished stage where no terminal is.

    Args:
        silent: print nothing, for ``--json``.
        tensorboard: folder that live curves go into as well.
    """
    console = Console(stderr=True, quiet=silent)
    progress = Progress(
        TextColumn("{task.description:>15}"),
        BarColumn(),
        TextColumn("{task.completed:>4.0f}/{task.total:.0f}"),
        TextColumn("loss {task.fields[loss]:.4f}  {task.fields[score]}"),
        TimeRemainingColumn(),
        console=console,
        disable=silent or not console.is_terminal,
    )
    stages: dict[str, TaskID] = {}
    also: OnEpoch | None = None

    def tell(epoch: Epoch) -> None:
        if also is not None:
            also(epoch)
        score = f"{epoch.metric.name} {epoch.metric.text(epoch.value)}"
        fields: dict[str, Any] = {"loss": epoch.loss, "score": score}
        if epoch.stage not in stages:
            stages[epoch.stage] = progress.add_task(epoch.stage, total=epoch.epochs, **fields)
        progress.update(stages[epoch.stage], completed=epoch.epoch, **fields)
        if epoch.epoch == epoch.epochs and not console.is_terminal:
            console.print(
                f"{epoch.stage}: {epoch.epochs} epochs, loss {epoch.loss:.4f}, {score}",
                highlight=False,
            )

    with contextlib.ExitStack() as stack:
        if tensorboard is not None:
            from dashzoo_search.training.live import live_curves

            also = stack.enter_context(live_curves(tensorboard))
        stack.enter_context(progress)
        yield tell


def print_results(results: Mapping[str, Any]) -> None:
    """The kernels and scores of results.json."""
    console = Console()
    task = results["task"]
    counts = task["counts"]
    name = escape(on_one_line(task["name"]))
    size = " × ".join(map(str, [task["channels"], *task["size"]]))
    metric = Measure(**results["objective"]["metric"])
    console.print(
        f"[bold]{name}[/bold]  {size}, {_outputs(task)}, "
        f"{counts['train']} train / {counts['val']} val / {counts['test']} test"
    )
    rows = [
        (layer["name"], _searched(layer), _kernel(layer, "default_"), f"{layer['parameters']:,}")
        for layer in results["layers"]
    ]
    console.print(table(("layer", "searched", "default", "parameters"), rows))
    head = ("kernels", "val", "test", "parameters", "MACs", "s")
    console.print(table(head, _scores(results, metric)))
    if metric.name != "accuracy":
        way = "larger" if metric.larger_is_better else "smaller"
        told = escape(on_one_line(metric.name))
        console.print(f"Scores are {told}; {way} is better.", highlight=False)
    if times := results.get("resumed", {}).get("command"):
        console.print(f"Stopped and resumed: {times}×.", highlight=False)
    if scouted := results["search"].get("scouted"):
        verdict = "the search started where it pointed" if scouted["believed"] else "not believed"
        console.print(
            f"Scout: {_gain(scouted)} of loss a held-out sample over the default kernels, "
            f"{verdict}.",
            highlight=False,
        )
    if started := results["search"].get("started"):
        console.print(escape(on_one_line(started_from(started))), highlight=False)
    selection = results.get("selection")
    if selection and selection["how"] == "the search itself":
        console.print(
            "Shipped: the default kernels; the search found none that held-out data clearly "
            "prefers.",
            highlight=False,
        )
    elif selection:
        scores = "; ".join(
            f"{name} {metric.text(score['value'])}, loss {score['loss']:.2g}"
            for name, score in selection["scores"].items()
        )
        console.print(
            f"Shipped: the {selection['shipped']} kernels, by {selection['how']} over "
            f"{selection['samples']} samples ({scores}).",
            highlight=False,
        )
        if proposal := _PROPOSALS.get(selection["proposal"]):
            console.print(f"The searched ones are {proposal}.", highlight=False)


def started_from(started: Mapping[str, Any]) -> str:
    """Where a search started, and what that saved."""
    layers = f"{started['layers']} of {started['of']} layers"
    return (
        f"Started from the kernels of {started['model']} in {layers}: {started['saved_epochs']} "
        "epochs of scouting saved."
    )


def _gain(scouted: Mapping[str, Any]) -> str:
    if scouted["gain"] is None:
        return "no number of"
    return f"{scouted['gain']:+.2f} ± {scouted['error']:.2f}"


def _scores(results: Mapping[str, Any], metric: Measure) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, m in results["metrics"].items():
        if m is None:
            continue
        rows.append(
            (name, *_values(m, metric), f"{m['parameters']:,}", f"{m['macs']:,}", _seconds(m))
        )
        for start, each in m.get("inits", {}).items():
            kept = " (kept)" if start == m["init"] else ""
            rows.append(
                (f"  {_STARTS[start]}{kept}", *_values(each, metric), "", "", _seconds(each))
            )
    return rows


def _values(fit: Mapping[str, Any], metric: Measure) -> tuple[str, str]:
    return metric.text(fit["val"]["value"], 2), metric.text(fit["test"]["value"], 2)


def _outputs(task: Mapping[str, Any]) -> str:
    what = {"multilabel": "labels", "regression": "outputs", "dense_regression": "outputs"}
    many = what.get(task["kind"], "classes")
    told = f"{len(task['classes'])} {many if len(task['classes']) != 1 else many[:-1]}"
    return f"{told} at every position" if task["kind"].startswith("dense") else told


def _seconds(fit: Mapping[str, Any]) -> str:
    return f"{fit['seconds']:.0f}"


def _searched(layer: Mapping[str, Any]) -> str:
    return f"XD, depth {layer['xd']['depth']}" if "xd" in layer else _kernel(layer, "")


def _kernel(layer: Mapping[str, Any], prefix: str) -> str:
    kernel, dilation = layer[f"{prefix}kernel"], layer[f"{prefix}dilation"]
    return f"{'×'.join(map(str, kernel))}  d {'×'.join(map(str, dilation))}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Columns under a dim head; all but the first are numbers, and stand to the right."""
    columns = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for i, title in enumerate(head):
        columns.add_column(title, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        columns.add_row(*row)
    return columns
