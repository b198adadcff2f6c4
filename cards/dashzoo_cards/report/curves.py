"""What happened epoch by epoch: learning curves of every stage, and how each layer settled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashzoo_cards.facts import Facts
from dashzoo_cards.figures import effective_choices
from dashzoo_cards.html.drawing import Drawing, Series, line_chart
from dashzoo_cards.markdown import line
from dashzoo_cards.report.record import Curve

__all__ = ["Panel", "Settled", "learning", "settling"]

MOST_LAYERS = 60
LINES = 5
_SEARCH = ("scout", "scout's rival", "search")
_LOOKS = ("ours", "theirs", "third")


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Two charts of stages that belong together; ``rows`` are what the table says of each."""

    name: str
    series: tuple[Series, ...]
    loss: Drawing
    score: Drawing
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """One layer's mixture weights over the search."""

    layer: str
    drawing: Drawing
    choices: int
    begun: float
    ended: float
    share: float


def learning(facts: Facts, curves: Sequence[Curve]) -> tuple[Panel, ...]:
    """A panel for the search and one for each pair or three of trainings."""
    searching = [curve for curve in curves if curve.stage in _SEARCH]
    rest = [curve for curve in curves if curve.stage not in _SEARCH]
    groups = [("While searching", searching)]
    final = [curve for curve in rest if not curve.stage.endswith(", judged")]
    judged = [curve for curve in rest if curve.stage.endswith(", judged")]
    for name, members in (("Training", final), ("The shorter trainings that were judged", judged)):
        starts = range(0, len(members), len(_LOOKS))
        groups += [(name, members[start : start + len(_LOOKS)]) for start in starts]
    return tuple(_panel(facts, name, members) for name, members in groups if members)


def settling(facts: Facts) -> tuple[Settled, ...]:
    """Every layer's weights, the choice that leads in the end before the others."""
    if facts.search is None or not facts.has_history:
        return ()
    history = facts.search.alpha
    names = [layer.name for layer in facts.layers if layer.name in history[0][1]]
    return tuple(_settled(history, name) for name in names[:MOST_LAYERS])


def _panel(facts: Facts, name: str, curves: Sequence[Curve]) -> Panel:
    metric = facts.objective.metric
    looks = {"search": "ours", "train": "ours", "default kernels": "theirs"}
    free = [
        look for look in _LOOKS if look not in {looks.get(c.stage.split(",")[0]) for c in curves}
    ]
    styles, taken = [], set[str]()
    for curve in curves:
        look = looks.get(curve.stage.split(",")[0], "")
        if not look or look in taken:
            look = next(one for one in (*free, *_LOOKS) if one not in taken)
        taken.add(look)
        styles.append(look)
    both = [
        [
            Series(name=_called(facts, curve.stage), values=values, look=look)
            for curve, look, values in zip(curves, styles, told, strict=True)
        ]
        for told in ([c.loss for c in curves], [c.value for c in curves])
    ]
    stages = "; ".join(_called(facts, curve.stage) for curve in curves)
    return Panel(
        name=name,
        series=tuple(both[0]),
        loss=line_chart(
            both[0],
            title=f"Training loss by epoch: {stages}; the table below has the numbers",
            x_label="epoch",
        ),
        score=line_chart(
            both[1],
            title=f"Held-out {line(metric.name)} by epoch: {stages}; the table has the numbers",
            x_label="epoch",
            text=lambda value: f"{value:.0%}" if metric.percent else f"{value:g}",
        ),
        rows=tuple(_row(facts, curve) for curve in curves),
    )


def _called(facts: Facts, stage: str) -> str:
    """A stage as the report calls it: ``train`` is of the candidate."""
    first, *rest = line(stage).split(",")
    return ",".join([facts.candidate if first == "train" else first, *rest])


def _row(facts: Facts, curve: Curve) -> tuple[str, ...]:
    metric = facts.objective.metric
    scores = [value for value in curve.value if math.isfinite(value)]
    best = max(scores, key=metric.goodness, default=math.nan)
    at = curve.value.index(best) + 1 if scores else 0
    return (
        _called(facts, curve.stage),
        f"{len(curve.loss):,}",
        *(
            f"{value:.4g}" if math.isfinite(value) else "–"
            for value in (curve.loss[0], curve.loss[-1])
        ),
        f"{metric.text(best)} (epoch {at})" if scores else "–",
        metric.text(curve.value[-1]) if math.isfinite(curve.value[-1]) else "–",
    )


def _settled(history: Sequence[tuple[int, Mapping[str, tuple[float, ...]]]], name: str) -> Settled:
    rows = [layers[name] for _, layers in history if name in layers]
    width, height = 150, 70
    first, last = rows[0], rows[-1]
    leader = max(range(len(last)), key=last.__getitem__)
    drawing = Drawing(
        width,
        height,
        stretched=True,
        title=f"{line(name)}: the leading choice ends at {last[leader]:.0%} of the weight, of "
        f"{len(last)} choices",
    )
    for share in (0, 0.5, 1):
        y = height - 3 - share * (height - 6)
        drawing.add("path", d=f"M0 {y:g}H{width}", class_="grid")
    best = sorted(range(len(last)), key=lambda c: -max(_at(row, c) for row in rows))
    others = [choice for choice in best if choice != leader][:LINES]
    for choice in (*others, leader):
        step = width / max(len(rows) - 1, 1)
        points = [
            f"{i * step:.1f} {height - 3 - _at(row, choice) * (height - 6):.1f}"
            for i, row in enumerate(rows)
        ]
        path = "M" + "L".join(points) + ("" if len(rows) > 1 else f"H{width}")
        look = "line ours" if choice == leader else "line other"
        drawing.add("path", d=path, class_=look)
    return Settled(
        layer=name,
        drawing=drawing,
        choices=len(last),
        begun=effective_choices(first),
        ended=effective_choices(last),
        share=last[leader],
    )


def _at(row: tuple[float, ...], choice: int) -> float:
    return row[choice] if choice < len(row) else 0.0
