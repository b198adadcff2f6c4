"""How far the network sees against how long its input is.

    r = 1 + Σ_l (e_l − 1) · j_l

over convolutions and pooling windows l, e_l the extent d(k−1)+1 and j_l the product of the strides
before it: exact for chains and residual networks, an upper bound where branches run side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dashzoo_cards.facts import Facts
from dashzoo_cards.html.drawing import Drawing, Series, line_chart

__all__ = ["Reach", "reach"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Receptive fields along the last axis, in samples as the backbone sees them.

    Attributes:
        size: of the input there.
        searched, default: of the network with these kernels, and with the backbone's own.
        steps: (window, that of the searched so far, that of the default).
        exact: whether every window was recorded; else only the searched layers are counted.
        drawing: how it grows from window to window.
    """

    size: int
    searched: int
    default: int
    steps: tuple[tuple[str, int, int], ...]
    exact: bool
    drawing: Drawing


def reach(facts: Facts, windows: Mapping[str, tuple[int, int]]) -> Reach | None:
    """What the recorded windows come to; None where layers are no kernels.

    Args:
        facts: the layers, whose own extents take the place of the backbone's.
        windows: extent and jump by name, as the backbone comes; empty where not recorded, and then
            jumps are taken from the sizes of the layers' inputs.
    """
    if facts.operations:
        return None
    size = facts.resize or facts.task.size[-1]
    layers = {layer.name: layer for layer in facts.layers}
    if not windows:
        windows = {
            layer.name: (
                layer.default_dilation[-1] * (layer.default_kernel[-1] - 1) + 1,
                max(1, round(size / layer.size[-1])),
            )
            for layer in facts.layers
        }
        exact = False
    else:
        exact = True
    searched = default = 1
    steps = []
    for name, (extent, jump) in windows.items():
        found = layers[name].choice.extent[-1] if name in layers else extent
        searched += (found - 1) * jump
        default += (extent - 1) * jump
        steps.append((name, searched, default))
    lines = [
        Series(name="default kernels", values=[step[2] for step in steps], look="theirs"),
        Series(name=facts.candidate, values=[step[1] for step in steps], look="ours"),
        Series(name="input", values=[size] * len(steps), look="third"),
    ]
    axis = "length" if facts.task.dims == 1 else "side"
    return Reach(
        size=size,
        searched=searched,
        default=default,
        steps=tuple(steps),
        exact=exact,
        drawing=line_chart(
            lines,
            title=f"Receptive field layer by layer: {searched:,} samples in the end with "
            f"{facts.candidate}, {default:,} with the default ones, input {axis} {size:,}",
            x_label="convolution or pooling, from the input",
            text=lambda value: f"{value:,.0f}",
            floor=0,
        ),
    )
