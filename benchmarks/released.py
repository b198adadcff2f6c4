"""A stand-in for the layer that DASH released, written from its description.

Every choice's weight is dilated by a Kronecker product with a unit pulse, zero-padded to the
widest choice D̄, weighed and added; then one FFT convolution of length n + 2p with p = D̄ // 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dashzoo_search.ops import AggConv

__all__ = ["kronecker"]


def kronecker(layer: AggConv, x: Tensor) -> Tensor:
    """What ``layer`` computes, the released way; full or depthwise, stride 1, zero padding."""
    choices, dims = layer.choices, layer.dims
    widest = [max(choice.extent[a] for choice in choices) for a in range(dims)]
    total: Tensor | None = None
    for index, (alpha, choice) in enumerate(zip(layer.coefficients(), choices, strict=True)):
        pattern = torch.zeros(choice.dilation, device=x.device)
        pattern[(0,) * dims] = 1
        dilated = torch.kron(layer.choice_weight(index).contiguous(), pattern)
        dilated = dilated[(..., *(slice(0, extent) for extent in choice.extent))]
        pads = [(w - e) // 2 for w, e in zip(widest, choice.extent, strict=True)]
        full = torch.nn.functional.pad(dilated, [p for pad in reversed(pads) for p in (pad, pad)])
        total = alpha * full if total is None else total + alpha * full
    assert total is not None
    half = [w // 2 for w in widest]
    padded = torch.nn.functional.pad(x, [p for pad in reversed(half) for p in (pad, pad)])
    length = padded.shape[2:]
    axes = list(range(-dims, 0))
    signal = torch.fft.rfftn(padded, dim=axes)
    kernel = torch.fft.rfftn(total, s=length, dim=axes).conj()
    if layer.groups == 1:
        mixed = torch.einsum("bi...,oi...->bo...", signal, kernel)
    else:
        mixed = signal * kernel[:, 0]
    y = torch.fft.irfftn(mixed, s=length, dim=axes)
    y = y[(..., *(slice(0, n) for n in x.shape[2:]))]
    return y if layer.bias is None else y + layer.bias.view(-1, *(1,) * dims)
