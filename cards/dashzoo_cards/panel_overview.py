"""All panels in one Markdown table, a line a task: who came to what, and what the search took."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from dashzoo_cards.markdown import code, plain
from dashzoo_cards.panels import Panel
from dashzoo_search.measure import Measure

__all__ = ["overview_table"]

COLUMNS = ("default", "ours", "shipped", "uniform", "random", "dash", "rocket", "fno", "xd")


def overview_table(panels: Sequence[Panel]) -> str:
    """A line a task: mean ± standard deviation of each contestant's test metric over seeds.

    **Bold** are differences to the default kernels whose 95 % interval, paired by seed, leaves out
    0. *Search* is what our search took over what training its network took, in process-CPU time.
    A contestant of fewer seeds than the task says how many. Columns nobody has are left out.
    """
    columns = [name for name in COLUMNS if any(name in panel.contestants for panel in panels)]
    published = any(panel.published for panel in panels)
    head = ["task", "metric", "seeds", *map(code, columns), "search"]
    head += ["best published"] if published else []
    lines = [_line(head), "|---|---|" + "---:|" * (len(head) - 2)]
    for panel in panels:
        seeds = len({row.seed for row in panel.rows})
        cells = [code(panel.name), plain(_metric(panel.measure)), seeds]
        cells += [_cell(panel, name, seeds) for name in columns]
        cells += [_search(panel)]
        cells += [_best_published(panel)] if published else []
        lines.append(_line(cells))
    return "\n".join(lines)


def _cell(panel: Panel, name: str, seeds: int) -> str:
    one = panel.summaries.get(name)
    if one is None:
        return "–"
    told = _value(one.mean, panel.measure)
    if one.spread is not None:
        told += f" ± {_value(one.spread, panel.measure)}"
    if one.difference is not None and one.difference.clear:
        told = f"**{told}**"
    return told if one.seeds == seeds else f"{told} ({one.seeds})"


def _search(panel: Panel) -> str:
    """Our search over the training of what it found, such as ``"38 %"``."""
    ours = panel.contestants.get("ours", [])
    shares = [r.search.cpu_seconds / r.train.cpu_seconds for r in ours if r.train.cpu_seconds > 0]
    return f"{100 * statistics.fmean(shares):.0f} %" if shares else "–"


def _best_published(panel: Panel) -> str:
    known = [row for row in panel.published if row["metric"] == panel.measure.name]
    if not known:
        return "–"
    best = max(known, key=lambda row: panel.measure.goodness(row["value"]))
    return f"{_value(best['value'], panel.measure)} ({plain(best['method'])})"


def _metric(measure: Measure) -> str:
    way = "↑" if measure.larger_is_better else "↓"
    return f"{measure.name}{', %' if measure.percent else ''} {way}"


def _value(value: float, measure: Measure) -> str:
    return f"{100 * value:.1f}" if measure.percent else f"{value:.3g}"


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
