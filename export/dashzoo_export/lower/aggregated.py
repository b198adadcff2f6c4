"""Layers that are one convolution, written as one: aggregated, sampled, and by Fourier transform.

An `AggConv` whose kernel was never derived is Σ_c α_c · Conv_c: its taps are added up offset by
offset and put on the smallest grid that holds them, with the α it would evaluate with.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops import AggConv, PathConv
from dashzoo_search.ops.direct import lattice
from dashzoo_search.ops.fftconv import FFTConv
from dashzoo_search.ops.taps import support

__all__ = ["as_conv"]

CONVS: dict[int, type[nn.Conv1d | nn.Conv2d | nn.Conv3d]] = {
    1: nn.Conv1d,
    2: nn.Conv2d,
    3: nn.Conv3d,
}


def as_conv(layer: AggConv | PathConv | FFTConv) -> nn.Conv1d | nn.Conv2d | nn.Conv3d:
    """The one ordinary convolution that ``layer`` computes as it stands, in eval mode.

    Args:
        layer: on any device; it keeps its own weights.

    Raises:
        UnsupportedLayer: causal padding, of which torch's layers have none.

    >>> from dashzoo_search.choice import Kernel
    >>> layer = AggConv(2, 2, [Kernel((3,), (1,)), Kernel((5,), (3,))]).eval()
    >>> conv, x = as_conv(layer), torch.randn(1, 2, 40)
    >>> conv.kernel_size, bool((conv(x) - layer(x)).abs().max() < 1e-6)
    ((13,), True)
    """
    with torch.no_grad():
        if isinstance(layer, FFTConv):
            made = _conv(layer, layer.weight, layer.padding, layer.dilation, layer.padding_mode)
        elif isinstance(layer, PathConv):
            choice = layer.choices[layer.pick]
            weight = layer.choice_weight(layer.pick)
            made = _conv(layer, weight, choice.padding, choice.dilation, "zeros")
        else:
            made = _aggregated(layer)
    return made.eval()


def _aggregated(layer: AggConv) -> nn.Conv1d | nn.Conv2d | nn.Conv3d:
    if layer.padding == "causal":
        raise UnsupportedLayer(
            "A causal aggregated layer has no ordinary form; derive its kernel first"
        )
    if layer.selected is not None:
        offsets = support(layer.choices[layer.selected])
        taps = layer.choice_weight(layer.selected).flatten(2).movedim(-1, 0)
    else:
        mode = layer.relaxation.training
        layer.relaxation.eval()
        found, taps = layer.aggregated()
        layer.relaxation.train(mode)
        offsets = tuple(tuple(offset) for offset in found.tolist())
    # Torch pads both ends alike, so the grid reaches as far either way.
    far = tuple(max(abs(o) for o in axis) for axis in zip(*offsets, strict=True))
    corners = [tuple(-f for f in far), far]
    grid = lattice(tuple(sorted({*offsets, *corners})))
    kernel = taps.new_zeros(math.prod(grid.kernel), *taps.shape[1:])
    strides = [math.prod(grid.kernel[a + 1 :]) for a in range(layer.dims)]
    for offset, tap in zip(offsets, taps, strict=True):
        place = [(o + f) // d for o, f, d in zip(offset, far, grid.dilation, strict=True)]
        kernel[sum(p * s for p, s in zip(place, strides, strict=True))] = tap
    weight = kernel.movedim(0, -1).reshape(*taps.shape[1:], *grid.kernel)
    return _conv(layer, weight, far, grid.dilation, layer.padding)


def _conv(
    layer: AggConv | PathConv | FFTConv,
    weight: Tensor,
    padding: str | tuple[int, ...],
    dilation: tuple[int, ...],
    mode: str,
) -> nn.Conv1d | nn.Conv2d | nn.Conv3d:
    made = CONVS[weight.dim() - 2](
        layer.in_channels,
        layer.out_channels,
        tuple(weight.shape[2:]),  # type: ignore[arg-type]
        stride=layer.stride,  # type: ignore[arg-type]
        padding=padding,  # type: ignore[arg-type]
        dilation=dilation,  # type: ignore[arg-type]
        groups=layer.groups,
        bias=layer.bias is not None,
        padding_mode=mode,  # type: ignore[arg-type]
        device=weight.device,
        dtype=weight.dtype,
    )
    made.weight.copy_(weight)
    if made.bias is not None and layer.bias is not None:
        made.bias.copy_(layer.bias)
    return made
