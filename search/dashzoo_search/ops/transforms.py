"""Real Fourier transforms of several axes, the lengths they like, and how spectra lie in memory.

Legend: N transform length (its product over axes), F frequencies (N/2 + 1 along the last axis).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["irfftn", "rfftn", "smooth_length", "to_back", "to_front"]


def smooth_length(least: int) -> int:
    """The smallest even 5-smooth integer that is at least ``least``.

    >>> [smooth_length(n) for n in (1, 7, 301, 1999)]
    [2, 8, 320, 2000]
    """
    best: int = 2 ** max(1, math.ceil(math.log2(max(least, 2))))
    for fives, threes in itertools.product(range(14), range(21)):
        odd: int = 5**fives * 3**threes
        if 2 * odd >= best:
            continue
        twos = max(1, math.ceil(math.log2(least / odd)))
        size = odd * 2**twos
        if least <= size < best:
            best = size
    return best


def rfftn(x: Tensor, length: Sequence[int]) -> Tensor:
    """Half spectrum along the last ``len(length)`` axes, zero-padded one axis at a time."""
    z: Tensor = torch.fft.rfft(x, n=length[-1])
    for axis, n in enumerate(length[:-1], start=-len(length)):
        z = torch.fft.fft(z, n=n, dim=axis)
    return z


def irfftn(z: Tensor, length: Sequence[int], start: Sequence[int], out: Sequence[int]) -> Tensor:
    """Undo `rfftn`, keeping ``out`` samples from ``start`` on along each axis."""
    for axis, (b, m) in enumerate(zip(start[:-1], out[:-1], strict=True), start=-len(length)):
        z = torch.fft.ifft(z, dim=axis).narrow(axis, b, m)
    x: Tensor = torch.fft.irfft(z, n=length[-1])
    return x.narrow(-1, start[-1], out[-1])


def to_front(z: Tensor) -> Tensor:
    """``[m, *frequencies]`` → ``[F, m]``, frequency first."""
    # The transposition of a matrix has a blocked kernel, a general permutation has none.
    return z.reshape(len(z), -1).t().contiguous()


def to_back(z: Tensor, lead: tuple[int, ...], length: Sequence[int]) -> Tensor:
    """Undo `to_front`: ``[F, m]`` → ``[*lead, *frequencies]``, with m split into ``lead``."""
    return z.t().contiguous().view(*lead, *length[:-1], length[-1] // 2 + 1)
