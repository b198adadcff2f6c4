"""What each way to compute a convolution costs, and which is cheapest for a layer and a shape.

A cost is a sum of counts (`work`) times constants in seconds (`costs`), forward and backward with
input gradient. Only ratios matter, and near a crossing a wrong pick costs little.

| count | of | path |
|---|---|---|
| start | 1 a convolution | direct |
| value | numbers read and written | direct |
| mac, mac_wide | multiply-accumulates, kernels up to and above 13 long | direct |
| channel_mac, channel_mac_dilated | the same where each channel has its own kernel | direct |
| channel_mac_small | the same for 3×3, which torch has a kernel of its own for | direct |
| layout | numbers of the dense kernel | direct |
| add | numbers of outputs added to others | direct |
| fourier_start, channel_start | 1 | Fourier; depthwise Fourier |
| fourier_fft, channel_fft | N·log₂N over all signals, one axis | Fourier; depthwise Fourier |
| fourier_planes, channel_planes | the same, more axes | Fourier; depthwise Fourier |
| fourier_value | complex numbers of signals' spectra | Fourier |
| fourier_mac | frequencies · batch · channel pairs | Fourier |
| spectrum_mac | frequencies · rows of taps · channel pairs | Fourier, by matmul |
| spectrum_fft | N·log₂N over all channel pairs | Fourier, by scatter |
| spectrum_value | frequencies · channel pairs | Fourier |

Legend: b batch, c channels in, o channels out, N transform length, F frequencies, R rows of taps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

from torch import Tensor

from dashzoo_search.ops.boundary import confine
from dashzoo_search.ops.costs import Costs, costs_for
from dashzoo_search.ops.direct import lattice
from dashzoo_search.ops.geometry import Geometry
from dashzoo_search.ops.paths import Setting, offsets_by_dilation
from dashzoo_search.ops.shared import sharing
from dashzoo_search.ops.spectrum import make_plan
from dashzoo_search.ops.taps import Offsets, moving, phases, support

__all__ = ["LastPick", "cheapest", "seconds", "work"]

Work = Mapping[str, float]

LANES = 16  # channels out that a CPU convolution works on at a time, whether there or not
WIDE = 13  # above, oneDNN has slower kernels


def cheapest(x: Tensor, outs: int, geometry: Geometry, picked: int | None, setting: Setting) -> str:
    """The path to take for a layer on ``x``.

    Args:
        x: ``[b, c, *size]``.
        outs: o.
        geometry: of the layer's choices.
        picked: the one choice that counts, or None for all.
        setting: stride, groups and padding.
    """
    return _cheapest(geometry, picked, tuple(x.shape), outs, setting, costs_for(x.device.type))


class LastPick:
    """`cheapest` for one layer, which asks the same again and again: the last answer is kept."""

    def __init__(self) -> None:
        self._asked: tuple[object, ...] = ()
        self._costs: Costs | None = None
        self._path = ""

    def __call__(
        self, x: Tensor, outs: int, geometry: Geometry, picked: int | None, setting: Setting
    ) -> str:
        """As `cheapest`."""
        costs, asked = costs_for(x.device.type), (x.shape, picked)
        if costs is not self._costs or asked != self._asked:
            self._path = cheapest(x, outs, geometry, picked, setting)
            self._costs, self._asked = costs, asked
        return self._path


@lru_cache(maxsize=4096)
def _cheapest(
    geometry: Geometry,
    picked: int | None,
    shape: tuple[int, ...],
    outs: int,
    setting: Setting,
    costs: Costs,
) -> str:
    paths = ("mixed_weights", "per_dilation", "fourier")
    known = {p: seconds(work(p, geometry, picked, shape, outs, setting), costs) for p in paths}
    return min(known, key=known.__getitem__)


def seconds(counts: Work, costs: Costs) -> float:
    """Counts times constants."""
    return math.fsum(count * getattr(costs, name) for name, count in counts.items())


def work(
    path: str,
    geometry: Geometry,
    picked: int | None,
    shape: tuple[int, ...],
    outs: int,
    setting: Setting,
) -> Work:
    """Count what ``path`` does for input ``shape [b, c, *size]``.

    A path that makes no sense (one tap in frequency, one dilation on its own) is infinitely dear.
    """
    size = shape[2:]
    if picked is None:
        parts = offsets_by_dilation(geometry) if path == "per_dilation" else [geometry.offsets]
    else:
        parts = [support(geometry.choices[picked], causal=geometry.causal)]
    out = setting.out(size)
    parts = [confine(part, size, setting.stride, out, setting.padding)[2] for part in parts]
    if path == "fourier":
        wrap = setting.padding == "circular"
        shared = sharing(geometry, size, wrap=wrap) if picked is None else None
        rows = geometry.rows if shared and max(setting.stride) == 1 else None
        return _fourier(parts[0], rows, shape, outs, setting)
    if path == "per_dilation" and len(parts) < 2:
        return {"start": math.inf}
    total: dict[str, float] = {"add": (len(parts) - 1) * shape[0] * outs * math.prod(out)}
    for part in parts:
        for name, count in _direct(part, shape, outs, setting).items():
            total[name] = total.get(name, 0) + count
    return total


def _direct(offsets: Offsets, shape: tuple[int, ...], outs: int, setting: Setting) -> Work:
    batch, ins, *size = shape
    points = batch * math.prod(setting.out(tuple(size)))
    grid = lattice(offsets)
    pairs = outs * (ins // setting.groups)
    macs = points * math.prod(grid.kernel) * (ins // setting.groups)
    if setting.groups == ins > 1:
        macs *= outs
        small = grid.kernel == (3, 3) and max(grid.dilation) == 1
        name = "channel_mac_dilated" if max(grid.dilation) > 1 else "channel_mac"
        name = "channel_mac_small" if small else name
    else:
        macs *= LANES * math.ceil(outs / setting.groups / LANES) * setting.groups
        name = "mac_wide" if max(grid.kernel) > WIDE else "mac"
    return {
        "start": 1,
        "value": batch * math.prod(size) * ins + points * outs,
        name: macs,
        "layout": math.prod(grid.kernel) * pairs,
    }


def _fourier(
    offsets: Offsets, rows: int | None, shape: tuple[int, ...], outs: int, setting: Setting
) -> Work:
    batch, ins, *size = shape
    axes, along = moving(offsets)
    if not axes:
        return {"fourier_start": math.inf}
    steps = tuple(setting.stride[a] for a in axes)
    short = setting.out(tuple(size))
    length = tuple(short[a] for a in axes)
    coarse, _ = phases(along, steps)
    plan = make_plan(coarse, length, (0,) * len(axes), length)
    lines = batch * math.prod(short) // math.prod(length)
    count = math.prod(steps)
    pairs = outs * (ins // setting.groups) * count
    signals = lines * (ins * count + outs)
    transform = plan.samples * math.log2(plan.samples)
    if setting.groups == ins == outs > 1 and count == 1:
        axis = "channel_fft" if len(axes) == 1 else "channel_planes"
        return {"channel_start": 1, axis: signals * transform}
    total = {
        "fourier_start": 1.0,
        "fourier_fft" if len(axes) == 1 else "fourier_planes": signals * transform,
        "fourier_value": signals * plan.frequencies,
        "fourier_mac": plan.frequencies * lines * pairs,
        "spectrum_value": plan.frequencies * pairs,
    }
    if rows is not None or plan.by_matmul:
        count = len(plan.offsets) if rows is None else rows
        total["spectrum_mac"] = plan.frequencies * count * pairs
    else:
        total["spectrum_fft"] = pairs * transform
    return total
