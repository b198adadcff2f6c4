"""`fft_conv`: torch's convolution functions, computed in the frequency domain."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops.direct import CONVOLUTIONS
from dashzoo_search.ops.fourier import fft_conv_taps
from dashzoo_search.ops.graphs import outside_graphs

__all__ = ["Sizes", "fft_conv", "sizes_of"]

Sizes = int | Sequence[int]


@outside_graphs
def fft_conv(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | Literal["same", "valid"] = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """`torch.nn.functional.conv1d`, ``conv2d`` and ``conv3d``, in the frequency domain.

    Which of the three follows from the axes of ``weight``. Signature, shapes, dtypes and numbers
    are torch's; differentiable as often as wanted. `torch.compile` runs it outside its graph.

    Args:
        input: ``[b, c, *size]``, or ``[c, *size]`` without a batch.
        weight: ``[o, c / groups, *kernel]``, 1 to 3 axes.
        bias: ``[o]`` or None.
        stride: one integer, or one an axis.
        padding: zeros on each side, one integer or one an axis; ``"valid"`` for none, ``"same"``
            (stride 1 only) for as many as keep the size, an odd one at the end.
        dilation: one integer, or one an axis.
        groups: of channels.

    Returns:
        ``[b, o, *out]``, or ``[o, *out]``, with ``out = ⌊(n + 2p − d(k−1) − 1) / s⌋ + 1``.

    Raises:
        ValueError: shapes or settings that torch would not take either; torch's own error is a
            RuntimeError.
        UnsupportedLayer: complex or integer tensors, more than three axes.

    >>> x, w = torch.randn(2, 3, 40), torch.randn(5, 3, 7)
    >>> bool((fft_conv(x, w, padding=3) - torch.conv1d(x, w, padding=3)).abs().max() < 1e-4)
    True
    """
    dims = weight.dim() - 2
    _check_tensors(input, weight, bias, dims, groups)
    if input.dim() == dims + 1:
        return fft_conv(input[None], weight, bias, stride, padding, dilation, groups)[0]
    kernel, size = weight.shape[2:], input.shape[2:]
    steps, gaps = _per_axis(stride, dims, "stride"), _per_axis(dilation, dims, "dilation")
    spans = [d * (k - 1) for k, d in zip(kernel, gaps, strict=True)]
    before, after = _pads(padding, spans, steps)
    out = tuple(
        (n + p + q - span - 1) // s + 1
        for n, p, q, span, s in zip(size, before, after, spans, steps, strict=True)
    )
    if any(n + p + q < span + 1 for n, p, q, span in zip(size, before, after, spans, strict=True)):
        raise ValueError(f"the kernel reaches further than the padded input of {tuple(size)}")
    if input.numel() == 0 or weight.numel() == 0:
        return CONVOLUTIONS[dims](input, weight, bias, steps, padding, gaps, groups)
    axes = ([d * j - p for j in range(k)] for k, d, p in zip(kernel, gaps, before, strict=True))
    return fft_conv_taps(
        input,
        weight.flatten(2).movedim(-1, 0),
        tuple(itertools.product(*axes)),
        bias,
        stride=steps,
        groups=groups,
        out=out,
        start=(0,) * dims,
    )


def _check_tensors(
    input: Tensor, weight: Tensor, bias: Tensor | None, dims: int, groups: int
) -> None:
    if dims > 3:
        raise UnsupportedLayer(f"A convolution over {dims} axes is unsupported; use 1, 2 or 3")
    given = [tensor for tensor in (input, weight, bias) if tensor is not None]
    for tensor in given:
        if tensor.is_complex():
            raise UnsupportedLayer(
                "Complex signals are unsupported; convolve real and imaginary parts"
            )
        if not tensor.is_floating_point():
            raise UnsupportedLayer(f"{tensor.dtype} is unsupported; convert to a float")
    shapes = f"input {tuple(input.shape)} and weight {tuple(weight.shape)}"
    if dims < 1 or input.dim() not in (dims + 1, dims + 2):
        raise ValueError(f"{shapes} do not fit")
    if len({t.dtype for t in given}) > 1 and not torch.is_autocast_enabled(input.device.type):
        raise ValueError(f"dtypes differ: {', '.join(str(t.dtype) for t in given)}")
    if groups < 1 or weight.shape[0] % groups:
        raise ValueError(f"{weight.shape[0]} output channels do not divide by groups={groups}")
    if input.shape[-dims - 1] != weight.shape[1] * groups:
        raise ValueError(f"{shapes} do not fit with groups={groups}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias must have shape {tuple(weight.shape[:1])}, not {tuple(bias.shape)}")


def sizes_of(value: Sizes, dims: int) -> tuple[int, ...]:
    """One integer for each of ``dims`` axes.

    >>> sizes_of(3, 2)
    (3, 3)
    """
    return (value,) * dims if isinstance(value, int) else tuple(value)


def _per_axis(value: Sizes, dims: int, name: str, least: int = 1) -> tuple[int, ...]:
    values = sizes_of(value, dims)
    if len(values) == 1:
        values *= dims
    if len(values) != dims or min(values) < least:
        word = "positive" if least else "at least 0"
        raise ValueError(f"{name} must be {word}, one integer or {dims}, not {value!r}")
    return values


def _pads(
    padding: Sizes | str, spans: list[int], stride: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Zeros before and after."""
    if not isinstance(padding, str):
        pads = _per_axis(padding, len(spans), "padding", least=0)
        return pads, pads
    if padding == "valid":
        return (0,) * len(spans), (0,) * len(spans)
    if padding != "same":
        raise ValueError(f"padding must be 'same', 'valid' or integers, not {padding!r}")
    if any(s > 1 for s in stride):
        raise ValueError("padding='same' is for stride 1 only")
    return tuple(span // 2 for span in spans), tuple(span - span // 2 for span in spans)
