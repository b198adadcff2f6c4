"""From a trained supernet to one choice a layer.

Three rules:

- ``argmax``: the choice with the largest α, as in DASH. α is not identifiable where the support of
  one choice contains another's: a choice can win as a mere helper of the others.
- ``energy``: of the choices whose support holds nearly the most of the aggregated kernel's energy
  (squared weights), the one with the fewest taps. It asks what was learned, but counts taps that
  hardly ever touch the signal as much as the centre.
- ``explained``: of the choices whose restriction of the aggregated kernel explains nearly the most
  of the layer's output on real samples, the one with the fewest taps. With y the layer's output and
  y_S what the aggregated kernel restricted to the support S gives,

      explained(S) = mean over channels of r²(y, y_S),   r the correlation over samples, positions,

  which does not mind the scale and shift that the norm after it absorbs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from dashzoo_search.ops import AggConv
from dashzoo_search.ops.direct import CONVOLUTIONS
from dashzoo_search.spec import KernelSpec
from dashzoo_search.supernet import Supernet

__all__ = ["Rule", "derive", "explained"]

Rule = Literal["argmax", "energy", "explained"]

ENERGY_SLACK = 0.1
EXPLAINED_SLACK = 0.1


def derive(supernet: Supernet, rule: Rule = "argmax", samples: Tensor | None = None) -> KernelSpec:
    """Pick a choice for every layer of ``supernet``.

    Args:
        supernet: trained.
        rule: ``"argmax"``, ``"energy"`` or ``"explained"``, see above.
        samples: raw samples [b, c, …], on the supernet's device; only ``"explained"`` needs them.

    Raises:
        ValueError: no such rule, or no samples for one that needs them.
    """
    layers = _mixed(supernet)
    if rule == "argmax":
        scores = {name: layer.alpha.tolist() for name, layer in layers.items()}
        picked = {name: max(range(len(s)), key=s.__getitem__) for name, s in scores.items()}
    elif rule == "energy":
        scores = {name: energy_shares(layer) for name, layer in layers.items()}
        picked = {n: _fewest_taps(layers[n], s, ENERGY_SLACK) for n, s in scores.items()}
    elif rule == "explained":
        if samples is None:
            raise ValueError("the rule 'explained' needs samples")
        scores = explained(supernet, samples)
        picked = {n: _fewest_taps(layers[n], s, EXPLAINED_SLACK) for n, s in scores.items()}
    else:
        raise ValueError(f"no rule {rule!r}; take one of {', '.join(get_args(Rule))}")
    return KernelSpec(
        dims=supernet.network.dims,
        layers={name: supernet.choices(name)[index] for name, index in picked.items()},
    )


def energy_shares(layer: AggConv) -> list[float]:
    """Energy of the aggregated kernel on each choice's support, the largest being 1."""
    with torch.no_grad():
        held = [float(layer.restricted(i).square().sum()) for i in range(len(layer.choices))]
    return [energy / (max(held) or 1.0) for energy in held]


def explained(supernet: Supernet, samples: Tensor) -> dict[str, list[float]]:
    """Share of each layer's output, 0 to 1, that each of its choices explains on ``samples``."""
    scores: dict[str, list[float]] = {}

    def score(name: str) -> object:
        def hook(layer: AggConv, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            scores[name] = [
                _r_squared(output, _restricted_output(layer, i, inputs[0]))
                for i in range(len(layer.choices))
            ]

        return hook

    hooks = [
        layer.register_forward_hook(score(name))  # type: ignore[arg-type]
        for name, layer in _mixed(supernet).items()
    ]
    training = supernet.training
    try:
        with torch.no_grad():
            supernet.eval()(samples)
    finally:
        supernet.train(training)
        for handle in hooks:
            handle.remove()
    return scores


def _mixed(supernet: Supernet) -> dict[str, AggConv]:
    layers = {n: layer for n, layer in supernet.layers.items() if isinstance(layer, AggConv)}
    if len(layers) < len(supernet.layers):
        raise ValueError("rules are for mixtures; a search over paths has its spec already")
    return layers


def _restricted_output(layer: AggConv, index: int, x: Tensor) -> Tensor:
    choice = layer.choices[index]
    convolve = CONVOLUTIONS[layer.dims]
    weight = layer.restricted(index)
    return convolve(x, weight, None, layer.stride, choice.padding, choice.dilation, layer.groups)


def _r_squared(y: Tensor, other: Tensor) -> float:
    axes = (0, *range(2, y.ndim))
    a, b = (t - t.mean(axes, keepdim=True) for t in (y, other))
    both = (a * b).sum(axes).square()
    alone = a.square().sum(axes) * b.square().sum(axes)
    return float(torch.where(alone > 0, both / alone, torch.zeros_like(both)).mean())


def _fewest_taps(layer: AggConv, scores: Sequence[float], slack: float) -> int:
    near = [i for i, score in enumerate(scores) if score >= max(scores) - slack]
    return min(near, key=lambda i: (layer.choices[i].taps, -scores[i]))
