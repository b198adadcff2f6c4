"""The slow reference: a weighted sum of ordinary convolutions, one per choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dashzoo_search.ops import AggConv

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


_NUMPY = {"circular": "wrap", "reflect": "reflect", "replicate": "edge"}


def lay_out(x: Tensor, axis: int, before: int, after: int, padding: str) -> Tensor:
    """``x`` with samples before and after along ``axis``, by NumPy's idea of each padding."""
    if padding in ("zeros", "causal"):
        pads = [0, 0] * (x.dim() - axis - 1) + [before, after]
        return F.pad(x, pads)
    index = np.pad(np.arange(x.shape[axis]), (before, after), mode=_NUMPY[padding])  # type: ignore[call-overload]
    return x.index_select(axis, torch.from_numpy(index))


def one_convolution(layer: AggConv, x: Tensor, index: int) -> Tensor:
    """What one choice alone computes, without bias and coefficient."""
    choice = layer.choices[index]
    for axis, extent in enumerate(choice.extent):
        before = extent - 1 if layer.padding == "causal" else (extent - 1) // 2
        x = lay_out(x, axis + 2, before, extent - 1 - before, layer.padding)
    return CONVOLUTIONS[layer.dims](
        x,
        layer.choice_weight(index),
        stride=layer.stride,
        dilation=choice.dilation,
        groups=layer.groups,
    )


def sum_of_convolutions(layer: AggConv, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
    """Σ_c α_c · Conv_c(x) + bias."""
    if coefficients is None:
        coefficients = layer.alpha.softmax(0)
    parts = (one_convolution(layer, x, index) for index in range(len(layer.choices)))
    total = sum(c * y for c, y in zip(coefficients, parts, strict=True))
    assert isinstance(total, Tensor)
    if layer.bias is not None:
        total = total + layer.bias.view(-1, *(1,) * layer.dims)
    return total


def assert_same(layer: AggConv, x: Tensor, tolerance: float) -> None:
    """Values, and gradients of x and of every parameter, agree relative to their maximum."""
    wanted = [x.requires_grad_(), *(p for p in layer.parameters() if p.requires_grad)]
    got, expected = layer(x), sum_of_convolutions(layer, x)
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    slope = torch.randn_like(expected)
    x_most, w_most, s_most = (t.detach().abs().max().item() for t in (x, layer.weight, slope))
    # Sums may cancel: what they amount to when they do not is the measure then. Gradients of bias
    # and α sum over the whole output.
    usual = {id(x): w_most * s_most, id(layer.weight): x_most * s_most / len(layer.choices)}
    pairs = zip(
        [got, *torch.autograd.grad(got, wanted, slope)],
        [expected, *torch.autograd.grad(expected, wanted, slope)],
        [x_most * w_most, *(usual.get(id(t), slope.norm().item()) for t in wanted)],
        strict=True,
    )
    for ours, theirs, scale in pairs:
        assert_close(ours, theirs, tolerance, at_least=0.1 * scale)


def assert_close(ours: Tensor, theirs: Tensor, tolerance: float, *, at_least: float = 0.0) -> None:
    """The largest difference is within ``tolerance`` of the largest value."""
    scale = max(theirs.abs().max().item(), at_least)
    assert (ours - theirs).abs().max().item() <= tolerance * scale + 1e-30


def layer_of(choices: Sequence[object], *args: int, **settings: object) -> AggConv:
    """An AggConv with logits that are not all alike."""
    layer = AggConv(*args, choices, **settings)  # type: ignore[arg-type]
    torch.nn.init.normal_(layer.alpha)
    return layer
