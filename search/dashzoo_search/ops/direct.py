"""Convolution in the signal domain, from taps.

    y[l] = Σ_t w_t · x[s·l + start + o_t]

The taps are put into the smallest dense kernel that holds them: their distances are divided by
the greatest common divisor along each axis, which becomes the dilation of an ordinary
convolution. So a lone choice (k, d) runs as exactly that dilated convolution.

Legend: T taps, o output channels, i input channels of one group, s stride.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch.nn.functional as F
from torch import Tensor

from dashzoo_search.ops.boundary import extend, margins
from dashzoo_search.ops.taps import Offsets, index_tensor

__all__ = ["CONVOLUTIONS", "Lattice", "direct_conv_taps", "lattice"]

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@dataclass(frozen=True, slots=True)
class Lattice:
    """The smallest dense kernel that holds a set of offsets.

    Attributes:
        kernel: sizes, one an axis.
        dilation: the greatest common divisor of the offsets' distances, one an axis.
        positions: for each offset, its row-major position in the kernel.
    """

    kernel: tuple[int, ...]
    dilation: tuple[int, ...]
    positions: tuple[int, ...]

    @property
    def dense(self) -> bool:
        """Whether the offsets, being sorted, fill the kernel as they stand."""
        return self.positions == tuple(range(math.prod(self.kernel)))


@lru_cache(maxsize=256)
def lattice(offsets: Offsets) -> Lattice:
    """Fit a `Lattice` around ``offsets``.

    >>> lattice(((-6,), (0,), (2,))).kernel, lattice(((-6,), (0,), (2,))).dilation
    ((5,), (2,))
    """
    axes = list(zip(*offsets, strict=True))
    first = [min(axis) for axis in axes]
    dilation = tuple(
        math.gcd(*(o - low for o in axis)) or 1 for axis, low in zip(axes, first, strict=True)
    )
    kernel = tuple(
        (max(axis) - low) // d + 1 for axis, low, d in zip(axes, first, dilation, strict=True)
    )
    positions = []
    for offset in offsets:
        position = 0
        for o, low, d, k in zip(offset, first, dilation, kernel, strict=True):
            position = position * k + (o - low) // d
        positions.append(position)
    return Lattice(kernel, dilation, tuple(positions))


def direct_conv_taps(
    x: Tensor,
    taps: Tensor,
    offsets: Offsets,
    bias: Tensor | None = None,
    *,
    stride: tuple[int, ...],
    groups: int = 1,
    out: tuple[int, ...],
    start: tuple[int, ...],
) -> Tensor:
    """Convolve ``x``, zero outside, with ``taps`` at ``offsets``.

    Args:
        x: ``[b, c, *size]``.
        taps: ``[T, o, i]``.
        offsets: T ≥ 1 distinct offsets, sorted.
        bias: ``[o]`` or None.
        stride: one integer an axis.
        groups: of channels.
        out: output length along each axis.
        start: the sample at which output 0 is centred.

    Returns:
        ``[b, o, *out]``.
    """
    grid = lattice(offsets)
    if not grid.dense:
        room = taps.new_zeros(math.prod(grid.kernel), *taps.shape[1:])
        taps = room.index_copy(0, index_tensor(grid.positions, taps.device), taps)
    kernel = taps.movedim(0, -1).reshape(*taps.shape[1:], *grid.kernel)
    before, after = margins(offsets, tuple(x.shape[2:]), stride, out, start)
    # Up to a stride more behind changes nothing, so most layers pad both sides alike.
    alike = all(b >= 0 and 0 <= b - a < s for b, a, s in zip(before, after, stride, strict=True))
    if not alike:
        x = extend(x, before, after, "zeros")
    convolve = CONVOLUTIONS[len(grid.kernel)]
    return convolve(x, kernel, bias, stride, before if alike else 0, grid.dilation, groups)
