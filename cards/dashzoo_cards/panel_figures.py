"""The figures of panels: speed against the metric, and a performance profile over tasks.

Both are PNGs about 1200 px across, drawn from `Panel`s alone; the same panels and the same
matplotlib give the same bytes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dashzoo_cards.canvas import FAINT, FONT, SOFT, WIDTH, Canvas
from dashzoo_cards.panels import Panel
from dashzoo_search.errors import BadData
from dashzoo_search.measure import Measure
from dashzoo_search.panel.statistics import error_ratios

__all__ = ["draw_profile", "draw_speed"]

MARGIN = 40
TOP, LEGEND, TILE, GAP = 70, 28, 330, 90
FARTHEST = 20.0  # times the best error; what lies beyond is off the page
# Okabe and Ito's set, two marks each.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1f2328")
_MARKS = ("o", "s")


def draw_speed(panels: Sequence[Panel], path: Path) -> Path:
    """Draw test metric against CPU seconds of search and training together, a tile a task.

    Dots are means over seeds, bars their standard deviation; up is better in every tile.

    Raises:
        OSError: the file cannot be written.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.contestants))
    columns = min(2, len(panels))
    lines = math.ceil(len(panels) / columns)
    head = TOP + LEGEND * math.ceil(len(names) / 5)
    canvas = Canvas(head + lines * (TILE + GAP) + 20)
    _title(canvas, "What it takes, and what it gives")
    _legend(canvas, names)
    width = (WIDTH - 2 * MARGIN - columns * 90) / columns
    for i, panel in enumerate(panels):
        left = MARGIN + 90 + (i % columns) * (width + 90)
        top = head + 34 + (i // columns) * (TILE + GAP)
        measure = panel.measure
        scale, unit = (100, ", %") if measure.percent else (1, "")
        canvas.write(left, top - 16, canvas.fit(f"{panel.name}: test {measure.name}{unit}", width))
        axes = _axes(canvas, left, top, width, TILE - 40)
        for name in panel.contestants:
            one, seconds = panel.summaries[name], panel.mean(name, "total.cpu_seconds")
            colour, mark = _style(names.index(name))
            axes.errorbar(
                [max(seconds or 0.0, 0.01)],
                [scale * one.mean],
                yerr=[scale * (one.spread or 0.0)],
                color=colour,
                marker=mark,
                markersize=7,
                elinewidth=1,
            )
        axes.set_xscale("log")
        _end_at_best(axes, measure, scale)
        _plain_ticks(axes)
        if not measure.larger_is_better:
            axes.invert_yaxis()
        canvas.write(
            left + width / 2, top + TILE - 40 + 44, "CPU seconds of search and training",
            ha="center", color=SOFT,
        )  # fmt: skip
    return canvas.save(path, fingerprint=_fingerprint(panels), flat=False)


def draw_profile(panels: Sequence[Panel], path: Path) -> Path:
    """Draw for each contestant the share of tasks on which its error is within τ of the best.

    Mean error over seeds; a task a contestant has no row for is one it does not solve.

    Raises:
        BadData: no panel has a metric with a best value.
        OSError: the file cannot be written.
    """
    errors = [found for panel in panels if (found := panel.errors()) is not None]
    if not errors:
        raise BadData("None of these metrics has a best value, so there are no errors to profile")
    ratios = error_ratios(errors)
    names = list(ratios)
    head = TOP + LEGEND * math.ceil(len(names) / 5)
    canvas = Canvas(head + TILE + 190)
    many = "task" if len(errors) == 1 else "tasks"
    _title(canvas, f"Share of {len(errors)} {many} with an error within τ times the best")
    _legend(canvas, [f"{name} ({sum(map(math.isfinite, ratios[name]))})" for name in names])
    left, width = MARGIN + 90, WIDTH - 2 * MARGIN - 90
    axes = _axes(canvas, left, head + 20, width, TILE + 60)
    finite = [ratio for each in ratios.values() for ratio in each if math.isfinite(ratio)]
    end = min(FARTHEST, 1.1 * max(finite, default=1.0))
    for i, name in enumerate(names):
        colour, mark = _style(i)
        steps = sorted(ratio for ratio in ratios[name] if ratio <= end)
        xs = [1.0, *steps, end]
        ys = [sum(ratio <= x for ratio in steps) / len(errors) for x in xs]
        axes.step(
            xs, ys, where="post", color=colour, linewidth=1.8,
            linestyle="-" if mark == _MARKS[0] else "--",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set(xlim=(1.0, max(end, 1.01)), ylim=(0, 1.03))
    _plain_ticks(axes)
    canvas.write(left + width / 2, head + TILE + 130, "τ", ha="center", color=SOFT)
    return canvas.save(path, fingerprint=_fingerprint(panels), flat=False)


def _axes(canvas: Canvas, left: float, top: float, width: float, height: float) -> Any:
    axes = canvas.axes(left, top, width, height)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(True)
        axes.spines[side].set_color(FAINT)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def _end_at_best(axes: Any, measure: Measure, scale: float) -> None:
    """No room is left beyond the best there can be, but for half a mark."""
    low, high = axes.get_ylim()
    edge = 0.04 * (high - low)
    if measure.larger_is_better and measure.high is not None:
        axes.set_ylim(top=min(high, scale * measure.high + edge))
    elif not measure.larger_is_better and measure.low is not None:
        axes.set_ylim(bottom=max(low, scale * measure.low - edge))


def _plain_ticks(axes: Any) -> None:
    """Ticks of our own at round numbers: the locators' may be none, and their labels TeX."""
    low, high = sorted(axes.get_xlim())
    ticks = [low, high]
    for marks in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.5, 2, 3, 5, 7)):
        steps = [m * 10.0**e for e in range(-3, 9) for m in marks]
        ticks = [step for step in steps if low <= step <= high] or ticks
        if len(ticks) > 2:
            break
    every = math.ceil(len(ticks) / 7)
    axes.set_xticks(ticks[::every], [f"{tick:,.4g}" for tick in ticks[::every]])
    axes.set_xticks([], minor=True)
    axes.set_xlim(low, high)
    bottom, top = sorted(axes.get_ylim())
    span = 10 ** math.floor(math.log10(top - bottom))
    step = next(m * span for m in (0.2, 0.5, 1, 2) if (top - bottom) / (m * span) <= 6)
    first = math.ceil(bottom / step)
    values = [step * k for k in range(first, math.floor(top / step) + 1)]
    axes.set_yticks(values, [f"{value:.6g}" for value in values])
    axes.tick_params(labelsize=9, labelcolor=SOFT, labelfontfamily=FONT, length=0)


def _legend(canvas: Canvas, names: Sequence[str]) -> None:
    step = (WIDTH - 2 * MARGIN) / 5
    for i, name in enumerate(names):
        x, y = MARGIN + (i % 5) * step, TOP + LEGEND * (i // 5)
        colour, mark = _style(i)
        key = canvas.axes(x, y - 8, 30, 16)
        key.set(xlim=(-1, 1), ylim=(-1, 1))
        line = "-" if mark == _MARKS[0] else "--"
        key.plot([-1, 0, 1], [0, 0, 0], color=colour, linestyle=line, linewidth=1.8)
        key.plot([0], [0], color=colour, marker=mark, markersize=6)
        canvas.write(x + 38, y, canvas.fit(name, step - 50))


def _style(index: int) -> tuple[str, str]:
    count = len(_COLOURS)
    return _COLOURS[index % count], _MARKS[index // count % len(_MARKS)]


def _title(canvas: Canvas, text: str) -> None:
    canvas.write(MARGIN, 34, text, fontsize=13, weight="bold")


def _fingerprint(panels: Iterable[Panel]) -> str:
    told = "\n".join(repr(row.to_json()) for panel in panels for row in panel.rows)
    return hashlib.sha256(told.encode()).hexdigest()
