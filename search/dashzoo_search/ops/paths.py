"""The ways to compute an aggregated convolution, from weights and coefficients to the output.

| path | convolutions | taps of each |
|---|---|---|
| mixed_results | one a choice, outputs weighed and added | those of the choice |
| per_dilation | one a dilation, sizes added in the weights | those of the largest size |
| mixed_weights | one, all choices added in the weights | the dense kernel around all |
| fourier | one, in the frequency domain | – |

All give the same numbers up to rounding.

Legend: b batch, c channels in, o channels out, R rows of weight, T distinct offsets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from dashzoo_search.ops.boundary import confine, extend, margins
from dashzoo_search.ops.direct import direct_conv_taps
from dashzoo_search.ops.fourier import fft_conv_rows, fft_conv_taps, wraps
from dashzoo_search.ops.geometry import Geometry, accumulate
from dashzoo_search.ops.shared import response, sharing
from dashzoo_search.ops.spectrum import Plan
from dashzoo_search.ops.taps import Offsets, index_tensor, support

__all__ = ["PATHS", "Setting", "aggregate", "convolve", "convolve_all", "offsets_by_dilation"]

WORTH_GATHERING = 5_000_000  # multiply-adds spared, below which its calls cost more than it spares
GATHERED = 16  # multiply-adds that moving one constant takes as long as

PATHS = ("mixed_weights", "per_dilation", "fourier", "mixed_results")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a convolution has besides its kernel.

    Attributes:
        stride: one integer an axis.
        groups: of channels.
        padding: one of `boundary.PADDINGS`.
    """

    stride: tuple[int, ...]
    groups: int
    padding: str

    def out(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Output length along each axis."""
        return tuple(-(-n // s) for n, s in zip(size, self.stride, strict=True))


def convolve_all(
    x: Tensor,
    weight: Tensor,
    coefficients: Tensor,
    geometry: Geometry,
    bias: Tensor | None,
    setting: Setting,
    path: str,
) -> Tensor:
    """Convolve with all choices at once, along one of `PATHS`.

    Args:
        x: ``[b, c, *size]``.
        weight: ``[R, o, i]``.
        coefficients: ``[choices]``.
        geometry: of the choices.
        bias: ``[o]`` or None.
        setting: stride, groups and padding.
        path: one of `PATHS`.

    Returns:
        ``[b, o, *setting.out(size)]``.
    """
    if path == "mixed_results":
        return _mixed_results(x, weight, coefficients, geometry, bias, setting)
    if path == "per_dilation":
        return _per_dilation(x, weight, coefficients, geometry, bias, setting)
    if path == "fourier":
        y = _from_master(x, weight, coefficients, geometry, bias, setting)
        if y is not None:
            return y
    taps = aggregate(weight, coefficients, geometry)
    return convolve(x, taps, geometry.offsets, bias, setting, path)


def convolve(
    x: Tensor, taps: Tensor, offsets: Offsets, bias: Tensor | None, setting: Setting, path: str
) -> Tensor:
    """One convolution with ``taps [T, o, i]`` at ``offsets``, ``"fourier"`` or direct."""
    size = tuple(x.shape[2:])
    out = setting.out(size)
    confined = confine(offsets, size, setting.stride, out, setting.padding)
    taps, offsets = _drawn(taps, offsets, setting, size)
    stride, groups, zero = setting.stride, setting.groups, (0,) * len(size)
    if path != "fourier":
        x, start = _extended(x, offsets, setting, out)
        return direct_conv_taps(
            x, taps, offsets, bias, stride=stride, groups=groups, out=out, start=start
        )
    wrap = setting.padding == "circular" and wraps(confined[2], size, stride)
    x, start = (x, zero) if wrap else _extended(x, offsets, setting, out)
    return fft_conv_taps(
        x, taps, offsets, bias, stride=stride, groups=groups, out=out, start=start, wrap=wrap
    )


def aggregate(weight: Tensor, coefficients: Tensor, geometry: Geometry) -> Tensor:
    """The taps of the aggregated kernel, ``[T, o, i]``."""
    numbers = (geometry.slot_offset, geometry.slot_choice, geometry.slot_row)
    offset, choice, row = (index_tensor(n, weight.device) for n in numbers)
    count = len(geometry.offsets)
    return accumulate(weight, coefficients, (offset, choice, row), count, shared=geometry.shared)


def offsets_by_dilation(geometry: Geometry) -> list[Offsets]:
    """The offsets that the choices of each dilation touch."""
    return [part[0] for part in _by_dilation(geometry)]


def _mixed_results(
    x: Tensor,
    weight: Tensor,
    coefficients: Tensor,
    geometry: Geometry,
    bias: Tensor | None,
    setting: Setting,
) -> Tensor:
    size = tuple(x.shape[2:])
    out = setting.out(size)
    drawn = confine(geometry.offsets, size, setting.stride, out, setting.padding)[2]
    x, start = _extended(x, drawn, setting, out)
    total: Tensor | None = None
    for index, choice in enumerate(geometry.choices):
        rows = weight.index_select(0, index_tensor(geometry.rows_of(index), weight.device))
        taps, at = _drawn(rows, support(choice, causal=geometry.causal), setting, size)
        y = direct_conv_taps(
            x, taps, at, stride=setting.stride, groups=setting.groups, out=out, start=start
        )
        y = y * coefficients[index].to(y.dtype)
        total = y if total is None else total + y
    assert total is not None
    return _with_bias(total, bias)


def _per_dilation(
    x: Tensor,
    weight: Tensor,
    coefficients: Tensor,
    geometry: Geometry,
    bias: Tensor | None,
    setting: Setting,
) -> Tensor:
    size = tuple(x.shape[2:])
    out = setting.out(size)
    drawn = confine(geometry.offsets, size, setting.stride, out, setting.padding)[2]
    x, start = _extended(x, drawn, setting, out)
    total: Tensor | None = None
    for offsets, *slots in _by_dilation(geometry):
        offset, choice, row = (index_tensor(numbers, weight.device) for numbers in slots)
        rows = weight if geometry.shared else weight.index_select(0, row)
        taps = accumulate(
            rows, coefficients, (offset, choice, row), len(offsets), shared=geometry.shared
        )
        taps, at = _drawn(taps, offsets, setting, size)
        # The first convolution adds the bias at no cost.
        first = bias if total is None else None
        y = direct_conv_taps(
            x, taps, at, first, stride=setting.stride, groups=setting.groups, out=out, start=start
        )
        total = y if total is None else total + y
    assert total is not None
    return total


def _from_master(
    x: Tensor,
    weight: Tensor,
    coefficients: Tensor,
    geometry: Geometry,
    bias: Tensor | None,
    setting: Setting,
) -> Tensor | None:
    """The Fourier path of shared weights, or None where it has to go by taps."""
    size = tuple(x.shape[2:])
    circular = setting.padding == "circular"
    ones = (1,) * len(size)
    wrap = circular and wraps(geometry.offsets, size, ones)
    if setting.stride != ones or not (setting.padding == "zeros" or wrap):
        return None
    shared = sharing(geometry, size, wrap=wrap)
    if shared is None:
        return None
    spared = weight[0].numel() * (len(shared.offsets) - len(weight))
    spent = GATHERED * len(shared.dilations) * len(weight)
    if (spared - spent) * math.prod(size) < WORTH_GATHERING:
        return None
    dtype = torch.promote_types(weight.dtype, torch.float32)

    def mix(plan: Plan) -> Tensor:
        return response(shared, shared.betas(coefficients.to(dtype)), plan)

    return fft_conv_rows(x, weight, mix, shared.offsets, bias, setting.groups, wrap)


def _drawn(
    taps: Tensor, offsets: Offsets, setting: Setting, size: tuple[int, ...]
) -> tuple[Tensor, Offsets]:
    """Taps at the offsets that stand for ``offsets`` on this signal, added where they meet."""
    out = setting.out(size)
    kept, rows, drawn = confine(offsets, size, setting.stride, out, setting.padding)
    if len(kept) < len(offsets):
        taps = taps.index_select(0, index_tensor(kept, taps.device))
    if rows != tuple(range(len(drawn))):
        room = taps.new_zeros(len(drawn), *taps.shape[1:])
        taps = room.index_add(0, index_tensor(rows, taps.device), taps)
    return taps, drawn


def _extended(
    x: Tensor, drawn: Offsets, setting: Setting, out: tuple[int, ...]
) -> tuple[Tensor, tuple[int, ...]]:
    """The signal with what it reads beyond its ends, and where output 0 is centred in it."""
    zero = (0,) * len(out)
    if setting.padding in ("zeros", "causal"):
        return x, zero
    before, after = margins(drawn, tuple(x.shape[2:]), setting.stride, out, zero)
    before, after = (tuple(max(0, n) for n in ends) for ends in (before, after))
    return extend(x, before, after, setting.padding), before


def _with_bias(y: Tensor, bias: Tensor | None) -> Tensor:
    return y if bias is None else y + bias.to(y.dtype).view(-1, *(1,) * (y.dim() - 2))


@lru_cache(maxsize=256)
def _by_dilation(
    geometry: Geometry,
) -> tuple[tuple[Offsets, tuple[int, ...], tuple[int, ...], tuple[int, ...]], ...]:
    """For every dilation: its offsets, and its slots' numbers among them, choices and rows."""
    parts = []
    for dilation in dict.fromkeys(choice.dilation for choice in geometry.choices):
        members = [c for c, choice in enumerate(geometry.choices) if choice.dilation == dilation]
        slots = [s for c in members for s in range(geometry.bounds[c], geometry.bounds[c + 1])]
        used = sorted({geometry.slot_offset[s] for s in slots})
        number = {t: position for position, t in enumerate(used)}
        parts.append(
            (
                tuple(geometry.offsets[t] for t in used),
                tuple(number[geometry.slot_offset[s]] for s in slots),
                tuple(geometry.slot_choice[s] for s in slots),
                tuple(geometry.slot_row[s] for s in slots),
            )
        )
    return tuple(parts)
