"""The geometry of an aggregated kernel: which choice puts which weight on which offset.

Choices (k, d) overlap: K = {3, 5, …, 15} with D = {1, 3, …, 127} makes 49 choices and a
receptive field of 1779 samples, but only 441 weights on 89 distinct offsets. So the sum

    A[t] = Σ_c α_c · Σ_j w_c[j] · [d_c · (j − (k_c − 1)/2) = o_t]

is taken once per distinct offset o_t, and no choice is ever laid out at full extent.

Promises: offsets are distinct, in lexicographic order, and symmetric about zero (every size is
odd), so the mirror of offset t is offset T − 1 − t.

Legend: S slots (all choices' taps, one after the other), T distinct offsets, o output channels,
i input channels of one group.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from dashzoo_search.spec import Choice

__all__ = [
    "Geometry",
    "Offsets",
    "accumulate",
    "index_tensor",
    "moving",
    "phases",
    "reaching",
    "support",
]

Offsets = tuple[tuple[int, ...], ...]


def support(choice: Choice) -> Offsets:
    """The offsets a choice touches, row-major over its kernel.

    >>> support(Choice.cube(3, 5, dims=1))
    ((-5,), (0,), (5,))
    """
    axes = (
        [d * (j - (k - 1) // 2) for j in range(k)]
        for k, d in zip(choice.kernel, choice.dilation, strict=True)
    )
    return tuple(itertools.product(*axes))


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the taps of several choices fall.

    Attributes:
        choices: the choices, all of the same dims.
        offsets: the T distinct offsets, sorted.
        slot_offset: for each slot, the number of its offset.
        slot_choice: for each slot, the number of its choice.
        bounds: choice c owns the slots ``bounds[c]`` … ``bounds[c + 1] − 1``.
    """

    choices: tuple[Choice, ...]
    offsets: Offsets
    slot_offset: tuple[int, ...]
    slot_choice: tuple[int, ...]
    bounds: tuple[int, ...]

    @classmethod
    def of(cls, choices: Sequence[Choice]) -> Geometry:
        """Lay out ``choices``.

        Raises:
            ValueError: no choices, or choices of different dims.

        >>> choices = [Choice.cube(k, d, dims=1) for k in (3, 5) for d in (1, 2)]
        >>> Geometry.of(choices).offsets
        ((-4,), (-2,), (-1,), (0,), (1,), (2,), (4,))
        """
        choices = tuple(choices)
        if not choices:
            raise ValueError("There are no choices; give at least one")
        if len({choice.dims for choice in choices}) > 1:
            raise ValueError("All choices of a layer must have the same number of axes")
        supports = [support(choice) for choice in choices]
        offsets = tuple(sorted(set(itertools.chain.from_iterable(supports))))
        number = {offset: t for t, offset in enumerate(offsets)}
        return cls(
            choices=choices,
            offsets=offsets,
            slot_offset=tuple(number[offset] for taps in supports for offset in taps),
            slot_choice=tuple(c for c, taps in enumerate(supports) for _ in taps),
            bounds=(0, *itertools.accumulate(len(taps) for taps in supports)),
        )

    @property
    def dims(self) -> int:
        """Axes of the signal."""
        return self.choices[0].dims

    @property
    def slots(self) -> int:
        """S, the weights of all choices per channel pair."""
        return self.bounds[-1]

    def slice(self, index: int) -> slice:
        """The slots of choice ``index``."""
        return slice(self.bounds[index], self.bounds[index + 1])

    def kernel(self, rows: Tensor, index: int) -> Tensor:
        """Turn one choice's rows ``[k₁·k₂…, o, i]`` into a kernel ``[o, i, k₁, k₂, …]``."""
        size = self.choices[index].kernel
        return rows.movedim(0, -1).reshape(*rows.shape[1:], *size)

    def rows(self, kernel: Tensor, index: int) -> Tensor:
        """Undo `kernel`.

        Raises:
            ValueError: a kernel that is not of choice ``index``'s size.
        """
        size = self.choices[index].kernel
        if tuple(kernel.shape[2:]) != size:
            raise ValueError(
                f"the kernel has size {tuple(kernel.shape[2:])}, choice {index} has {size}"
            )
        return kernel.reshape(*kernel.shape[:2], math.prod(size)).movedim(-1, 0)


def accumulate(
    weight: Tensor, coefficients: Tensor, slot_offset: Tensor, slot_choice: Tensor, count: int
) -> Tensor:
    """Sum all choices' weights, scaled by their coefficients, over the distinct offsets.

    Args:
        weight: ``[S, o, i]``.
        coefficients: ``[choices]``.
        slot_offset: ``[S]``, the offset each slot falls on.
        slot_choice: ``[S]``, the choice each slot belongs to.
        count: T.

    Returns:
        The taps of the aggregated kernel, ``[T, o, i]``.
    """
    scale = coefficients.index_select(0, slot_choice).to(weight.dtype)
    scaled = weight * scale[:, None, None]
    taps = torch.zeros((count, *weight.shape[1:]), dtype=weight.dtype, device=weight.device)
    return taps.index_add(0, slot_offset, scaled)


@lru_cache(maxsize=1024)
def reaching(
    offsets: Offsets, size: tuple[int, ...], stride: tuple[int, ...], out: tuple[int, ...]
) -> tuple[tuple[int, ...], Offsets]:
    """The offsets that ever read the signal, and their numbers; the others only read padding.

    >>> reaching(((-9,), (-1,), (0,), (1,), (9,)), (5,), (1,), (5,))
    ((1, 2, 3), ((-1,), (0,), (1,)))
    """
    last = [s * (m - 1) for s, m in zip(stride, out, strict=True)]
    kept = tuple(
        t
        for t, offset in enumerate(offsets)
        if all(-far <= o < n for o, far, n in zip(offset, last, size, strict=True))
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
