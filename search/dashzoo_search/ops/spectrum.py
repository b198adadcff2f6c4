"""The spectrum of a few taps: transform lengths, the constants, and both directions.

    W[f] = Σ_t w_t · e^{2πi f·o_t / N}

Two exact ways, and a plan that picks the one with fewer operations:

- *Few taps*: with offsets symmetric about zero, ``Re W = cos · (w₊ + w₋)`` and
  ``Im W = sin · (w₊ − w₋)``: one real matmul whose result is complex as it lies in memory. The
  constants are cached per (offsets, N, dtype, device), shared by layers, and in no state dict.
- *Many taps*: scatter into a zero buffer of N samples and take its FFT.

The adjoint (gradient) of W with respect to the taps carries the weights of the half spectrum:
a frequency that stands for itself and its mirror counts twice, and all are divided by N.

Legend: T taps, o output channels, i input channels of one group, N transform length (its
product over axes), F frequencies (N/2 + 1 along the last axis), H offsets with o > 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from dashzoo_search.ops.taps import Offsets, index_tensor

__all__ = ["Plan", "make_plan", "smooth_length"]

LARGEST_CONSTANT = 16_000_000  # numbers in one constant matrix; beyond it taps are scattered
MOST_MATMUL_TAPS = 150  # where both ways cost the same on one AVX-512 core


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


@dataclass(frozen=True, slots=True)
class Plan:
    """How taps at given offsets are carried to the frequency domain and back.

    Attributes:
        offsets: sorted, symmetric about zero, zero among them: T = 2H + 1.
        length: N, one integer a transformed axis.
        out: output samples wanted, one integer a transformed axis.
        by_matmul: whether the spectrum is taken by matmul rather than by scatter and FFT.
    """

    offsets: Offsets
    length: tuple[int, ...]
    out: tuple[int, ...]
    by_matmul: bool

    @property
    def frequencies(self) -> int:
        """F, over all transformed axes."""
        return math.prod(self.length[:-1]) * (self.length[-1] // 2 + 1)

    @property
    def samples(self) -> int:
        """N, over all transformed axes."""
        return math.prod(self.length)

    def numbers(self, offsets: Offsets) -> tuple[int, ...]:
        """Which of the plan's offsets each of ``offsets`` is."""
        number = {offset: t for t, offset in enumerate(self.offsets)}
        return tuple(number[offset] for offset in offsets)

    def spectrum(self, taps: Tensor) -> Tensor:
        """Complex ``[F, o, i]`` of taps ``[T, o, i]``."""
        tail = taps.shape[1:]
        rows = taps.reshape(len(taps), -1)
        if self.by_matmul:
            waves = _waves(self.offsets, self.length, taps.dtype, taps.device)
            return torch.view_as_complex((waves @ _fold(rows)).view(-1, *tail, 2))
        buffer = taps.new_zeros(tail.numel(), self.samples)
        places = index_tensor(_positions(self.offsets, self.length), taps.device)
        buffer.index_copy_(1, places, rows.t())
        z = to_front(rfftn(buffer.view(-1, *self.length), self.length))
        # The FFT's kernel is e^{−i…}, ours e^{+i…}.
        return z.conj_physical_().view(-1, *tail)

    def adjoint(self, conjugate: Tensor) -> Tensor:
        """Gradient ``[T, o, i]`` from the conjugate of the gradient of what `spectrum` gave."""
        tail = conjugate.shape[1:]
        if self.by_matmul:
            waves = _weighted_waves(
                self.offsets, self.length, conjugate.real.dtype, conjugate.device
            )
            pairs = waves @ torch.view_as_real(conjugate).view(len(conjugate), -1)
            return _unfold(pairs.view(len(waves), -1, 2)).reshape(-1, *tail)
        z = to_back(conjugate.reshape(len(conjugate), -1), (tail.numel(),), self.length)
        buffer = irfftn(z, self.length, self.length).reshape(tail.numel(), -1)
        places = index_tensor(_positions(self.offsets, self.length), conjugate.device)
        return buffer.index_select(1, places).t().reshape(-1, *tail)


@lru_cache(maxsize=1024)
def make_plan(offsets: Offsets, size: tuple[int, ...], out: tuple[int, ...]) -> Plan:
    """Plan a correlation ``y[l] = Σ w_t x[l + o_t]`` for l in 0 … out − 1.

    Args:
        offsets: any distinct offsets; the plan's are these, made symmetric, with zero added.
        size: length of x, one integer an axis.
        out: length of y, likewise.
    """
    axes = list(zip(*offsets, strict=True))
    length = tuple(
        smooth_length(max(n - min(0, *axis, 0), m + max(0, *axis, 0)))
        for axis, n, m in zip(axes, size, out, strict=True)
    )
    both = {*offsets, *(tuple(-o for o in offset) for offset in offsets), (0,) * len(size)}
    plan = Plan(tuple(sorted(both)), length, out, by_matmul=len(both) <= MOST_MATMUL_TAPS)
    if plan.frequencies * len(plan.offsets) > LARGEST_CONSTANT:
        plan = replace(plan, by_matmul=False)
    return plan


def rfftn(x: Tensor, length: Sequence[int]) -> Tensor:
    """Half spectrum along the last ``len(length)`` axes, zero-padded one axis at a time."""
    z: Tensor = torch.fft.rfft(x, n=length[-1])
    for axis, n in enumerate(length[:-1], start=-len(length)):
        z = torch.fft.fft(z, n=n, dim=axis)
    return z


def irfftn(z: Tensor, length: Sequence[int], out: Sequence[int]) -> Tensor:
    """Undo `rfftn`, keeping the first ``out`` samples of each axis."""
    for axis, m in enumerate(out[:-1], start=-len(length)):
        z = torch.fft.ifft(z, dim=axis).narrow(axis, 0, m)
    x: Tensor = torch.fft.irfft(z, n=length[-1])
    return x[..., : out[-1]]


def to_front(z: Tensor) -> Tensor:
    """``[m, *frequencies]`` → ``[F, m]``, frequency first."""
    # The transposition of a matrix has a blocked kernel, a general permutation has none.
    return z.reshape(len(z), -1).t().contiguous()


def to_back(z: Tensor, lead: tuple[int, ...], length: Sequence[int]) -> Tensor:
    """Undo `to_front`: ``[F, m]`` → ``[*lead, *frequencies]``, with m split into ``lead``."""
    return z.t().contiguous().view(*lead, *length[:-1], length[-1] // 2 + 1)


def _fold(rows: Tensor) -> Tensor:
    """Taps ``[T, m]`` → even part as real numbers, odd part as imaginary ones, ``[T, 2m]``."""
    half = len(rows) // 2
    plus, minus = rows[half + 1 :], rows[:half].flip(0)
    folded = rows.new_zeros(*rows.shape, 2)
    folded[0, :, 0] = rows[half]
    torch.add(plus, minus, out=folded[1 : half + 1, :, 0])
    torch.sub(plus, minus, out=folded[half + 1 :, :, 1])
    return folded.view(len(rows), -1)


def _unfold(pairs: Tensor) -> Tensor:
    """The adjoint of `_fold`: ``[T, m, 2]`` → ``[T, m]``."""
    half = len(pairs) // 2
    even, odd = pairs[1 : half + 1, :, 0], pairs[half + 1 :, :, 1]
    return torch.cat(((even - odd).flip(0), pairs[:1, :, 0], even + odd))


@lru_cache(maxsize=64)
def _waves(
    offsets: Offsets, length: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> Tensor:
    """``[F, T]``: cosines of the offsets that are not negative, then sines of the positive."""
    # A cache must not be filled with tensors that only inference mode can use.
    with torch.inference_mode(False), torch.no_grad():
        turns = torch.zeros(1, 1, dtype=torch.float64)
        half = torch.tensor(offsets[len(offsets) // 2 :], dtype=torch.int64)
        for axis, n in enumerate(length):
            bins = n // 2 + 1 if axis == len(length) - 1 else n
            # Whole turns are dropped in integers, so the angle is exact to the last bit.
            part = (torch.arange(bins)[:, None] * half[:, axis]).remainder(n).double() / n
            turns = (turns[..., None, :] + part).reshape(-1, len(half))
        angles = 2 * math.pi * turns
        return torch.cat((angles.cos(), angles[:, 1:].sin()), dim=1).to(device, dtype)


@lru_cache(maxsize=64)
def _weighted_waves(
    offsets: Offsets, length: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The adjoint of `_waves` on conjugates, ``[T, F]``: each frequency as often as it counts."""
    with torch.inference_mode(False), torch.no_grad():
        count = torch.full((*length[:-1], length[-1] // 2 + 1), 2.0, dtype=torch.float64)
        count[..., 0] = 1
        count[..., -1] = 1
        waves = _waves(offsets, length, torch.float64, torch.device("cpu")).t().clone()
        waves[len(offsets) // 2 + 1 :].neg_()
        return (waves * (count.flatten() / math.prod(length))).to(device, dtype)


@lru_cache(maxsize=1024)
def _positions(offsets: Offsets, length: tuple[int, ...]) -> tuple[int, ...]:
    """Where each offset falls in a buffer of N samples that wraps round, row-major."""
    flat = []
    for offset in offsets:
        position = 0
        for o, n in zip(offset, length, strict=True):
            position = position * n + o % n
        flat.append(position)
    return tuple(flat)
