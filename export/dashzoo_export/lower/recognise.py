"""Tell whether an XD-operation still is a convolution, and which.

Impulses in the corners give the weight at every offset; it is a convolution if random signals then
agree, which no other operator does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dashzoo_search.ops.xd import XDConv

__all__ = ["as_convolution"]

PROBES = 4


def as_convolution(layer: XDConv, tolerance: float) -> nn.Conv2d | None:
    """The convolution that ``layer``, in double precision, computes; None if it is none.

    It has the layer's own kernel if that is enough, else the least that is centred.
    """
    weight, far = _answers(layer)
    heard = (weight.abs().amax((0, 1)) > tolerance * weight.abs().max()).nonzero() - far
    found = [sorted(set(heard[:, d].tolist())) for d in range(2)]
    own = [
        range(-_before(layer, d), dilation * k - _before(layer, d), dilation)
        for d, (k, dilation) in enumerate(zip(layer.kernel_size, layer.dilation, strict=True))
    ]
    padding: Any = layer.padding
    grids = own
    if not all(set(f) <= set(o) for f, o in zip(found, own, strict=True)):
        if any(-(-n // a.stride) != a.outputs for n, a in zip(layer.size, layer.axes, strict=True)):
            return None  # a centred kernel would have more outputs, or fewer
        grids = [_centred(f) for f in found]
        padding = tuple(-grid.start for grid in grids)
    conv = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        tuple(len(grid) for grid in grids),  # type: ignore[arg-type]
        stride=layer.stride,  # type: ignore[arg-type]
        padding=padding,
        dilation=tuple(grid.step for grid in grids),  # type: ignore[arg-type]
        groups=layer.groups,
        bias=layer.bias is not None,
        padding_mode=layer.padding_mode,  # type: ignore[arg-type]
        dtype=weight.dtype,
    )
    for d, grid in enumerate(grids):
        weight = weight.index_select(d + 2, torch.tensor(grid) + int(far[d]))
    conv.weight.copy_(weight)
    if conv.bias is not None and layer.bias is not None:
        conv.bias.copy_(layer.bias)
    x = torch.randn(
        PROBES,
        layer.in_channels,
        *layer.size,
        generator=torch.Generator().manual_seed(0),
        dtype=weight.dtype,
    )
    wanted = layer(x)
    close = bool((conv(x) - wanted).abs().max() <= tolerance * wanted.abs().max())
    return conv.eval() if close else None


def _answers(layer: XDConv) -> tuple[Tensor, Tensor]:
    """What outputs hear of an input at every offset: ``[O, C / g, *offsets]``, and where 0 is.

    An offset is that of the input from the output's centre, as of a kernel's tap. Impulses at the
    first samples are heard by outputs behind them, those at the last by outputs before; where there
    is more input than outputs are spread over, some between are needed.
    """
    circular = layer.padding_mode == "circular"
    ins = layer.in_channels // layer.groups
    corners, far = [], []
    for d, (n, axis) in enumerate(zip(layer.size, layer.axes, strict=True)):
        heard = {at for at in range(n) if at // axis.stride % axis.outputs == 0}
        corners.append(sorted(heard if circular else heard | set(range(n)[-axis.stride :])))
        far.append(max(n, axis.reach, layer.dilation[d] * layer.kernel_size[d]))
    weight = torch.zeros(layer.out_channels, ins, *(2 * f + 1 for f in far), dtype=torch.float64)
    each = torch.arange(ins)
    for corner in itertools.product(*corners):
        x = torch.zeros(ins, layer.groups, ins, *layer.size, dtype=torch.float64)
        x[each, :, each, corner[0], corner[1]] = 1
        answer = layer(x.flatten(1, 2))
        if layer.bias is not None:
            answer = answer - layer.bias[:, None, None]
        places = []
        for d, (at, n, axis) in enumerate(zip(corner, layer.size, layer.axes, strict=True)):
            offsets = at - axis.stride * torch.arange(axis.outputs)
            if circular:
                offsets = (offsets + n // 2) % n - n // 2
            places.append(offsets + far[d])
        weight[:, :, places[0][:, None], places[1]] = answer.transpose(0, 1)
    return weight, torch.tensor(far)


def _before(layer: XDConv, axis: int) -> int:
    """Samples of padding before the first."""
    if layer.padding == "same":
        return layer.dilation[axis] * (layer.kernel_size[axis] - 1) // 2
    return 0 if isinstance(layer.padding, str) else layer.padding[axis]


def _centred(offsets: Sequence[int]) -> range:
    """The coarsest centred grid that holds ``offsets``."""
    far = max(map(abs, offsets), default=0)
    step = math.gcd(far, *offsets) or 1
    return range(-far, far + 1, step)
