"""The kernel picture of a 1-D network: a row a layer, each tap a mark at its offset.

All rows share one axis, in samples of the layer's own input, so reach can be compared by eye.
"""

from __future__ import annotations

from matplotlib.collections import PolyCollection
from matplotlib.ticker import MaxNLocator

from dashzoo_cards.canvas import DEFAULT, FAINT, FIELD, SEARCHED, SOFT, WIDTH, Canvas
from dashzoo_cards.results import Layer

__all__ = ["draw_rows", "marks", "rows_height"]

MARGIN, GAP = 40, 28
HEAD, FOOT = 100, 90
PITCH = (27, 66)  # px a row, at least and at most
TALL = 900


def rows_height(count: int) -> int:
    """Pixels a picture of ``count`` rows needs: about 900, or more where text must fit."""
    return HEAD + FOOT + count * _pitch(count)


def draw_rows(canvas: Canvas, layers: tuple[Layer, ...]) -> None:
    """Draw name, taps, choice and span of every layer below the canvas's head."""
    pitch = _pitch(len(layers))
    names = [canvas.fit(layer.name, 300) for layer in layers]
    choices = [str(layer.choice) for layer in layers]
    spans = [f"spans {layer.choice.extent[0]}" for layer in layers]
    for row in range(0, len(layers), 2):
        y = HEAD + (row + 0.5) * pitch
        canvas.block(WIDTH / 2, y, WIDTH - 2 * MARGIN + 20, pitch, FIELD)
    left = MARGIN + max(map(canvas.width, names)) + GAP
    span_at = WIDTH - MARGIN
    choice_at = span_at - max(map(canvas.width, spans)) - GAP / 2
    right = choice_at - max(canvas.width(c, weight="bold") for c in choices) - GAP

    reach = max(_reach(layer) for layer in layers)
    scale = (right - left) / (2 * reach + 1)
    plot = canvas.axes(left, HEAD, right - left, pitch * len(layers))
    half = (right - left) / 2
    plot.set(xlim=(-half, half), ylim=(pitch * len(layers), 0))

    for offset in MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]).tick_values(
        -reach, reach
    ):
        if abs(offset) <= reach:
            plot.axvline(offset * scale, color=FAINT, linewidth=0.8, zorder=0)
            x, y = left + half + offset * scale, HEAD + pitch * len(layers) + 18
            canvas.write(x, y, f"{offset:.0f}".replace("-", "−"), ha="center", color=SOFT)
    under = HEAD + pitch * len(layers) + 50
    canvas.write(
        left + half,
        under,
        "offset from the centre, in the layer's own samples",
        ha="center",
        color=SOFT,
    )

    for colour, rectangles in (
        (DEFAULT, _default_marks(layers, pitch, scale)),
        (SEARCHED, _searched_marks(layers, pitch, scale)),
    ):
        plot.add_collection(PolyCollection(rectangles, facecolor=colour, linewidth=0))
    for row, (name, choice, span) in enumerate(zip(names, choices, spans, strict=True)):
        y = HEAD + (row + 0.5) * pitch
        canvas.write(left - GAP, y, name, ha="right")
        canvas.write(choice_at, y, choice, ha="right", weight="bold")
        canvas.write(span_at, y, span, ha="right", color=SOFT)


def marks(kernel: int, dilation: int, scale: float, widest: float) -> list[tuple[float, float]]:
    """Left edge and width of each tap of one axis, in pixels from the centre.

    Taps that would touch on paper are drawn as the one bar they look like.

    >>> marks(3, 2, 10.0, 6.0)
    [(-23.0, 6.0), (-3.0, 6.0), (17.0, 6.0)]
    >>> marks(4095, 1, 0.1, 6.0)
    [(-205.2, 410.4)]
    """
    spacing = dilation * scale
    if kernel > 1 and spacing < 3:
        reach = (kernel - 1) / 2 * spacing + max(scale, 1) / 2
        return [(round(-reach, 3), round(2 * reach, 3))]
    width = min(max(0.7 * scale, 4.0), 0.6 * spacing if kernel > 1 else widest, widest)
    width = float(max(round(width), 1))  # whole pixels keep the squares square
    edge = -(kernel - 1) / 2 * spacing - width / 2
    return [(float(round(edge + tap * spacing)), width) for tap in range(kernel)]


def _pitch(count: int) -> int:
    low, high = PITCH
    return min(max((TALL - HEAD - FOOT) // count, low), high)


def _reach(layer: Layer) -> float:
    default = layer.default_dilation[0] * (layer.default_kernel[0] - 1) / 2
    return max(layer.choice.padding[0], default, 1)


Rectangle = list[tuple[float, float]]


def _default_marks(layers: tuple[Layer, ...], pitch: int, scale: float) -> list[Rectangle]:
    found = []
    for row, layer in enumerate(layers):
        top = (row + 0.16) * pitch
        for x, width in marks(layer.default_kernel[0], layer.default_dilation[0], scale, 12):
            found.append(_rectangle(x, top, width, 0.2 * pitch))
    return found


def _searched_marks(layers: tuple[Layer, ...], pitch: int, scale: float) -> list[Rectangle]:
    found = []
    for row, layer in enumerate(layers):
        top = (row + 0.44) * pitch
        for x, width in marks(layer.choice.kernel[0], layer.choice.dilation[0], scale, 12):
            found.append(_rectangle(x, top, width, 0.4 * pitch))
    return found


def _rectangle(x: float, y: float, width: float, height: float) -> Rectangle:
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
