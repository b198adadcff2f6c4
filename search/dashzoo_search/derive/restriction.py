"""What stays of an aggregated kernel, and of its output, when it is restricted to a support.

With y the layer's output and y_S what the aggregated kernel restricted to the support S gives,

    explained(S) = mean over channels of r²(y, y_S),   r the correlation over samples, positions,

which does not mind the scale and shift that the norm after it absorbs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from dashzoo_search.ops import AggConv
from dashzoo_search.ops.direct import CONVOLUTIONS
from dashzoo_search.supernet import Supernet

__all__ = [
    "centred",
    "energy_shares",
    "explained",
    "mixed_layers",
    "visit_layers",
]


def energy_shares(layer: AggConv) -> list[float]:
    """Energy of the aggregated kernel on each choice's support, the largest being 1."""
    with torch.no_grad():
        held = [float(layer.restricted(i).square().sum()) for i in range(len(layer.choices))]
    return [energy / (max(held) or 1.0) for energy in held]


def explained(
    supernet: Supernet, samples: Tensor, *, only: Mapping[str, int] | None = None
) -> dict[str, list[float]]:
    """Share of each layer's output, 0 to 1, that its choices explain on ``samples``.

    Args:
        supernet: of `AggConv`s.
        samples: raw samples [b, c, …].
        only: one choice a layer, where the others are of no interest.
    """
    scores: dict[str, list[float]] = {}

    def visit(name: str, layer: AggConv, x: Tensor, y: Tensor) -> None:
        indices = range(len(layer.choices)) if only is None else [only[name]]
        scores[name] = [_r_squared(y, _restricted_output(layer, i, x)) for i in indices]

    visit_layers(supernet, samples, visit)
    return scores


def visit_layers(
    supernet: Supernet, samples: Tensor, visit: Callable[[str, AggConv, Tensor, Tensor], None]
) -> None:
    """Call ``visit(name, layer, input, output)`` for each layer of one pass in eval mode."""

    def hook(name: str) -> object:
        def told(layer: AggConv, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            visit(name, layer, inputs[0], output)

        return told

    hooks = [
        layer.register_forward_hook(hook(name))  # type: ignore[arg-type]
        for name, layer in mixed_layers(supernet).items()
    ]
    training = supernet.training
    try:
        with torch.no_grad():
            supernet.eval()(samples)
    finally:
        supernet.train(training)
        for handle in hooks:
            handle.remove()


def mixed_layers(supernet: Supernet) -> dict[str, AggConv]:
    """The layers of a supernet of mixtures.

    Raises:
        ValueError: it is one of paths.
    """
    layers = {n: layer for n, layer in supernet.layers.items() if isinstance(layer, AggConv)}
    if len(layers) < len(supernet.layers):
        raise ValueError("rules are for mixtures; a search over paths has its spec already")
    return layers


def centred(y: Tensor) -> Tensor:
    """``y [b, o, …]`` less the mean of each channel."""
    return y - y.mean((0, *range(2, y.ndim)), keepdim=True)


def _restricted_output(layer: AggConv, index: int, x: Tensor) -> Tensor:
    choice = layer.choices[index]
    convolve = CONVOLUTIONS[layer.dims]
    weight = layer.restricted(index)
    return convolve(x, weight, None, layer.stride, choice.padding, choice.dilation, layer.groups)


def _r_squared(y: Tensor, other: Tensor) -> float:
    axes = (0, *range(2, y.ndim))
    a, b = centred(y), centred(other)
    both = (a * b).sum(axes).square()
    alone = a.square().sum(axes) * b.square().sum(axes)
    return float(torch.where(alone > 0, both / alone, torch.zeros_like(both)).mean())
