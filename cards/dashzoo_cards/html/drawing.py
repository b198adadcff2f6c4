"""Pictures in a page: SVG that is small, sharp, and told in words to who cannot see it.

What a mark looks like is said by its class, so a picture follows the page into the dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from dashzoo_cards.markdown import line

__all__ = ["Drawing", "Series", "line_chart", "ticks"]

MOST_POINTS = 240
WIDTH, HEIGHT = 400, 236
RIGHT, TOP, BOTTOM = 8, 12, 44
LETTER = 8.2  # units across, at most, of a digit at an axis


class Drawing:
    """An inline SVG of ``width`` × ``height`` units; what is added is escaped.

    Args:
        width, height: of its coordinates, and in CSS pixels unless it is stretched.
        title: what it shows, for who cannot see it; it needs one.
        stretched: fill the place it stands in, whatever its shape.

    >>> drawing = Drawing(10, 10, title="A < B")
    >>> drawing.add("rect", x=1, width=8.004, class_="ours")
    >>> Markup(drawing)
    Markup('<svg role="img" viewBox="0 0 10 10" width="10" height="10"><title>A &lt; B</title>\
<rect x="1" width="8" class="ours"/></svg>')
    """

    def __init__(self, width: float, height: float, *, title: str, stretched: bool = False) -> None:
        self.width, self.height = width, height
        size = {"width": width, "height": height}
        shape = {"preserveAspectRatio": "none"} if stretched else size
        self._head = Markup('<svg role="img"{}><title>{}</title>').format(
            _attributes({"viewBox": f"0 0 {_number(width)} {_number(height)}", **shape}), title
        )
        self._parts: list[Markup] = []

    def add(self, tag: str, text: str | None = None, **attributes: str | float) -> None:
        """Add an element; ``class_`` is its class, and ``_`` a dash in other names."""
        head = Markup("<") + tag + _attributes(attributes)
        end = Markup("/>") if text is None else Markup(">{}</{}>").format(line(text), tag)
        self._parts.append(head + end)

    def file(self, style: str) -> str:
        """The drawing as an SVG file with a style sheet of its own."""
        head = str(self._head).replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
        return f"{head}<style>{style}</style>{''.join(self._parts)}</svg>\n"

    def __html__(self) -> str:
        return str(self._head + Markup("").join(self._parts) + Markup("</svg>"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart.

    Attributes:
        name: for the legend.
        values: from the first epoch on; NaN leaves a gap.
        look: ``ours``, ``theirs`` or ``third``.
    """

    name: str
    values: Sequence[float]
    look: str


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    text: Callable[[float], str] = lambda value: f"{value:g}".replace("-", "−"),
    floor: float | None = None,
    whole: bool = False,
) -> Drawing:
    """Lines over 1, 2, …; the scale is logarithmic where values above 0 span a factor of 30.

    Args:
        series: what is drawn; without a finite value the axes stay empty.
        title: of the picture.
        x_label: what 1, 2, … are.
        text: how a value is written at the axis.
        floor: value the axis starts at, where it is not logarithmic.
        whole: only whole numbers at the axis.
    """
    drawing = Drawing(WIDTH, HEIGHT, title=title)
    values = [v for each in series for v in each.values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(values), max(values)
    log = floor is None and low > 0 and high / low > 30
    if log:
        marks = _decades(low, high)
        low, high = min(low, marks[0]), max(high, marks[-1])
    else:
        low = low if floor is None else min(low, floor)
        if high == low:
            low, high = low - 0.5 * abs(low or 1), high + 0.5 * abs(high or 1)
        marks = ticks(low, high, 4, whole=whole)
        low, high = min(low, marks[0]), max(high, marks[-1])

    left = 14 + LETTER * max(4, *(len(text(mark)) for mark in marks))

    def y_of(value: float) -> float:
        share = (
            math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)
        )
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    count = max((len(each.values) for each in series), default=1)

    def x_of(index: float) -> float:
        return left + (index + 0.5) / max(count, 1) * (WIDTH - left - RIGHT)

    for mark in marks:
        y = y_of(mark)
        drawing.add("line", x1=left, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid")
        drawing.add("text", text(mark), x=left - 6, y=y + 4, text_anchor="end", class_="soft")
    for mark in ticks(1, count, 5, whole=True):
        if 1 <= mark <= count:
            drawing.add(
                "text",
                f"{mark:g}",
                x=x_of(mark - 1),
                y=HEIGHT - BOTTOM + 19,
                text_anchor="middle",
                class_="soft",
            )
    middle = (left + WIDTH - RIGHT) / 2
    drawing.add("text", x_label, x=middle, y=HEIGHT - 5, text_anchor="middle", class_="soft")
    for each in series:
        path = _path(each.values, x_of, y_of, least=low if log else -math.inf)
        if path:
            drawing.add("path", d=path, class_=f"line {each.look}")
    return drawing


def ticks(low: float, high: float, count: int, *, whole: bool = False) -> list[float]:
    """Round numbers from below ``low`` to above ``high``, about ``count`` steps apart.

    >>> ticks(0.13, 0.94, 4)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    >>> ticks(1, 3, 5, whole=True)
    [1.0, 2.0, 3.0]
    """
    span = (high - low) / count if high > low else 1.0
    base = 10 ** math.floor(math.log10(span))
    step = next(base * m for m in (1, 2, 2.5, 5, 10) if base * m >= span * 0.999)
    if whole:
        step = max(1.0, float(math.ceil(step)))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{n * step:.12g}") for n in range(first, max(last, first + 1) + 1)]


def _decades(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    step = max(1, math.ceil((last - first) / 5))
    return [float(10.0**n) for n in range(first, last + step, step)]


def _path(
    values: Sequence[float],
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
    least: float,
) -> str:
    """A line through the values, at most `MOST_POINTS` of them; a lone one is a dot."""
    step = max(1, math.ceil(len(values) / MOST_POINTS))
    at = [*range(0, len(values) - 1, step), len(values) - 1] if values else []
    parts, broken = [], True
    for index in at:
        value = values[index]
        if not math.isfinite(value) or value < least:
            broken = True
            continue
        parts.append(f"{'M' if broken else 'L'}{x_of(index):.1f} {y_of(value):.1f}")
        broken = False
    alone = [part for i, part in enumerate(parts) if part[0] == "M" and parts[i + 1 : i + 2] == []]
    return "".join(parts) + ("h0.1" if alone else "")


def _attributes(values: dict[str, str | float]) -> Markup:
    return Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _value(value))
        for name, value in values.items()
    )


def _value(value: str | float) -> Markup:
    return escape(value if isinstance(value, str) else _number(value))


def _number(value: float) -> str:
    return f"{round(value, 2):g}" if abs(value) < 1e5 else f"{value:.0f}"
