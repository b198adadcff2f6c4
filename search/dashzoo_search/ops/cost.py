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
from typing import Any, Literal

from dashzoo_search.ops.direct import lattice
from dashzoo_search.ops.spectrum import make_plan
from dashzoo_search.ops.taps import Offsets, moving, phases

__all__ = ["cheaper", "direct_seconds", "fourier_seconds"]

# Seconds, forward and backward, one thread.
DIRECT_START = 8.6e-4
DIRECT_VALUE = 1.7e-9  # per number read or written
DIRECT_MAC = 6.1e-11  # per tap, channel pair and output point
DEPTHWISE_MAC = 4.6e-10  # the same where each channel has its own kernel
FOURIER_START = 8.0e-4
FOURIER_VALUE = 1.57e-8  # per frequency and channel of signal: FFT and transposition
FOURIER_MORE_AXES = 6.7e-9  # on top of it where more than one axis is transformed
FOURIER_MAC = 2.5e-10  # per frequency, batch and channel pair
SPECTRUM_TAP = 8.9e-11  # per frequency, tap and channel pair, by matmul
SPECTRUM_SCATTER = 1.2e-8  # per frequency and channel pair, by FFT
SPECTRUM_VALUE = 6.7e-9  # per frequency and channel pair, either way


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
    values = batch * math.prod(size) * ins + points * outs
    products = points * math.prod(lattice(offsets).kernel) * outs * (ins // groups)
    rate = DEPTHWISE_MAC if groups == ins > 1 else DIRECT_MAC
    return DIRECT_START + values * DIRECT_VALUE + products * rate


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
    axes, along = moving(offsets)
    if not axes:
        return math.inf
    steps = tuple(stride[a] for a in axes)
    short = [-(-n // s) for n, s in zip(size, stride, strict=True)]
    length = tuple(short[a] for a in axes)
    coarse, _ = phases(along, steps)
    plan = make_plan(coarse, length, (0,) * len(length), length)
    still = batch * math.prod(short) // math.prod(length)
    count = math.prod(steps)
    pairs = outs * (ins // groups) * count
    spectrum = len(plan.offsets) * SPECTRUM_TAP if plan.by_matmul else SPECTRUM_SCATTER
    value = FOURIER_VALUE + (FOURIER_MORE_AXES if len(axes) > 1 else 0)
    return FOURIER_START + plan.frequencies * (
        still * (ins * count + outs) * value
        + still * pairs * FOURIER_MAC
        + pairs * (spectrum + SPECTRUM_VALUE)
    )


def cheapest(
    x: Any, channels: tuple[int, int], geometry: Any, picked: int | None, setting: Any
) -> str:
    from dashzoo_search.ops.boundary import confine
    from dashzoo_search.ops.taps import support

    offsets = (
        geometry.offsets
        if picked is None
        else support(geometry.choices[picked], causal=geometry.causal)
    )
    size = tuple(x.shape[2:])
    offsets = confine(offsets, size, setting.stride, setting.out(size), setting.padding)[2]
    path = cheaper(offsets, len(x), channels, size, setting.stride, setting.groups)
    return "mixed_weights" if path == "direct" else path
