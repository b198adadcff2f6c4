"""Fewer choices in a layer, and all of them again, with what it computes kept.

Dropping choices from an `AggConv` drops summands of its aggregated kernel A. What they gave at
offsets that a survivor also touches is handed over to the survivors, so that A stays as it was
there: with p the survivors' coefficients and r = A_old − A_new what is missing at offset t,

    w_c[t] += r[t] · p_c / Σ_c p_c²     over the survivors c that touch t,

the smallest change of the weights, in squares, that does it. What is lost is A at the offsets that
no survivor touches, and nothing else; `stranded` says how much that is.

Choices that share their weights cannot take over tap by tap. There w += B⁺ r, with B the small
matrix from rows of weight to offsets: A stays as it was where the survivors have one dilation, and
else as near to it as shared taps can come.

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
RTOL = 1e-3

Swap = tuple[nn.Parameter, nn.Parameter, list[int] | None]


def narrow(layer: AggConv, keep: Sequence[int]) -> list[Swap]:
    """Leave ``layer`` only the choices ``keep``, in place.

    Args:
        layer: its relaxation and what it computes are asked in eval mode.
        keep: indices into its choices, ascending.

    Returns:
        The parameters that were replaced: the old one, the new one, and the rows that it kept.

    Raises:
        ValueError: indices that are not of its choices, ascending.
    """
    old = layer.geometry
    if not keep or list(keep) != sorted({*keep} & {*range(len(old.choices))}):
        raise ValueError(f"cannot keep {list(keep)} of {len(old.choices)} choices")
    new = Geometry.of([old.choices[i] for i in keep], shared=old.shared, causal=old.causal)
    rows = _rows(new, old, keep)
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
        layer.weight.add_((_shared if new.shared else _separate)(layer, missing))
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
        weight[_rows(layer.geometry, geometry, keep)] = layer.weight
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


def _rows(new: Geometry, old: Geometry, keep: Sequence[int]) -> list[int]:
    """The rows of ``old`` that ``new``, its choices ``keep``, has, in the order it has them."""
    if new.shared:
        return new.rows_within(old)
    return [row for index in keep for row in old.rows_of(index)]


def _separate(layer: AggConv, missing: Tensor) -> Tensor:
    """The change of weight that makes up for what is ``missing [T, o, i]``."""
    geometry, p = layer.geometry, layer.coefficients()
    at = torch.tensor(geometry.slot_offset, device=p.device)
    each = p[torch.tensor(geometry.slot_choice, device=p.device)]
    squares = torch.zeros(len(geometry.offsets), device=p.device, dtype=p.dtype)
    squares.index_add_(0, at, each.square())
    # A straight-through layer computes only its leader; the others keep their weights.
    part = torch.where(each > 0, each / squares[at].clamp_min(1e-30), torch.zeros_like(each))
    return missing[at] * part[:, None, None]


def _shared(layer: AggConv, missing: Tensor) -> Tensor:
    """The same where rows of weight serve many offsets: the least one of the nearest."""
    geometry, p = layer.geometry, layer.coefficients().double().cpu()
    mix = p.new_zeros(len(geometry.offsets), geometry.rows)
    at, row, choice = map(
        torch.tensor, (geometry.slot_offset, geometry.slot_row, geometry.slot_choice)
    )
    mix.index_put_((at, row), p[choice], accumulate=True)
    # Rows that hardly count would have to change by as much more.
    back: Tensor = torch.linalg.pinv(mix, rtol=RTOL).to(missing)
    return (back @ missing.flatten(1)).view(-1, *missing.shape[1:])


def _lay_out(layer: AggConv, geometry: Geometry) -> None:
    layer.geometry = geometry
    layer._cheapest = LastPick()  # it remembers by shape, and speaks of another geometry now
