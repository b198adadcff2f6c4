"""Convolution in the signal domain, from taps.

    y[l] = Σ_t w_t · x[s·l + o_t]

The taps are put into the smallest dense kernel that holds them: offsets are divided by their
greatest common divisor along each axis, which becomes the dilation of an ordinary convolution.
So a lone choice (k, d) runs as exactly that dilated convolution.

Legend: T taps, o output channels, i input channels of one group, s stride.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch.nn.functional as F
from torch import Tensor

from dashzoo_search.ops.taps import Offsets, index_tensor

__all__ = ["CONVOLUTIONS", "Lattice", "direct_conv_taps", "lattice"]

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@dataclass(frozen=True, slots=True)
class Lattice:
    """The smallest centred dense kernel that holds a set of offsets.

    Attributes:
        kernel: odd sizes, one an axis.
        dilation: the greatest common divisor of the offsets, one an axis.
        positions: for each offset, its row-major position in the kernel.
    """

    kernel: tuple[int, ...]
    dilation: tuple[int, ...]
    positions: tuple[int, ...]

    @property
    def padding(self) -> tuple[int, ...]:
        """Zeros on each side that centre the kernel."""
        return tuple(d * (k // 2) for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def dense(self) -> bool:
        """Whether the offsets, being sorted, fill the kernel as they stand."""
        return self.positions == tuple(range(math.prod(self.kernel)))


@lru_cache(maxsize=256)
def lattice(offsets: Offsets) -> Lattice:
    """Fit a `Lattice` around ``offsets``.

    >>> lattice(((-6,), (0,), (2,))).kernel, lattice(((-6,), (0,), (2,))).dilation
    ((7,), (2,))
    """
    axes = list(zip(*offsets, strict=True))
    dilation = tuple(math.gcd(*axis) or 1 for axis in axes)
    radius = [max(map(abs, axis)) // d for axis, d in zip(axes, dilation, strict=True)]
    positions = []
    for offset in offsets:
        position = 0
        for o, d, r in zip(offset, dilation, radius, strict=True):
            position = position * (2 * r + 1) + o // d + r
        positions.append(position)
    return Lattice(tuple(2 * r + 1 for r in radius), dilation, tuple(positions))


def direct_conv_taps(
    x: Tensor,
    taps: Tensor,
    offsets: Offsets,
    bias: Tensor | None = None,
    *,
    stride: tuple[int, ...],
    groups: int = 1,
) -> Tensor:
    """Convolve ``x`` with ``taps`` at ``offsets``, output l centred at input s·l.

    Args:
        x: ``[b, c, *size]``.
        taps: ``[T, o, i]``.
        offsets: T distinct offsets, sorted.
        bias: ``[o]`` or None.
        stride: one integer an axis.
        groups: of channels.

    Returns:
        ``[b, o, *ceil(size / stride)]``.
    """
    grid = lattice(offsets)
    if not grid.dense:
        room = taps.new_zeros(math.prod(grid.kernel), *taps.shape[1:])
        taps = room.index_copy(0, index_tensor(grid.positions, taps.device), taps)
    kernel = taps.movedim(0, -1).reshape(*taps.shape[1:], *grid.kernel)
    convolve = CONVOLUTIONS[len(grid.kernel)]
    return convolve(x, kernel, bias, stride, grid.padding, grid.dilation, groups)
