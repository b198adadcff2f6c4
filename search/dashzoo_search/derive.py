"""From a trained supernet to one choice a layer.

Two rules:

- ``argmax``: the choice with the largest α, as in DASH.
- ``energy``: of the choices whose support holds nearly the most of the aggregated kernel's energy
  (squared weights), the one with the fewest taps. α alone is not identifiable where one support
  contains another; the aggregated kernel is.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch

from dashzoo_search.ops import AggConv
from dashzoo_search.spec import KernelSpec
from dashzoo_search.supernet import Supernet

__all__ = ["Rule", "derive"]

Rule = Literal["argmax", "energy"]

NEARLY = 0.9


def derive(supernet: Supernet, rule: Rule = "argmax") -> KernelSpec:
    """Pick a choice for every layer of ``supernet``.

    Args:
        supernet: trained.
        rule: ``"argmax"`` or ``"energy"``, see above.

    Raises:
        ValueError: no such rule.
    """
    if rule not in get_args(Rule):
        raise ValueError(f"no rule {rule!r}; take one of {', '.join(get_args(Rule))}")
    pick = _argmax if rule == "argmax" else _energy
    layers = {}
    for name, layer in supernet.layers.items():
        layers[name] = supernet.choices(name)[pick(layer)]
    return KernelSpec(dims=supernet.network.dims, layers=layers)


def _argmax(layer: AggConv) -> int:
    return int(layer.alpha.argmax())


def _energy(layer: AggConv) -> int:
    with torch.no_grad():
        held = [float(layer.restricted(i).square().sum()) for i in range(len(layer.choices))]
    enough = [i for i, energy in enumerate(held) if energy >= NEARLY * max(held)]
    return min(enough, key=lambda i: (layer.choices[i].taps, -held[i]))
