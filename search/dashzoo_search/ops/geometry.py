"""The geometry of an aggregated kernel: which choice puts which weight on which offset.

Choices (k, d) overlap: K = {3, 5, …, 15} with D = {1, 3, …, 127} makes 49 choices and a
receptive field of 1779 samples, but only 441 weights on 89 distinct offsets. So the sum

    A[t] = Σ_c α_c · Σ_j w_c[j] · [offset of tap j of choice c = o_t]

is taken once per distinct offset o_t, and no choice is ever laid out at full extent.

Weights are *separate*, every choice having its own, or *shared*: every choice takes the middle
of one master kernel of the largest size (the latest taps where the kernel is causal), so that
weights grow neither with the number of sizes nor with that of dilations.

Legend: S slots (all choices' taps, one after the other), R rows of weight (S, or the taps of the
master), T distinct offsets, o output channels, i input channels of one group.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dashzoo_search.choice import Kernel
from dashzoo_search.ops.taps import Offsets, support

__all__ = ["Geometry", "accumulate"]


@dataclass(frozen=True, slots=True, eq=False)  # hashed on every call, so by identity
class Geometry:
    """Where the taps of several choices fall.

    Attributes:
        choices: the choices, all of the same dims.
        master: size of the kernel that all share, the largest along each axis.
        shared: whether they do.
        causal: whether kernels end, rather than are centred, at offset zero.
        offsets: the T distinct offsets, sorted.
        slot_offset: for each slot, the number of its offset.
        slot_choice: for each slot, the number of its choice.
        slot_row: for each slot, its row of weight.
        bounds: choice c owns the slots ``bounds[c]`` … ``bounds[c + 1] − 1``.
    """

    choices: tuple[Kernel, ...]
    master: tuple[int, ...]
    shared: bool
    causal: bool
    offsets: Offsets
    slot_offset: tuple[int, ...]
    slot_choice: tuple[int, ...]
    slot_row: tuple[int, ...]
    bounds: tuple[int, ...]

    @classmethod
    def of(
        cls, choices: Sequence[Kernel], *, shared: bool = False, causal: bool = False
    ) -> Geometry:
        """Lay out ``choices``.

        Raises:
            ValueError: no choices, or choices of different dims.

        >>> choices = [Kernel((k,), (d,)) for k in (3, 5) for d in (1, 2)]
        >>> Geometry.of(choices).offsets
        ((-4,), (-2,), (-1,), (0,), (1,), (2,), (4,))
        >>> Geometry.of(choices, shared=True).slot_row
        (1, 2, 3, 1, 2, 3, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4)
        """
        choices = tuple(choices)
        if not choices:
            raise ValueError("There are no choices; give at least one")
        if len({choice.dims for choice in choices}) > 1:
            raise ValueError("All choices of a layer must have the same number of axes")
        supports = [support(choice, causal=causal) for choice in choices]
        offsets = tuple(sorted(set(itertools.chain.from_iterable(supports))))
        number = {offset: t for t, offset in enumerate(offsets)}
        master = tuple(map(max, zip(*(choice.kernel for choice in choices), strict=True)))
        bounds = (0, *itertools.accumulate(len(taps) for taps in supports))
        rows = range(bounds[-1])
        return cls(
            choices=choices,
            master=master,
            shared=shared,
            causal=causal,
            offsets=offsets,
            slot_offset=tuple(number[offset] for taps in supports for offset in taps),
            slot_choice=tuple(c for c, taps in enumerate(supports) for _ in taps),
            slot_row=tuple(
                itertools.chain.from_iterable(_crop(c.kernel, master, causal) for c in choices)
                if shared
                else rows
            ),
            bounds=bounds,
        )

    @property
    def dims(self) -> int:
        """Axes of the signal."""
        return self.choices[0].dims

    @property
    def slots(self) -> int:
        """S, the taps of all choices."""
        return self.bounds[-1]

    @property
    def rows(self) -> int:
        """R, the weights per channel pair."""
        return math.prod(self.master) if self.shared else self.slots

    @property
    def symmetric(self) -> bool:
        """Whether all sizes are odd and centred, so that offsets mirror about zero."""
        return not self.causal and all(k % 2 for choice in self.choices for k in choice.kernel)

    def slice(self, index: int) -> slice:
        """The slots of choice ``index``."""
        return slice(self.bounds[index], self.bounds[index + 1])

    def rows_of(self, index: int) -> tuple[int, ...]:
        """The rows of weight that choice ``index`` uses."""
        return self.slot_row[self.slice(index)]

    def rows_within(self, other: Geometry) -> list[int]:
        """The rows of ``other`` that become ours where we have some of its choices, if shared."""
        return _crop(self.master, other.master, self.causal)

    def kernel(self, rows: Tensor, index: int) -> Tensor:
        """Turn one choice's rows ``[k₁·k₂…, o, i]`` into a kernel ``[o, i, k₁, k₂, …]``."""
        size = self.choices[index].kernel
        return rows.movedim(0, -1).reshape(*rows.shape[1:], *size)

    def flatten(self, kernel: Tensor, index: int) -> Tensor:
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
    weight: Tensor,
    coefficients: Tensor,
    slots: tuple[Tensor, Tensor, Tensor],
    count: int,
    *,
    shared: bool,
) -> Tensor:
    """Sum the choices' weights, scaled by their coefficients, over the distinct offsets.

    Args:
        weight: ``[R, o, i]``.
        coefficients: ``[choices]``.
        slots: for each slot that counts, its offset, its choice and its row of weight, ``[S]``
            each; separate weights have one row for each, in order.
        count: T.
        shared: whether rows are used by more than one slot.

    Returns:
        The taps of the aggregated kernel, ``[T, o, i]``.
    """
    offset, choice, row = slots
    scale = coefficients.index_select(0, choice).to(weight.dtype)
    if shared:
        # Weights are multiplied by a small matrix, so nothing of S · o · i numbers ever exists.
        mix = scale.new_zeros(count * len(weight)).index_add(0, offset * len(weight) + row, scale)
        flat = mix.view(count, len(weight)) @ weight.flatten(1)
        return flat.view(count, *weight.shape[1:])
    scaled = weight * scale[:, None, None]
    taps = torch.zeros((count, *weight.shape[1:]), dtype=weight.dtype, device=weight.device)
    return taps.index_add(0, offset, scaled)


def _crop(size: tuple[int, ...], master: tuple[int, ...], causal: bool) -> list[int]:
    """Row-major positions in the master of a kernel of ``size``."""
    axes = []
    for k, most in zip(size, master, strict=True):
        first = most - k if causal else (most - 1) // 2 - (k - 1) // 2
        axes.append(range(first, first + k))
    positions = []
    for place in itertools.product(*axes):
        position = 0
        for p, most in zip(place, master, strict=True):
            position = position * most + p
        positions.append(position)
    return positions
