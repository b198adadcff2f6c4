"""Which path is cheaper for a layer and a shape: the signal domain or the frequency domain.

Both costs are counts of operations times constants in seconds, fitted on one AVX-512 core to
forward and backward with input gradient (`benchmarks/aggconv.py`). Only their ratio matters,
and near the crossing a wrong pick costs little.

Legend: b batch, c channels in, o channels out, i = c / groups, T taps, D dense taps, N transform
length, F frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from dashzoo_search.ops.direct import lattice
from dashzoo_search.ops.spectrum import make_plan
from dashzoo_search.ops.taps import Offsets

__all__ = ["cheaper", "direct_seconds", "fourier_seconds"]

DIRECT_START = 3e-4  # seconds of any convolution, forward and backward
DIRECT_MAC = 3 / 12e9  # three products per tap and output
DEPTHWISE_MAC = 3 / 1e9  # depthwise kernels are memory-bound
FOURIER_START = 6e-4
FOURIER_POINT = 8e-9  # per frequency and channel of signal: FFT, transposition, both ways
FOURIER_MAC = 3 * 4 / 22e9  # a complex product is four, forward, input and weight gradient
SPECTRUM_MAC = 2 * 1 / 35e9
SPECTRUM_POINT = 8e-9


@lru_cache(maxsize=4096)
def cheaper(
    offsets: Offsets,
    batch: int,
    channels: tuple[int, int],
    size: tuple[int, ...],
    stride: tuple[int, ...],
    groups: int,
) -> Literal["direct", "fourier"]:
    """The cheaper path for taps at ``offsets`` on a signal of ``size``."""
    arguments = (offsets, batch, channels, size, stride, groups)
    direct, fourier = direct_seconds(*arguments), fourier_seconds(*arguments)
    return "direct" if direct <= fourier else "fourier"


def direct_seconds(
    offsets: Offsets,
    batch: int,
    channels: tuple[int, int],
    size: Sequence[int],
    stride: Sequence[int],
    groups: int,
) -> float:
    """Estimate for the dense convolution that holds the offsets."""
    ins, outs = channels
    points = batch * math.prod(-(-n // s) for n, s in zip(size, stride, strict=True))
    products = points * math.prod(lattice(offsets).kernel) * outs * (ins // groups)
    return DIRECT_START + products * (DEPTHWISE_MAC if groups == ins > 1 else DIRECT_MAC)


def fourier_seconds(
    offsets: Offsets,
    batch: int,
    channels: tuple[int, int],
    size: Sequence[int],
    stride: Sequence[int],
    groups: int,
) -> float:
    """Estimate for the frequency domain."""
    ins, outs = channels
    moving = [a for a in range(len(size)) if any(offset[a] for offset in offsets)]
    if not moving:
        return math.inf
    steps = tuple(stride[a] for a in moving)
    length = tuple(-(-size[a] // s) for a, s in zip(moving, steps, strict=True))
    coarse = tuple(
        sorted({tuple(o[a] // s for a, s in zip(moving, steps, strict=True)) for o in offsets})
    )
    plan = make_plan(coarse, length, length)
    phases = math.prod(steps)
    still = batch * math.prod(
        -(-n // s) for a, (n, s) in enumerate(zip(size, stride, strict=True)) if a not in moving
    )
    pairs = outs * (ins // groups) * phases
    taps = len(plan.offsets)
    per_pair = taps * SPECTRUM_MAC if plan.by_matmul else SPECTRUM_POINT
    return FOURIER_START + plan.frequencies * (
        still * (ins * phases + outs) * FOURIER_POINT
        + still * pairs * FOURIER_MAC
        + pairs * per_pair
    )
