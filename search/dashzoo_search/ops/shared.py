"""Many sizes and dilations of one master kernel, in the frequency domain.

Dilation only reorders frequencies, so the spectrum of all choices together is that of the master
with its rows of constants gathered and weighed:

    DFT_N(dilate_d(w))[f] = DFT_N(w)[d·f mod N]
    W[f] = Σ_r C[f, r] · w_r,   C[f, r] = Σ_d β_d[r] · e^{2πi d·f·r / N}
    β_d[r] = Σ_k α_kd · [r is a tap of size k]

C is small (no channels), and the one large matmul has as many rows as the largest kernel has
taps, whatever the dilations. Odd sizes only: then β_d mirrors about the middle tap, and cosines
and sines suffice.

Legend: R taps of the master, r their offsets at dilation 1, F frequencies, N transform length.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from dashzoo_search.ops.geometry import Geometry
from dashzoo_search.ops.spectrum import Plan, wave_table
from dashzoo_search.ops.taps import Offsets, index_tensor, moving, support

__all__ = ["Sharing", "response", "sharing"]

LARGEST_TABLE = 8_000_000  # numbers; where more would be needed, taps are summed instead


@dataclass(frozen=True, slots=True)
class Sharing:
    """Which taps of the master each dilation uses on a signal of a given size.

    Attributes:
        offsets: all that are reached, sorted.
        axes: along which the kernel has more than one tap.
        dilations: the distinct ones, along ``axes``.
        rows: offsets of the master's taps at dilation 1, along ``axes``.
        choice: for every slot that reaches the signal, the number of its choice.
        place: for each of these, the number of its dilation times R, plus its row.
    """

    offsets: Offsets
    axes: tuple[int, ...]
    dilations: tuple[tuple[int, ...], ...]
    rows: Offsets
    choice: tuple[int, ...]
    place: tuple[int, ...]

    def betas(self, coefficients: Tensor) -> Tensor:
        """β ``[dilations, R]`` from the choices' coefficients."""
        choice, place = (index_tensor(v, coefficients.device) for v in (self.choice, self.place))
        room = coefficients.new_zeros(len(self.dilations) * len(self.rows))
        summed = room.index_add(0, place, coefficients.index_select(0, choice))
        return summed.view(len(self.dilations), -1)


@lru_cache(maxsize=256)
def sharing(geometry: Geometry, size: tuple[int, ...], *, wrap: bool) -> Sharing | None:
    """Lay out ``geometry`` on a signal of ``size``; None where only taps will do."""
    if not geometry.shared or not geometry.symmetric:
        return None
    dilations = tuple(dict.fromkeys(choice.dilation for choice in geometry.choices))
    taps = geometry.rows
    choice, place, reached = [], [], set()
    for index, each in enumerate(geometry.choices):
        number = dilations.index(each.dilation)
        rows = geometry.rows_of(index)
        for row, offset in zip(rows, support(each), strict=True):
            if wrap or all(abs(o) < n for o, n in zip(offset, size, strict=True)):
                choice.append(index)
                place.append(number * taps + row)
                reached.add(offset)
    offsets = tuple(sorted(reached))
    axes, _ = moving(offsets)
    if not axes or axes != tuple(a for a, k in enumerate(geometry.master) if k > 1):
        return None
    if math.prod(2 * size[a] for a in axes) * taps > LARGEST_TABLE:
        return None
    centred = (range(-(k // 2), k // 2 + 1) for k in (geometry.master[a] for a in axes))
    along = tuple(tuple(d[a] for a in axes) for d in dilations)
    return Sharing(
        offsets, axes, along, tuple(itertools.product(*centred)), tuple(choice), tuple(place)
    )


def response(shared: Sharing, betas: Tensor, plan: Plan) -> Tensor:
    """C, real ``[F, R]``: cosines for the rows that are not negative, then sines."""
    table = _table(shared.rows, plan.length, betas.dtype, betas.device)
    half = len(shared.rows) // 2
    scale = torch.cat((betas[:, half:], betas[:, half + 1 :]), dim=1)
    total: Tensor | None = None
    for weights, dilation in zip(scale, shared.dilations, strict=True):
        term = _gathered(table, plan.length, dilation) * weights
        total = term if total is None else total + term
    assert total is not None
    return total


def _gathered(table: Tensor, length: tuple[int, ...], dilation: tuple[int, ...]) -> Tensor:
    return table.index_select(0, _frequencies(length, dilation, table.device))


@lru_cache(maxsize=32)
def _table(
    rows: Offsets, length: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> Tensor:
    """``[N, R]``, at all N frequencies."""
    with torch.inference_mode(False), torch.no_grad():
        everything = torch.unravel_index(torch.arange(math.prod(length)), length)
        return wave_table(rows, length, torch.stack(everything)).to(device, dtype)


@lru_cache(maxsize=256)
def _frequencies(
    length: tuple[int, ...], dilation: tuple[int, ...], device: torch.device
) -> Tensor:
    """``[F]``, the frequency d·f mod N among all N for each f of the half spectrum."""
    with torch.inference_mode(False):
        bins = (*length[:-1], length[-1] // 2 + 1)
        flat = torch.zeros(1, dtype=torch.int64)
        for n, m, d in zip(length, bins, dilation, strict=True):
            flat = (flat[:, None] * n + (d * torch.arange(m)) % n).flatten()
        return flat.to(device)
