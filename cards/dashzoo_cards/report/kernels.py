"""The kernel atlas: every layer's taps to one scale, the backbone's own beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from dashzoo_cards.facts import Facts
from dashzoo_cards.html.drawing import Drawing
from dashzoo_cards.kernels1d import marks
from dashzoo_cards.markdown import line
from dashzoo_cards.results import Layer

__all__ = ["MOST_LAYERS", "Plate", "atlas"]

MOST_LAYERS = 120
ROW, SIDE = 320, 132  # units across: a row of a sequence's kernel, a panel of an image's


@dataclass(frozen=True, slots=True, kw_only=True)
class Plate:
    """One layer of the atlas."""

    layer: Layer
    found: str
    own: str
    changed: bool
    drawing: Drawing


def atlas(facts: Facts) -> tuple[Plate, ...]:
    """A plate for each searched layer, the first of a great many, all to one scale."""
    layers = facts.layers[:MOST_LAYERS]
    draw = _row if facts.task.dims == 1 else _panel
    reach = max(max(_extent(layer), _own_extent(layer)) for layer in layers)
    return tuple(
        Plate(
            layer=layer,
            found=_found(layer),
            own=_told(layer.default_kernel, layer.default_dilation),
            changed=_changed(layer),
            drawing=draw(layer, max(reach, 3)),
        )
        for layer in layers
    )


def _row(layer: Layer, reach: int) -> Drawing:
    drawing = Drawing(ROW, 26, title=_title(layer), stretched=True)
    scale = ROW / (reach + 1)
    middle = ROW / 2
    drawing.add("rect", x=0, y=12, width=ROW, height=1, class_="axis-fill")
    for look, (kernel, dilation), top, tall in (
        ("theirs", (layer.default_kernel[0], layer.default_dilation[0]), 0, 7),
        ("ours", (layer.choice.kernel[0], layer.choice.dilation[0]), 9, 17),
    ):
        if look == "ours" and layer.xd is not None:
            drawing.add("rect", x=0, y=top, width=ROW, height=tall, class_="ours wash")
            continue
        path = "".join(
            f"M{middle + x:g} {top}h{width:g}v{tall}h-{width:g}z"
            for x, width in marks(kernel, dilation, scale, 12)
        )
        drawing.add("path", d=path, class_=look)
    return drawing


def _panel(layer: Layer, reach: int) -> Drawing:
    drawing = Drawing(SIDE, SIDE, title=_title(layer))
    scale = SIDE / (reach + 1)
    middle = SIDE / 2
    drawing.add("rect", width=SIDE, height=SIDE, rx=4, class_="field")
    if layer.xd is not None:
        drawing.add("rect", x=4, y=4, width=SIDE - 8, height=SIDE - 8, class_="ours wash")
    else:
        rows, columns = (
            marks(kernel, dilation, scale, 0.8 * scale + 2)
            for kernel, dilation in zip(layer.choice.kernel, layer.choice.dilation, strict=True)
        )
        path = "".join(
            f"M{middle + x:g} {middle + y:g}h{width:g}v{tall:g}h-{width:g}z"
            for (y, tall), (x, width) in product(rows, columns)
        )
        drawing.add("path", d=path, class_="ours")
    tall, wide = (
        (dilation * (kernel - 1) + 1) * scale + 3
        for kernel, dilation in zip(layer.default_kernel, layer.default_dilation, strict=True)
    )
    drawing.add(
        "rect",
        x=middle - wide / 2,
        y=middle - tall / 2,
        width=wide,
        height=tall,
        class_="outline",
    )
    return drawing


def _title(layer: Layer) -> str:
    own = _told(layer.default_kernel, layer.default_dilation)
    spans = "×".join(map(str, layer.choice.extent))
    if layer.xd is not None:
        return f"{line(layer.name)}: an XD-operation over the whole plane; by default {own}"
    return f"{line(layer.name)}: {_found(layer)}, spans {spans}; by default {own}"


def _found(layer: Layer) -> str:
    if layer.xd is not None:
        return "XD-operation"
    return _told(layer.choice.kernel, layer.choice.dilation)


def _told(kernel: Sequence[int], dilation: Sequence[int]) -> str:
    sizes = ["×".join(map(str, n)) if len(set(n)) > 1 else str(n[0]) for n in (kernel, dilation)]
    return f"kernel {sizes[0]}" + (f", dilation {sizes[1]}" if max(dilation) > 1 else "")


def _changed(layer: Layer) -> bool:
    own = (layer.default_kernel, layer.default_dilation)
    return layer.xd is not None or (layer.choice.kernel, layer.choice.dilation) != own


def _extent(layer: Layer) -> int:
    return max(layer.choice.extent)


def _own_extent(layer: Layer) -> int:
    sizes = zip(layer.default_kernel, layer.default_dilation, strict=True)
    return max(math.prod((dilation, kernel - 1)) + 1 for kernel, dilation in sizes)
