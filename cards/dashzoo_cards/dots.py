"""Rows of a name, a dot on a shared axis, and a number: how figures set numbers beside each other.

Dots, not bars, so that the axis need not begin at 0: accuracies crowd near their best, and a GPU is
a hundred times as quick as a core.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dashzoo_cards.canvas import FAINT, FIELD, SOFT, WIDTH, Canvas
from dashzoo_cards.markdown import Markdown, plain

__all__ = ["MARGIN", "Dot", "decades", "dots_page", "draw_dots", "in_words", "round_numbers"]

MARGIN, GAP = 40, 28
HEAD, FOOT, PITCH = 100, 60, 40  # px


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One number: whose it is, its value, how far it may lie off, and how it is written.

    ``ours`` is what the bundle holds, ``here`` what was measured and not read about.
    """

    label: str
    value: float
    low: float
    high: float
    text: str
    colour: str
    ours: bool = False
    here: bool = True


def in_words(dots: Sequence[Dot], what: str) -> Markdown:
    """A figure's alternative text: every dot's name and number, and how far the line goes."""
    told = "; ".join(f"{plain(dot.label)} {dot.text}" for dot in dots)
    return Markdown(f"{plain(what)}: {told}")


def dots_page(title: str, note: str, rows: int) -> Canvas:
    """A page for so many rows, its head written."""
    canvas = Canvas(HEAD + rows * PITCH + FOOT)
    bold = {"fontsize": 13, "weight": "bold"}
    canvas.write(MARGIN, 34, canvas.fit(title, WIDTH - 2 * MARGIN, **bold), **bold)
    canvas.write(MARGIN, 72, note, color=SOFT)
    return canvas


def draw_dots(
    canvas: Canvas,
    dots: Sequence[Dot],
    *,
    ends: tuple[float, float],
    ticks: Mapping[float, str],
    scale: Callable[[float], float],
) -> None:
    """Rows of name, dot and number; ``ends`` and the keys of ``ticks`` are on the axis already."""
    bold = {"weight": "bold"}
    styles = [bold if dot.ours else {} for dot in dots]
    names = [canvas.fit(dot.label, 520, **s) for dot, s in zip(dots, styles, strict=True)]
    left = (
        MARGIN + GAP + max(canvas.width(name, **s) for name, s in zip(names, styles, strict=True))
    )
    right = WIDTH - MARGIN - GAP - max(canvas.width(dot.text, **bold) for dot in dots)
    height = PITCH * len(dots)
    for row in range(0, len(dots), 2):
        y = HEAD + (row + 0.5) * PITCH
        canvas.block(WIDTH / 2, y, WIDTH - 2 * MARGIN + 20, PITCH, FIELD)
    plot = canvas.axes(left, HEAD, right - left, height)
    plot.set(xlim=ends, ylim=(len(dots), 0))
    for at, text in ticks.items():
        plot.axvline(at, color=FAINT, linewidth=0.8, zorder=0)
        x = left + (at - ends[0]) / (ends[1] - ends[0]) * (right - left)
        canvas.write(x, HEAD + height + 20, text, ha="center", color=SOFT)
    for row, (dot, name, style) in enumerate(zip(dots, names, styles, strict=True)):
        y = row + 0.5
        plot.plot(
            [scale(dot.low), scale(dot.high)], [y, y], color=dot.colour, linewidth=1.6, zorder=1
        )
        face = dot.colour if dot.here else "white"
        plot.plot(
            [scale(dot.value)], [y], "o", color=dot.colour, mfc=face, markersize=6.5, zorder=2
        )
        y = HEAD + y * PITCH
        canvas.write(left - GAP, y, name, ha="right", **style)
        canvas.write(WIDTH - MARGIN, y, dot.text, ha="right", **style)


def round_numbers(low: float, high: float, most: int = 6) -> list[float]:
    """A few round numbers within ``low`` … ``high``.

    >>> round_numbers(0.947, 1.003)
    [0.95, 0.96, 0.97, 0.98, 0.99, 1.0]
    """
    size = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(m * size for m in (1, 2, 5, 10, 20) if (high - low) / (m * size) <= most)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(step * n, 12) for n in range(first, last + 1)]


def decades(low: float, high: float) -> list[float]:
    """Round numbers between 10^``low`` and 10^``high``, at most six.

    >>> decades(-1.1, 0.8)
    [0.1, 0.2, 0.5, 1.0, 2.0, 5.0]
    """
    for marks in ((1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1,)):
        exponents = range(math.floor(low), math.ceil(high) + 1)
        ticks = [round(m * 10.0**e, 12) for e in exponents for m in marks]
        ticks = [tick for tick in ticks if low <= math.log10(tick) <= high]
        if len(ticks) <= 6:
            break
    return ticks[:: math.ceil(len(ticks) / 6)]
