"""Fewer choices in a layer, and all of them again, with what it computes kept.

Dropping choices from an `AggConv` drops summands of its aggregated kernel A. What they gave at
offsets that a survivor also touches is handed over to the survivors, so that A stays as it was
there: with p the survivors' coefficients and r = A_old − A_new what is missing at offset t,

    w_c[t] += r[t] · p_c / Σ_c p_c²     over the survivors c that touch t,

the smallest change of the weights, in squares, that does it. What is lost is A at the offsets that
no survivor touches, and nothing else; `stranded` says how much that is.

Layers are changed in place: parameters are new objects, because their shapes change, and
`hand_over` puts them, with the rows of their moments, where an optimiser has the old ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dashzoo_search.ops import AggConv
from dashzoo_search.ops.cost import LastPick
from dashzoo_search.ops.geometry import Geometry
from dashzoo_search.relax import Softmax

__all__ = ["Swap", "hand_over", "narrow", "stranded", "widen"]

NEVER = -1e4  # a logit whose softmax is exactly zero

Swap = tuple[nn.Parameter, nn.Parameter, list[int] | None]


def narrow(layer: AggConv, keep: Sequence[int]) -> list[Swap]:
    """Leave ``layer`` only the choices ``keep``, in place.

    Args:
        layer: with weights of their own for each choice.
        keep: indices into its choices, ascending.

    Returns:
        The parameters that were replaced: the old one, the new one, and the rows that it kept.

    Raises:
        ValueError: shared weights, or indices that are not of its choices, ascending.
    """
    old = layer.geometry
    if old.shared:
        raise ValueError("choices that share their weights cannot be dropped")
    if not keep or list(keep) != sorted({*keep} & {*range(len(old.choices))}):
        raise ValueError(f"cannot keep {list(keep)} of {len(old.choices)} choices")
    new = Geometry.of([old.choices[i] for i in keep], causal=old.causal)
    rows = [row for index in keep for row in range(old.bounds[index], old.bounds[index + 1])]
    training = layer.relaxation.training
    layer.relaxation.eval()
    with torch.no_grad():
        _, before = layer.aggregated()
        weight, alpha = layer.weight, layer.alpha
        layer.weight = nn.Parameter(weight[rows])
        layer.alpha = nn.Parameter(alpha[list(keep)])
        _lay_out(layer, new)
        _, after = layer.aggregated()
        number = {offset: t for t, offset in enumerate(old.offsets)}
        missing = before[[number[offset] for offset in new.offsets]] - after
        p = layer.coefficients()
        at = torch.tensor(new.slot_offset, device=p.device)
        each = p[torch.tensor(new.slot_choice, device=p.device)]
        squares = torch.zeros(len(new.offsets), device=p.device, dtype=p.dtype)
        squares.index_add_(0, at, each.square())
        # A straight-through layer computes only its leader; the others keep their weights.
        part = torch.where(each > 0, each / squares[at].clamp_min(1e-30), torch.zeros_like(each))
        layer.weight.add_(missing[at] * part[:, None, None])
    layer.relaxation.train(training)
    return [(weight, layer.weight, rows), (alpha, layer.alpha, list(keep))]


def widen(layer: AggConv, geometry: Geometry, keep: Sequence[int]) -> None:
    """Give ``layer`` all choices of ``geometry`` again, in place; it computes what it did.

    The choices it did not have get no weight and no share. Whatever its relaxation was, it is a
    plain softmax afterwards, and α the logarithm of the coefficients that evaluation used.

    Args:
        layer: one that was narrowed, or not.
        geometry: that it had at first.
        keep: the indices that it was left with.
    """
    plain = isinstance(layer.relaxation, Softmax) and layer.relaxation.temperature == 1
    if plain and len(keep) == len(geometry.choices):
        return
    training = layer.relaxation.training
    layer.relaxation.eval()
    with torch.no_grad():
        p = layer.relaxation(layer.alpha)
        logits = torch.where(p > 0, p.log(), torch.full_like(p, NEVER))
        alpha = layer.alpha.new_full((len(geometry.choices),), NEVER)
        alpha[list(keep)] = logits
        weight = layer.weight.new_zeros((geometry.rows, *layer.weight.shape[1:]))
        rows = [row for index in keep for row in geometry.rows_of(index)]
        weight[rows] = layer.weight
        layer.weight, layer.alpha = nn.Parameter(weight), nn.Parameter(alpha)
    layer.relaxation = Softmax().train(training)
    _lay_out(layer, geometry)


def stranded(layer: AggConv, keep: Iterable[int]) -> float:
    """Share of the aggregated kernel's energy at offsets that no choice of ``keep`` touches."""
    touched = {t for i in keep for t in layer.geometry.slot_offset[layer.geometry.slice(i)]}
    with torch.no_grad():
        energy: Tensor = layer.aggregated()[1].square().sum((1, 2))
    lost = [t for t in range(len(energy)) if t not in touched]
    return float(energy[lost].sum() / energy.sum().clamp_min(1e-30))


def hand_over(optimizer: Optimizer, parameters: list[nn.Parameter], swaps: Iterable[Swap]) -> None:
    """Put new parameters in the place of old ones, with the rows they kept of the moments.

    Args:
        optimizer: changed in place, so that a schedule that holds it goes on.
        parameters: the stepper's list of them, changed in place.
        swaps: as `narrow` returns them, or without rows where no moments are to be kept; those of
            other optimisers are passed over.
    """
    new_of = {id(old): (new, rows) for old, new, rows in swaps}
    for group in optimizer.param_groups:
        for place, old in enumerate(group["params"]):
            if id(old) not in new_of:
                continue
            new, rows = new_of[id(old)]
            group["params"][place] = new
            entry = optimizer.state.pop(old, None)
            if entry and rows is not None:
                optimizer.state[new] = {
                    key: value[rows] if value.shape == old.shape else value
                    for key, value in entry.items()
                }
    parameters[:] = [new_of[id(p)][0] if id(p) in new_of else p for p in parameters]


def _lay_out(layer: AggConv, geometry: Geometry) -> None:
    layer.geometry = geometry
    layer._cheapest = LastPick()  # it remembers by shape, and speaks of another geometry now
