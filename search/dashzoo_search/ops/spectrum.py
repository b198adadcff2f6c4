"""The spectrum of a few taps, and both directions between them.

    W[f] = Σ_t w_t · e^{2πi f·o_t / N}

Two exact ways, and a plan that picks the one with fewer operations:

- *Few taps*: with offsets symmetric about zero, ``Re W = cos · (w₊ + w₋)`` and
  ``Im W = sin · (w₊ − w₋)``: one real matmul whose result is complex as it lies in memory, for
  any block of frequencies alone. The constants (`waves`) are cached, shared by layers, and in no
  state dict.
- *Many taps*: scatter into a zero buffer of N samples and take its FFT, all frequencies at once.

Legend: T taps, o output channels, i input channels of one group, N transform length (its
product over axes), F frequencies (N/2 + 1 along the last axis), H offsets with o > 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from dashzoo_search.ops.taps import Offsets, index_tensor
from dashzoo_search.ops.transforms import irfftn, rfftn, smooth_length, to_front

__all__ = ["Plan", "fold_taps", "make_plan", "unfold_taps", "wave_table", "waves"]

LARGEST_CONSTANT = 4_000_000  # numbers of a constant that is kept; longer ones are made in blocks
LARGEST_SPECTRUM = 32_000_000  # complex numbers; beyond it a spectrum is only made in blocks
MOST_MATMUL_TAPS = 150  # where both ways cost the same on one AVX-512 core


@dataclass(frozen=True, slots=True)
class Plan:
    """A correlation ``y[l] = Σ_t w_t · x[l + start + o_t]`` through the frequency domain.

    Attributes:
        offsets: sorted, symmetric about zero, zero among them: T = 2H + 1.
        length: N, one integer a transformed axis.
        start: where output 0 is centred, likewise.
        out: output samples wanted, likewise.
        by_matmul: whether the spectrum is taken by matmul rather than by scatter and FFT.
    """

    offsets: Offsets
    length: tuple[int, ...]
    start: tuple[int, ...]
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

    def scatter(self, rows: Tensor) -> Tensor:
        """Complex ``[m, *frequencies]`` of taps ``[T, m]``, by FFT."""
        buffer = rows.new_zeros(rows.shape[1], self.samples)
        places = index_tensor(_positions(self.offsets, self.length), rows.device)
        buffer = buffer.index_add(1, places, rows.t())  # n/2 and −n/2 may be one place
        # The FFT's kernel is e^{−i…}, ours e^{+i…}.
        return rfftn(buffer.view(-1, *self.length), self.length).conj()

    def gather(self, conjugate: Tensor) -> Tensor:
        """The adjoint of `scatter`, of a conjugate gradient: ``[m, *frequencies]`` → ``[T, m]``."""
        zero = (0,) * len(self.length)
        buffer = irfftn(conjugate, self.length, zero, self.length).flatten(1)
        places = index_tensor(_positions(self.offsets, self.length), conjugate.device)
        return buffer.index_select(1, places).t()

    def spectrum(self, rows: Tensor) -> Tensor:
        """Complex ``[F, m]`` of taps ``[T, m]``, whichever way."""
        if self.by_matmul:
            constant = waves(self.offsets, self.length, rows.dtype, rows.device)
            return torch.view_as_complex((constant @ fold_taps(rows)).view(-1, rows.shape[1], 2))
        return to_front(self.scatter(rows).resolve_conj())

    def counts(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """``[F]``, how many of N frequencies each of the half spectrum stands for, over N."""
        return _counts(self.length, dtype, device)


@lru_cache(maxsize=1024)
def make_plan(
    offsets: Offsets,
    size: tuple[int, ...],
    start: tuple[int, ...],
    out: tuple[int, ...],
    pairs: int = 1,
    wrap: bool = False,
) -> Plan:
    """Plan a correlation.

    Args:
        offsets: any distinct offsets; the plan's are these, made symmetric, with zero added.
        size: length of x, one integer an axis.
        start: where output 0 is centred, likewise.
        out: length of y, likewise.
        pairs: of channels, the number of spectra.
        wrap: x is one period, so that N is ``size``; the caller knows that it is even.
    """
    axes = list(zip(*offsets, strict=True))
    length = size
    if not wrap:
        length = tuple(
            smooth_length(max(n, b + m, n - b - min(axis), b + m + max(axis)))
            for axis, n, m, b in zip(axes, size, out, start, strict=True)
        )
    both = {*offsets, *(tuple(-o for o in offset) for offset in offsets), (0,) * len(size)}
    plan = Plan(tuple(sorted(both)), length, start, out, by_matmul=True)
    few = len(both) <= MOST_MATMUL_TAPS
    return Plan(
        plan.offsets, length, start, out, few or plan.frequencies * pairs > LARGEST_SPECTRUM
    )


def fold_taps(rows: Tensor) -> Tensor:
    """Taps ``[T, m]`` → even part as real numbers, odd part as imaginary ones, ``[T, 2m]``."""
    half = len(rows) // 2
    plus, minus = rows[half + 1 :], rows[:half].flip(0)
    folded = rows.new_zeros(*rows.shape, 2)
    folded[0, :, 0] = rows[half]
    torch.add(plus, minus, out=folded[1 : half + 1, :, 0])
    torch.sub(plus, minus, out=folded[half + 1 :, :, 1])
    return folded.view(len(rows), -1)


def unfold_taps(pairs: Tensor) -> Tensor:
    """The adjoint of `fold_taps`: ``[T, m, 2]`` → ``[T, m]``."""
    half = len(pairs) // 2
    even, odd = pairs[1 : half + 1, :, 0], pairs[half + 1 :, :, 1]
    return torch.cat(((even - odd).flip(0), pairs[:1, :, 0], even + odd))


def waves(
    offsets: Offsets,
    length: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
    block: tuple[int, int] | None = None,
) -> Tensor:
    """``[F, T]``: cosines of the offsets that are not negative, then sines of the positive.

    Args:
        offsets: symmetric, as a plan has them.
        length: N, one integer an axis.
        dtype: of the result.
        device: of the result.
        block: only the frequencies from one number to before another.
    """
    count = math.prod(length[:-1]) * (length[-1] // 2 + 1)
    first, last = block or (0, count)
    if count * len(offsets) <= LARGEST_CONSTANT:
        return _kept_waves(offsets, length, dtype, device)[first:last]
    return _make_waves(offsets, length, first, last).to(device, dtype)


@lru_cache(maxsize=32)
def _kept_waves(
    offsets: Offsets, length: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> Tensor:
    # A cache must not be filled with tensors that only inference mode can use.
    with torch.inference_mode(False), torch.no_grad():
        count = math.prod(length[:-1]) * (length[-1] // 2 + 1)
        return _make_waves(offsets, length, 0, count).to(device, dtype)


def _make_waves(offsets: Offsets, length: tuple[int, ...], first: int, last: int) -> Tensor:
    bins = (*length[:-1], length[-1] // 2 + 1)
    frequency = torch.unravel_index(torch.arange(first, last), bins)
    return wave_table(offsets, length, torch.stack(frequency))


def wave_table(offsets: Offsets, length: tuple[int, ...], frequency: Tensor) -> Tensor:
    """`waves` at any frequencies, ``[axes, F]``, in double precision."""
    half = torch.tensor(offsets[len(offsets) // 2 :], dtype=torch.int64)
    turns = torch.zeros(1, 1, dtype=torch.float64)
    for axis, n in enumerate(length):
        # Whole turns are dropped in integers, so the angle is exact to the last bit.
        turns = turns + (frequency[axis][:, None] * half[:, axis]).remainder(n).double() / n
    angles = 2 * math.pi * turns
    return torch.cat((angles.cos(), angles[:, 1:].sin()), dim=1)


@lru_cache(maxsize=64)
def _counts(length: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():
        count = torch.full((*length[:-1], length[-1] // 2 + 1), 2.0, dtype=torch.float64)
        count[..., 0] = 1
        count[..., -1] = 1
        return (count.flatten() / math.prod(length)).to(device, dtype)


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
