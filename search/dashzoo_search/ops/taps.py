"""Where taps fall: offsets of a kernel, and what can be told from offsets alone.

An offset o says that output l reads input s·l + start + o, with s the stride. Offsets come in
lexicographic order; those of odd centred kernels are symmetric about zero.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import torch
from torch import Tensor

from dashzoo_search.choice import Kernel

__all__ = ["Offsets", "index_tensor", "moving", "phases", "reaching", "support"]

Offsets = tuple[tuple[int, ...], ...]


def support(kernel: Kernel, *, causal: bool = False) -> Offsets:
    """The offsets a kernel touches, row-major: d·j − ⌊d(k−1)/2⌋, or d·(j − k + 1) if causal.

    >>> support(Kernel((3,), (5,))), support(Kernel((2,), (3,)))
    (((-5,), (0,), (5,)), ((-1,), (2,)))
    >>> support(Kernel((3,), (5,)), causal=True)
    ((-10,), (-5,), (0,))
    """
    before = tuple(n - 1 for n in kernel.extent) if causal else kernel.padding
    axes = (
        [d * j - b for j in range(k)]
        for k, d, b in zip(kernel.kernel, kernel.dilation, before, strict=True)
    )
    return tuple(itertools.product(*axes))


@lru_cache(maxsize=1024)
def reaching(
    offsets: Offsets,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    out: tuple[int, ...],
    start: tuple[int, ...],
) -> tuple[tuple[int, ...], Offsets]:
    """The offsets that ever read the signal, and their numbers; the others only read zeros.

    >>> reaching(((-9,), (-1,), (0,), (1,), (9,)), (5,), (1,), (5,), (0,))
    ((1, 2, 3), ((-1,), (0,), (1,)))
    """
    ranges = [
        (-s * (m - 1) - b, n - b) for n, s, m, b in zip(size, stride, out, start, strict=True)
    ]
    kept = tuple(
        t
        for t, offset in enumerate(offsets)
        if all(low <= o < high for o, (low, high) in zip(offset, ranges, strict=True))
    )
    return kept, tuple(offsets[t] for t in kept)


@lru_cache(maxsize=1024)
def moving(offsets: Offsets) -> tuple[tuple[int, ...], Offsets]:
    """The axes along which any offset differs from zero, and the offsets along these alone.

    >>> moving(((0, -3), (0, 0), (0, 3)))
    ((1,), ((-3,), (0,), (3,)))
    """
    axes = tuple(a for a, values in enumerate(zip(*offsets, strict=True)) if any(values))
    return axes, tuple(tuple(offset[a] for a in axes) for offset in offsets)


@lru_cache(maxsize=1024)
def phases(offsets: Offsets, stride: tuple[int, ...]) -> tuple[Offsets, tuple[int, ...]]:
    """Write each offset as s·q + r with 0 ≤ r < s, axis by axis.

    Returns:
        The distinct quotients q, sorted, and for each offset its row in a table of quotients by
        remainders, row-major.

    >>> phases(((-1,), (0,), (2,)), (2,))
    (((-1,), (0,), (1,)), (1, 2, 4))
    """
    quotients = [tuple(o // s for o, s in zip(offset, stride, strict=True)) for offset in offsets]
    distinct = tuple(sorted(set(quotients)))
    number = {quotient: row for row, quotient in enumerate(distinct)}
    rows = []
    for offset, quotient in zip(offsets, quotients, strict=True):
        row = number[quotient]
        for o, s in zip(offset, stride, strict=True):
            row = row * s + o % s
        rows.append(row)
    return distinct, tuple(rows)


@lru_cache(maxsize=1024)
def index_tensor(numbers: tuple[int, ...], device: torch.device) -> Tensor:
    """``numbers`` as a tensor, made once per device."""
    # A cache must not be filled with tensors that only inference mode can use.
    with torch.inference_mode(False):
        return torch.tensor(numbers, dtype=torch.int64, device=device)
