"""Where the network errs: confusions, labels, numbers against the truth, and fields."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dashzoo_cards.facts import Facts
from dashzoo_cards.html.drawing import Drawing, Series, line_chart, ticks
from dashzoo_cards.markdown import line
from dashzoo_cards.report.record import Breakdown, Example

__all__ = ["Cell", "Confusion", "Field", "confusion", "fields", "scatter"]

MOST_CLASSES = 20
LEVELS = 6
SIDE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One count of a confusion matrix, and how dark it is, 0 to 5."""

    count: int
    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """The matrix, a row a true class, where classes are few; and the worst mistakes."""

    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    classes: tuple[tuple[str, int, int], ...]
    worst: tuple[tuple[str, str, int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A named picture, and the span of its values in words."""

    name: str
    drawing: Drawing
    span: str


def confusion(facts: Facts, told: Breakdown) -> Confusion:
    """The confusion matrix of classes."""
    names = [line(name) for name in facts.task.classes]
    counts = {(true, other): count for true, other, count in told.confusions}
    counts |= {(n, n): hits for n, hits in enumerate(told.right)}
    rows = []
    if len(names) <= MOST_CLASSES:
        for true, name in enumerate(names):
            found = [counts.get((true, other), 0) for other in range(len(names))]
            rows.append((name, tuple(_cell(count, told.of[true]) for count in found)))
    worst = [
        (names[true], names[other], count, count / max(told.of[true], 1))
        for true, other, count in told.confusions[:10]
    ]
    return Confusion(
        rows=tuple(rows),
        classes=tuple(zip(names, told.of, told.right, strict=True)),
        worst=tuple(worst),
    )


def scatter(bins: Sequence[Sequence[float]], name: str) -> Drawing:
    """Foretold against true: the median and the middle four fifths of every bin."""
    drawing = Drawing(
        SIDE + 60,
        SIDE + 50,
        title=f"{line(name)}: foretold against true in {len(bins)} bins; the table has the numbers",
    )
    values = [value for row in bins for value in row]
    marks = ticks(min(values), max(values), 4)
    low, high = marks[0], marks[-1]

    def at(value: float) -> float:
        return (value - low) / (high - low) * SIDE

    left, bottom = 50, SIDE + 10
    written = {mark: f"{mark:g}".replace("-", "−") for mark in marks}
    for mark in marks:
        y, x = bottom - at(mark), left + at(mark)
        drawing.add("line", x1=left, x2=left + SIDE, y1=y, y2=y, class_="grid")
        drawing.add("line", x1=x, x2=x, y1=bottom - SIDE, y2=bottom, class_="grid")
        drawing.add("text", written[mark], x=left - 6, y=y + 4, text_anchor="end", class_="soft")
    for mark, anchor in ((low, "start"), (high, "end")):
        x = left + at(mark)
        drawing.add("text", written[mark], x=x, y=bottom + 17, text_anchor=anchor, class_="soft")
    drawing.add(
        "text", "true", x=left + SIDE / 2, y=bottom + 17, text_anchor="middle", class_="soft"
    )
    drawing.add("path", d=f"M{left} {bottom}l{SIDE} {-SIDE}", class_="axis")
    for true, least, middle, most in bins:
        x = left + at(true)
        drawing.add(
            "path",
            d=f"M{x:.1f} {bottom - at(least):.1f}V{bottom - at(most):.1f}",
            class_="line ours",
        )
        drawing.add("circle", cx=x, cy=bottom - at(middle), r=3.5, class_="ours")
    return drawing


def fields(facts: Facts, example: Example) -> tuple[Field, ...]:
    """Input, truth, prediction and, of numbers, the error of one sample, each as a picture."""
    numbers = facts.task.kind == "dense_regression"
    gap = tuple(p - t for p, t in zip(example.prediction, example.target, strict=True))
    if len(example.shape) == 1:
        lines = [
            Series(name="truth", values=example.target, look="theirs"),
            Series(name="prediction", values=example.prediction, look="ours"),
        ]
        title = f"Truth and prediction along test sample {example.sample:,}"
        chart = line_chart(lines, title=title, x_label="position")
        return (Field(name="Truth and prediction", drawing=chart, span=_span(example.target)),)
    both = (*example.target, *example.prediction)
    shown = [
        ("Input", example.input, example.input),
        ("Truth", example.target, both),
        ("Prediction", example.prediction, both),
    ]
    if numbers:
        shown.append(("Absolute error", tuple(map(abs, gap)), tuple(map(abs, gap))))
    else:
        wrong = tuple(
            float(p != t >= 0) for p, t in zip(example.prediction, example.target, strict=True)
        )
        shown.append(("Where it is wrong", wrong, (0.0, 1.0)))
    return tuple(
        Field(name=name, drawing=_heat(name, values, scale, example), span=_span(values))
        for name, values, scale in shown
    )


def _cell(count: int, of: int) -> Cell:
    share = count / of if of else 0.0
    return Cell(count=count, level=min(LEVELS - 1, math.ceil(share * (LEVELS - 1))) if count else 0)


def _heat(name: str, values: Sequence[float], scale: Sequence[float], example: Example) -> Drawing:
    """A path for each level; neighbours along a row are one mark."""
    rows, columns = example.shape
    drawing = Drawing(
        SIDE,
        SIDE * rows / columns,
        title=f"{name} of test sample {example.sample:,}, {rows} × {columns} positions, values "
        f"{_span(values)}",
    )
    low, high = min(scale), max(scale)
    side = SIDE / columns
    paths = ["" for _ in range(LEVELS * 2)]
    for row in range(rows):
        begun = 0
        levels = [
            int(
                (values[row * columns + column] - low) / ((high - low) or 1.0) * (len(paths) - 1e-9)
            )
            for column in range(columns)
        ]
        for column in range(1, columns + 1):
            if column == columns or levels[column] != levels[begun]:
                wide = (column - begun) * side
                x, y = begun * side, row * side
                paths[levels[begun]] += f"M{x:.4g} {y:.4g}h{wide:.4g}v{side:.4g}h-{wide:.4g}z"
                begun = column
    for level, path in enumerate(paths):
        if path:
            drawing.add("path", d=path, class_=f"heat h{level}")
    return drawing


def _span(values: Sequence[float]) -> str:
    return f"from {min(values):.3g} to {max(values):.3g}".replace("-", "−")
