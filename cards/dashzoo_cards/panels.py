"""Panels of contestants: read from `panel.json`, and told as a Markdown table, whoever wins.

A panel's file holds the task, what is equal for all contestants, a row a contestant and seed, and
the published figures. It may come from anywhere, so what is counted with is checked.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dashzoo_cards.fields import Fields, read_json
from dashzoo_cards.markdown import code, plain
from dashzoo_search.errors import BadBundle
from dashzoo_search.measure import Measure
from dashzoo_search.panel.row import Row
from dashzoo_search.panel.statistics import Paired, Summary, summarise

__all__ = ["Panel", "panel_table", "read_panel", "read_panels"]

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What `panel.json` says.

    Attributes:
        name: of the task.
        measure: how its metric is read.
        samples: of the test split.
        rows: one for each contestant and seed.
        equal: ``"total"`` or ``"training"``: which epochs are the same for all contestants.
        epochs: of one training, of our search, and of the two together with a second training.
        left_out: why contestants have no row.
        published: method, metric, value, source.
    """

    name: str
    measure: Measure
    samples: int
    rows: tuple[Row, ...]
    equal: str
    epochs: Mapping[str, int]
    left_out: Mapping[str, str]
    published: tuple[Mapping[str, Any], ...]

    @cached_property
    def contestants(self) -> dict[str, list[Row]]:
        """Rows of each contestant."""
        return {
            name: [row for row in self.rows if row.contestant == name]
            for name in dict.fromkeys(row.contestant for row in self.rows)
        }

    @cached_property
    def summaries(self) -> dict[str, Summary]:
        """Each contestant over its seeds."""
        scores = {
            name: {row.seed: float(row.test["value"]) for row in rows}
            for name, rows in self.contestants.items()
        }
        return {one.contestant: one for one in summarise(scores, self.measure)}

    def mean(self, contestant: str, what: str) -> float | None:
        """Mean of a number of its rows, such as ``macs`` or ``total.epochs``."""
        values = [_inside(row, what) for row in self.contestants[contestant]]
        known = [value for value in values if value is not None]
        return statistics.fmean(known) if known else None

    def errors(self) -> dict[str, float] | None:
        """Mean error of each contestant, 0 the best; None where the metric knows no best.

        Shares of the test split cannot tell errors below half a sample apart, so none is smaller.
        """
        best = self.measure.high if self.measure.larger_is_better else self.measure.low
        if best is None:
            return None
        least = 0.5 / self.samples if self.measure.percent else 0.0
        return {
            name: max(least, self.measure.error(one.mean)) for name, one in self.summaries.items()
        }


def read_panel(path: Path) -> Panel:
    """Read a panel's file.

    Raises:
        BadBundle: it is missing or no panel, naming the field.
    """
    fields = read_json(path.parent, path.name)
    fields.one_of("panel_version", (VERSION,))
    task, settings = fields.inside("task"), fields.inside("settings")
    rows = tuple(Row.from_json(row.values) for row in fields.each("rows"))
    seen = {(row.contestant, row.seed) for row in rows}
    if not rows or len(seen) < len(rows):
        fields.fail("rows", "a row for each contestant and seed, and at least one")
    epochs = settings.inside("epochs")
    return Panel(
        name=task.text("name"),
        measure=_measure(fields.inside("objective").inside("metric")),
        samples=task.inside("counts").integer("test", low=1),
        rows=rows,
        equal=settings.one_of("equal", ("total", "training")),
        epochs={name: epochs.integer(name, low=1) for name in ("search", "training", "total")},
        left_out=dict(fields.inside("left_out").values),
        published=tuple(_published(row) for row in fields.each("published")),
    )


def read_panels(folder: Path) -> list[Panel]:
    """The panels of all JSON files of a folder, by their names.

    Raises:
        BadBundle: there is none, or one is damaged.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise BadBundle(
            f"{folder} holds no panel; give a folder of panel.json files, as 'dashzoo compare "
            "TASK --out DIR' writes them",
            field=str(folder),
        )
    return [read_panel(path) for path in files]


def panel_table(panel: Panel) -> str:
    """A Markdown table with a line a contestant, and below it what is equal and what is missing.

    Differences are to the default kernels, seed by seed; **bold** where their 95 % interval leaves
    out 0.
    """
    measure = panel.measure
    way = "larger" if measure.larger_is_better else "smaller"
    head = (
        "contestant", f"test {plain(measure.name)}, {way} is better", "difference to default",
        "better / same / worse", "parameters", "MACs", "epochs", "search, CPU s", "training, CPU s",
    )  # fmt: skip
    lines = [_line(head), "|---|" + "---:|" * (len(head) - 1)]
    for name, one in panel.summaries.items():
        numbers = [
            _number(panel.mean(name, what))
            for what in (
                "parameters",
                "macs",
                "total.epochs",
                "search.cpu_seconds",
                "train.cpu_seconds",
            )
        ]
        paired = one.difference
        signs = f"{paired.better} / {paired.same} / {paired.worse}" if paired else "–"
        lines.append(
            _line(
                (code(name), _spread(one, measure), _difference(paired, measure), signs, *numbers)
            )
        )
    for row in panel.published:
        quoted = (
            _value(row["value"], measure)
            if row["metric"] == measure.name
            else plain(f"{row['metric']} {row['value']:g}")
        )
        cells = (plain(f"{row['method']}, published"), quoted, *("–" for _ in head[2:]))
        lines.append(_line(cells))
    lines += ["", *_notes(panel)]
    return "\n".join(lines)


def _notes(panel: Panel) -> list[str]:
    epochs = panel.epochs
    equal = (
        f"Equal for all: {epochs['total']} epochs in all, a contestant's own search included "
        f"(ours: {epochs['search']} of search, {epochs['training']} from each of two starts)."
        if panel.equal == "total"
        else f"Equal for all: {epochs['training']} epochs of training a network; searches come on "
        "top."
    )
    seeds = len({row.seed for row in panel.rows})
    notes = [
        f"{plain(panel.name)}, {seeds} seed{'s' if seeds > 1 else ''}: mean ± standard deviation, "
        f"differences with 95 % intervals of Student's t. {equal} Epochs beyond that are of "
        "choices a contestant made on held-out data; shipped has those of the default kernels too, "
        "and random-best those of all draws."
    ]
    if panel.published:
        sources = dict.fromkeys(str(row["source"]) for row in panel.published)
        notes.append(f"Published figures: {'; '.join(map(plain, sources))}.")
    for name, why in panel.left_out.items():
        notes.append(f"Left out: {plain(name)} ({plain(str(why))}).")
    return [text for note in notes for text in (note, "")][:-1]


def _spread(one: Summary, measure: Measure) -> str:
    if one.spread is None:
        return f"{_value(one.mean, measure)} (one seed)"
    return f"{_value(one.mean, measure)} ± {_value(one.spread, measure)}"


def _difference(paired: Paired | None, measure: Measure) -> str:
    if paired is None:
        return "–"
    mean = _signed(paired.mean, measure)
    if paired.low is None or paired.high is None:
        return mean
    mean = f"**{mean}**" if paired.clear else mean
    return f"{mean} ({_signed(paired.low, measure)} … {_signed(paired.high, measure)})"


def _value(value: float, measure: Measure) -> str:
    return f"{100 * value:.2f}" if measure.percent else f"{value:.4g}"


def _signed(value: float, measure: Measure) -> str:
    return f"{100 * value:+.2f}" if measure.percent else f"{value:+.2g}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _inside(row: Row, what: str) -> float | None:
    value: Any = row
    for name in what.split("."):
        value = getattr(value, name)
    return None if value is None else float(value)


def _measure(fields: Fields) -> Measure:
    limits = {name: fields.number_or_null(name) for name in ("low", "high")}
    return Measure(
        name=fields.text("name"),
        larger_is_better=fields.flag("larger_is_better"),
        percent=fields.flag("percent"),
        **limits,
    )


def _published(fields: Fields) -> Mapping[str, Any]:
    texts = {name: fields.text(name) for name in ("method", "metric", "source")}
    return {**texts, "value": fields.number("value")}
