"""The slow reference: a weighted sum of ordinary convolutions, one per choice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dashzoo_search.ops import AggConv

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d}


def sum_of_convolutions(layer: AggConv, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
    """Σ_c α_c · Conv_c(x) + bias."""
    if coefficients is None:
        coefficients = layer.alpha.softmax(0)
    convolve = CONVOLUTIONS[layer.dims]
    total = sum(
        coefficient
        * convolve(
            x,
            layer.choice_weight(index),
            stride=layer.stride,
            padding=choice.padding,
            dilation=choice.dilation,
            groups=layer.groups,
        )
        for index, (coefficient, choice) in enumerate(zip(coefficients, layer.choices, strict=True))
    )
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
    pairs = zip(
        [got, *torch.autograd.grad(got, wanted, slope)],
        [expected, *torch.autograd.grad(expected, wanted, slope)],
        strict=True,
    )
    for ours, theirs in pairs:
        # Gradients of bias and α sum over the whole output and may cancel: measure them against
        # what such a sum amounts to when it does not.
        usual = 0.1 * slope.norm().item() if theirs.dim() == 1 else 0.0
        assert_close(ours, theirs, tolerance, at_least=usual)


def assert_close(ours: Tensor, theirs: Tensor, tolerance: float, *, at_least: float = 0.0) -> None:
    """The largest difference is within ``tolerance`` of the largest value."""
    scale = max(theirs.abs().max().item(), at_least)
    assert (ours - theirs).abs().max().item() <= tolerance * scale + 1e-30


def layer_of(choices: Sequence[object], *args: int, **settings: object) -> AggConv:
    """An AggConv with logits that are not all alike."""
    layer = AggConv(*args, choices, **settings)  # type: ignore[arg-type]
    torch.nn.init.normal_(layer.alpha)
    return layer
