"""The kernel on a choice's support that comes nearest to what a layer computes.

With y the layer's output on real samples and conv_S a convolution with the taps of S only,

    min over w and a shift of each channel   ‖ y − conv_S(x, w) − shift ‖²

for every group and output channel by itself. It is the energy of what is left out, weighed by the
input's autocorrelation over the offsets: on white inputs the solution is the restriction, on
correlated ones the taps that stay take over what those left out did.

The normal equations have (taps · channels)² entries, too many to lay out, so they are solved by
conjugate gradients (CGLS, Hestenes & Stiefel 1952) whose matrix is the convolution itself, its
transpose the gradient with respect to the weight. They start at the restriction, and no step
makes the fit worse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import grad

from dashzoo_search.derive.restriction import centred, visit_layers
from dashzoo_search.ops import AggConv
from dashzoo_search.ops.direct import CONVOLUTIONS
from dashzoo_search.supernet import Supernet

__all__ = ["Fit", "fit_kernel", "fit_kernels"]

ITERATIONS = 12
_TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: grad.conv1d_weight,
    2: grad.conv2d_weight,
    3: grad.conv3d_weight,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A kernel fitted to a layer's output.

    Attributes:
        weight: ``[o, i, *kernel]``.
        shift: ``[o]``, to be added to the layer's bias.
        share: of the output's variance it explains, the mean over channels.
    """

    weight: Tensor
    shift: Tensor
    share: float

    def write_into(self, layer: AggConv, index: int) -> None:
        """Make it the weight of choice ``index``, and move the bias, if there is one."""
        layer.set_choice_weight(index, self.weight)
        if layer.bias is not None:
            with torch.no_grad():
                layer.bias.add_(self.shift)


def fit_kernels(supernet: Supernet, samples: Tensor) -> dict[str, list[Fit]]:
    """Fit every choice of every layer on raw ``samples [b, c, …]``, all others as they are."""
    found: dict[str, list[Fit]] = {}

    def visit(name: str, layer: AggConv, x: Tensor, y: Tensor) -> None:
        found[name] = [fit_kernel(layer, i, x, y) for i in range(len(layer.choices))]

    visit_layers(supernet, samples, visit)
    return found


def fit_kernel(
    layer: AggConv, index: int, x: Tensor, y: Tensor, *, iterations: int = ITERATIONS
) -> Fit:
    """The best kernel of choice ``index``.

    Args:
        layer: zero-padded.
        index: of the choice.
        x: the layer's input ``[b, c, *size]``.
        y: its output ``[b, o, *out]``.
        iterations: at most; with as many as unknowns the fit is exact but for rounding.
    """
    choice, dims = layer.choices[index], layer.dims
    setting = (layer.stride, choice.padding, choice.dilation, layer.groups)
    lone = (slice(None),) + (None,) * (dims + 1)  # a number a channel, as a kernel
    spread = (None, slice(None)) + (None,) * dims  # and as an output
    over = tuple(range(1, dims + 2))
    positions = (0, *range(2, dims + 2))

    def convolve(weight: Tensor) -> Tensor:
        return CONVOLUTIONS[dims](x, weight, None, *setting)

    def transposed(residual: Tensor) -> Tensor:
        # The residual has mean zero in each channel, so centring has nothing to do here.
        return _TRANSPOSED[dims](x, weight.shape, residual, *setting)

    def ratio(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(b > 0, a / b, torch.zeros_like(a))

    with torch.no_grad():
        weight = layer.restricted(index).clone()
        residual = centred(y - convolve(weight))
        slope = direction = transposed(residual)
        steep = start = slope.square().sum(over)
        for _ in range(iterations):
            change = centred(convolve(direction))
            step = ratio(steep, change.square().sum(positions))
            weight += step[lone] * direction
            residual = residual - step[spread] * change
            slope = transposed(residual)
            before, steep = steep, slope.square().sum(over)
            if bool((steep <= 1e-8 * start).all()):
                break
            direction = slope + ratio(steep, before)[lone] * direction
        whole = centred(y).square().sum(positions)
        left = ratio(residual.square().sum(positions), whole)
        share = torch.where(whole > 0, 1 - left, torch.zeros_like(left)).mean()
        bias = layer.bias if layer.bias is not None else 0.0
        shift = (y - convolve(weight)).mean(positions) - bias
    return Fit(weight=weight, shift=shift, share=float(share))
