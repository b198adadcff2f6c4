"""The figures of a card: the kernels layer by layer, and how the search settled on them.

Those that set numbers beside each other are `compared`'s; `FIGURES` has them all. They are PNGs
about 1200 px across, drawn from `Facts` alone. The same facts and the same matplotlib give the same
bytes; `is_current` says whether a PNG was drawn from given facts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dashzoo_cards.canvas import DEFAULT, INK, SEARCHED, SOFT, WIDTH, Canvas
from dashzoo_cards.compared import (
    draw_latency,
    draw_scores,
    latency_dots,
    latency_facts,
    score_dots,
    score_facts,
)
from dashzoo_cards.facts import Facts, fingerprint
from dashzoo_cards.kernels1d import draw_rows, rows_height
from dashzoo_cards.kernels2d import draw_panels, panels_height

__all__ = ["FIGURES", "draw_alpha", "draw_kernels", "effective_choices", "figures", "is_current"]

MOST_LAYERS = 60
MARGIN = 40
_STEPS = [m * 10**e for e in range(9) for m in (1, 2, 5)]


def draw_kernels(facts: Facts, path: Path) -> Path:
    """Draw every searched kernel to scale beside the default one.

    Networks of more than 60 layers show the first 60; the card's table has them all.

    Args:
        facts: the bundle's facts.
        path: the PNG to write; it is replaced in one step.

    Raises:
        OSError: the file cannot be written.

    >>> draw_kernels(facts, bundle / "figures" / "kernels.png")  # doctest: +SKIP
    """
    layers = facts.layers[:MOST_LAYERS]
    plane = facts.task.dims == 2
    canvas = Canvas(panels_height(len(layers)) if plane else rows_height(len(layers)))
    title = f"Kernels of {facts.name}"
    if len(layers) < len(facts.layers):
        title += f", first {len(layers)} of {len(facts.layers)} layers"
    _title(canvas, title)
    ours = "searched" if facts.space is not None else "this network"
    canvas.block(MARGIN + 8, 72, 16, 16, SEARCHED)
    canvas.write(MARGIN + 26, 72, ours)
    x = MARGIN + 26 + canvas.width(ours) + 34
    canvas.block(x, 72, 16, 16, INK if plane else DEFAULT)
    if plane:
        canvas.block(x, 72, 12, 12, "white")
    canvas.write(x + 18, 72, canvas.fit(f"default of {facts.backbone}", 330))
    (draw_panels if plane else draw_rows)(canvas, layers)
    return canvas.save(path, fingerprint=_kernel_facts(facts))


def draw_alpha(facts: Facts, path: Path) -> Path:
    """Draw how many choices each layer still weighed, epoch by epoch.

    A layer's number is exp(H), H the entropy of its mixture weights: all choices weighed
    alike count in full, a layer that has made up its mind counts 1.

    Args:
        facts: the bundle's facts, with a search history.
        path: the PNG to write; it is replaced in one step.

    Raises:
        ValueError: the facts hold no search history.
        OSError: the file cannot be written.

    >>> draw_alpha(facts, bundle / "figures" / "alpha.png")  # doctest: +SKIP
    """
    if facts.search is None or not facts.has_history:
        raise ValueError("these facts hold no search history; draw only the kernels")
    epochs = [epoch for epoch, _ in facts.search.alpha]
    first = facts.search.alpha[0][1]
    names = [layer.name for layer in facts.layers if layer.name in first][:MOST_LAYERS]
    counts = _settling(facts.search.alpha, names)

    pitch = min(max(700 // len(names), 27), 60)
    height = pitch * len(names)
    canvas = Canvas(106 + height + 90)
    _title(canvas, "Choices each layer still weighed while searching")
    labels = [canvas.fit(name, 300) for name in names]
    left = MARGIN + max(map(canvas.width, labels)) + 24
    right = WIDTH - MARGIN - 70
    grid = canvas.axes(left, 106, right - left, height)
    top = max(float(np.nanmax(counts, initial=1.0)), 1.01)
    grid.imshow(counts, aspect="auto", cmap="cividis", vmin=1, vmax=top, interpolation="nearest")
    grid.set_yticks(np.arange(1, len(names)) - 0.5)
    grid.grid(axis="y", color="white", linewidth=0.8)
    grid.tick_params(length=0, labelleft=False, labelbottom=False)
    for row, label in enumerate(labels):
        y = 106 + (row + 0.5) * pitch
        canvas.write(left - 18, y, label, ha="right")
        last = counts[row, -1]
        canvas.write(WIDTH - MARGIN, y, "–" if np.isnan(last) else f"{last:.1f}", ha="right")
    step = next(n for n in _STEPS if len(epochs) <= 14 * n)
    for column in range(0, len(epochs), step):
        x = left + (column + 0.5) * (right - left) / len(epochs)
        canvas.write(x, 106 + height + 20, str(epochs[column]), ha="center", color=SOFT)
    canvas.write((left + right) / 2, 106 + height + 54, "search epoch", ha="center", color=SOFT)
    canvas.write(WIDTH - MARGIN, 86, "at the end", ha="right", color=SOFT)
    _colour_key(canvas, left, top)
    return canvas.save(path, fingerprint=_alpha_facts(facts), flat=False)


def effective_choices(weights: Sequence[float]) -> float:
    """exp(H) of mixture weights, H their entropy in nats: 1 when settled, n when open.

    >>> effective_choices([0.25, 0.25, 0.25, 0.25])
    4.0
    >>> effective_choices([1.0, 0.0])
    1.0
    """
    return round(math.exp(-sum(w * math.log(w) for w in weights if w > 0)), 6)


def is_current(facts: Facts, path: Path) -> bool:
    """Whether ``path``, one of `FIGURES` by its name, was drawn from these facts."""
    wanted = FIGURES[path.name].facts(facts)
    return path.is_file() and wanted.encode() in path.read_bytes()


def figures(facts: Facts) -> tuple[str, ...]:
    """Names of the figures that these facts hold the numbers for."""
    return tuple(name for name, figure in FIGURES.items() if figure.there(facts))


def _title(canvas: Canvas, text: str) -> None:
    style = {"fontsize": 13, "weight": "bold"}
    canvas.write(MARGIN, 34, canvas.fit(text, WIDTH - 2 * MARGIN, **style), **style)


def _colour_key(canvas: Canvas, left: float, top: float) -> None:
    canvas.write(left, 80, "1", ha="left", color=SOFT)
    key = canvas.axes(left + 20, 73, 220, 14)
    key.imshow(np.linspace(0, 1, 220)[None], aspect="auto", cmap="cividis")
    canvas.write(left + 250, 80, f"{top:.0f} choices", color=SOFT)


def _settling(
    history: Sequence[tuple[int, Mapping[str, tuple[float, ...]]]], names: list[str]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    counts = np.full((len(names), len(history)), np.nan)
    for column, (_, layers) in enumerate(history):
        for row, name in enumerate(names):
            if name in layers:
                counts[row, column] = effective_choices(layers[name])
    return counts


def _kernel_facts(facts: Facts) -> str:
    layers = [
        [layer.name, layer.choice.to_json(), layer.default_kernel, layer.default_dilation]
        for layer in facts.layers
    ]
    return fingerprint([facts.name, facts.backbone, facts.space is not None, layers])


def _alpha_facts(facts: Facts) -> str:
    return fingerprint([facts.name, facts.search.alpha if facts.search else []])


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of the card: whether facts hold one, what draws it, and a hash of what from."""

    there: Callable[[Facts], object]
    draw: Callable[[Facts, Path], Path]
    facts: Callable[[Facts], str]


FIGURES: Mapping[str, Figure] = {
    # XD-operations have no taps to draw.
    "kernels.png": Figure(there=lambda f: not f.operations, draw=draw_kernels, facts=_kernel_facts),
    "alpha.png": Figure(there=lambda f: f.has_history, draw=draw_alpha, facts=_alpha_facts),
    "scores.png": Figure(there=score_dots, draw=draw_scores, facts=score_facts),
    "latency.png": Figure(there=latency_dots, draw=draw_latency, facts=latency_facts),
}
