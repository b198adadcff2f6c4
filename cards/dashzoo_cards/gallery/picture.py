"""All kernels of a network in one small picture, for the index."""

from __future__ import annotations

from itertools import product

from dashzoo_cards.facts import Facts
from dashzoo_cards.html.drawing import Drawing
from dashzoo_cards.kernels1d import marks
from dashzoo_cards.markdown import line
from dashzoo_cards.results import Layer

__all__ = ["kernel_picture"]

WIDTH, HEIGHT = 300, 150
MOST_ROWS = 15
ACROSS, MOST_PANELS = 6, 18


def kernel_picture(facts: Facts) -> Drawing:
    """The kernels that the network has, layer below layer, or panel beside panel for images.

    A row is a layer of a sequence's network, its taps at their offsets, to one scale; a panel one
    of an image's. Layers that keep the backbone's own kernel are grey. The first of a great many
    are drawn.
    """
    drawing = Drawing(WIDTH, HEIGHT, title=_title(facts))
    if facts.task.dims == 1:
        _rows(drawing, facts)
    else:
        _panels(drawing, facts)
    return drawing


def _rows(drawing: Drawing, facts: Facts) -> None:
    layers = facts.layers[:MOST_ROWS]
    pitch = min(HEIGHT / len(layers), 22)
    top = (HEIGHT - pitch * len(layers)) / 2
    tall = 0.62 * pitch
    scale = WIDTH / (_reach(facts, layers) + 1)
    for row, layer in enumerate(layers):
        y = top + (row + 0.5) * pitch
        drawing.add("rect", x=0, y=y - 0.5, width=WIDTH, height=1, class_="field")
        if _is_xd(facts, layer):
            drawing.add("rect", x=0, y=y - tall / 2, width=WIDTH, height=tall, class_="ours wash")
            continue
        (kernel,), (dilation,) = _choice(facts, layer)
        path = "".join(
            f"M{WIDTH / 2 + x:.1f} {y - tall / 2:.1f}h{width:.1f}v{tall:.1f}h-{width:.1f}z"
            for x, width in marks(kernel, dilation, scale, 9)
        )
        drawing.add("path", d=path, class_="ours" if _changed(facts, layer) else "theirs")


def _panels(drawing: Drawing, facts: Facts) -> None:
    layers = facts.layers[:MOST_PANELS]
    rows = -(-len(layers) // ACROSS)
    side = min(WIDTH / min(ACROSS, len(layers)), HEIGHT / rows, 90.0)
    across = min(ACROSS, len(layers))
    left, top = (WIDTH - side * across) / 2, (HEIGHT - side * rows) / 2
    inner = side - 4
    scale = inner / (_reach(facts, layers) + 1)
    for number, layer in enumerate(layers):
        x = left + (number % across) * side + 2
        y = top + (number // across) * side + 2
        drawing.add("rect", x=x, y=y, width=inner, height=inner, rx=3, class_="field")
        if _is_xd(facts, layer):
            drawing.add("rect", x=x, y=y, width=inner, height=inner, rx=3, class_="ours wash")
            continue
        kernel, dilation = _choice(facts, layer)
        down, along = (
            marks(k, d, scale, 0.8 * scale + 1) for k, d in zip(kernel, dilation, strict=True)
        )
        path = "".join(
            f"M{x + inner / 2 + dx:.1f} {y + inner / 2 + dy:.1f}h{wide:.1f}v{tall:.1f}h-{wide:.1f}z"
            for (dy, tall), (dx, wide) in product(down, along)
        )
        drawing.add("path", d=path, class_="ours" if _changed(facts, layer) else "theirs")


def _choice(facts: Facts, layer: Layer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if facts.shipped == "default":
        return layer.default_kernel, layer.default_dilation
    return layer.choice.kernel, layer.choice.dilation


def _changed(facts: Facts, layer: Layer) -> bool:
    return _choice(facts, layer) != (layer.default_kernel, layer.default_dilation)


def _is_xd(facts: Facts, layer: Layer) -> bool:
    return layer.xd is not None and facts.shipped == "searched"


def _reach(facts: Facts, layers: tuple[Layer, ...]) -> int:
    spans = [
        d * (k - 1) + 1 for layer in layers for k, d in zip(*_choice(facts, layer), strict=True)
    ]
    return max(spans)


def _title(facts: Facts) -> str:
    told = []
    for layer in facts.layers[:6]:
        kernel, dilation = _choice(facts, layer)
        size = "×".join(map(str, kernel))
        step = f" dilation {'×'.join(map(str, dilation))}" if max(dilation) > 1 else ""
        told.append("XD-operation" if _is_xd(facts, layer) else f"{size}{step}")
    rest = len(facts.layers) - len(told)
    more = f" and {rest} more" if rest > 0 else ""
    return f"Kernels of {line(facts.name)}: {', '.join(told)}{more}"
