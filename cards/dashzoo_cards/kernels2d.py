"""The kernel picture of a 2-D network: a panel a layer, each tap a square on the pixel grid.

All panels share one scale, so reach can be compared by eye; the default kernel is an outline.
"""

from __future__ import annotations

import math
from itertools import product

from matplotlib.collections import PolyCollection
from matplotlib.patches import Rectangle

from dashzoo_cards.canvas import FIELD, INK, SEARCHED, SOFT, WIDTH, Canvas
from dashzoo_cards.kernels1d import marks
from dashzoo_cards.results import Layer

__all__ = ["draw_panels", "panels_height"]

MARGIN, GAP = 40, 18
HEAD, FOOT = 104, 24
LABEL = 54  # px above a panel, for its two lines
LARGEST = 360


def panels_height(count: int) -> int:
    """Pixels a picture of ``count`` panels needs."""
    columns, side = _grid(count)
    return HEAD + FOOT + math.ceil(count / columns) * (side + LABEL + GAP)


def draw_panels(canvas: Canvas, layers: tuple[Layer, ...]) -> None:
    """Draw a panel for every layer below the canvas's head, row by row."""
    columns, side = _grid(len(layers))
    pixels = max(max(layer.choice.extent + _default_extent(layer)) for layer in layers)
    pixels = max(math.ceil(pixels * 1.08), pixels + 2, 7)  # some margin
    for index, layer in enumerate(layers):
        row, column = divmod(index, columns)
        x = MARGIN + column * (side + GAP)
        y = HEAD + row * (side + LABEL + GAP)
        canvas.write(x, y + 12, canvas.fit(layer.name, side))
        canvas.write(x, y + 38, str(layer.choice), weight="bold")
        choice = canvas.width(str(layer.choice), weight="bold")
        span = "×".join(map(str, layer.choice.extent))
        square = f"{layer.choice.extent[0]}²" if len(set(layer.choice.extent)) == 1 else span
        for words in (f"spans {span}", span, square):
            if choice + canvas.width(words) + 8 < side:
                canvas.write(x + side, y + 38, words, ha="right", color=SOFT)
                break
        _draw_panel(canvas, layer, (x, y + LABEL, side), side / pixels)
    note = f"each panel is {pixels} × {pixels} pixels of its layer's input"
    canvas.write(WIDTH - MARGIN, 72, note, ha="right", color=SOFT)


def _draw_panel(
    canvas: Canvas, layer: Layer, place: tuple[float, float, float], scale: float
) -> None:
    left, top, side = place
    axes = canvas.axes(left, top, side, side)
    axes.set(xlim=(-side / 2, side / 2), ylim=(side / 2, -side / 2), facecolor=FIELD)
    if scale >= 8:
        cells = int(side / scale / 2) + 1
        for cell in range(-cells, cells):
            axes.axhline((cell + 0.5) * scale, color="white", linewidth=0.6, zorder=0)
            axes.axvline((cell + 0.5) * scale, color="white", linewidth=0.6, zorder=0)
    (rows, columns), (d_rows, d_columns) = layer.choice.kernel, layer.choice.dilation
    taps = [
        [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        for (y, h), (x, w) in product(
            marks(rows, d_rows, scale, scale * 0.8 + 2),
            marks(columns, d_columns, scale, scale * 0.8 + 2),
        )
    ]
    axes.add_collection(PolyCollection(taps, facecolor=SEARCHED, linewidth=0))
    height, width = (extent * scale + 3 for extent in _default_extent(layer))
    outline = Rectangle(
        (-width / 2, -height / 2), width, height, fill=False, edgecolor=INK, linewidth=0.8
    )
    axes.add_patch(outline)


def _default_extent(layer: Layer) -> tuple[int, ...]:
    sizes = zip(layer.default_kernel, layer.default_dilation, strict=True)
    return tuple(d * (k - 1) + 1 for k, d in sizes)


def _grid(count: int) -> tuple[int, int]:
    columns = count if count <= 3 else min(math.ceil(math.sqrt(count * 1.3)), 7)
    side = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) // columns
    return columns, min(side, LARGEST) // 2 * 2
