"""Convolution in the frequency domain, from taps.

    y[l] = Σ_t w_t · x[l + o_t]   ⇔   Y[f] = W[f] · X[f],   W[f] = Σ_t w_t · e^{2πi f·o_t / N}

What makes it cheap:

- Only axes with a nonzero offset are transformed; the others join the batch.
- N is the first even 5-smooth length that keeps the ends from meeting: n + max|o|, not
  n + 2·max|o|.
- The spectrum of a few taps is a matmul (`spectrum`), already with frequency first, as the mixing
  of channels wants it (`correlation`).
- A stride splits signal and taps into phases, which become input channels, so every transform
  is at the output's resolution:  x[s·q + r] → x_r[q],  w at offset s·q + r → w_r at q.

Promises: exact up to rounding; first derivatives of any input; float32 or float64 inside,
whatever autocast says. Not covered: complex input, second derivatives (use the direct path).

Legend: b batch, c channels in, o channels out, g groups, i = c / g, n length, B batch times the
axes that are not transformed, F frequencies, T taps, s stride.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops.correlation import correlate
from dashzoo_search.ops.direct import CONVOLUTIONS
from dashzoo_search.ops.taps import Offsets, index_tensor, moving, phases, reaching

__all__ = ["fft_conv", "fft_conv_taps"]


def fft_conv_taps(
    x: Tensor,
    taps: Tensor,
    offsets: Offsets | Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | Sequence[int] = 1,
    groups: int = 1,
    out: Sequence[int] | None = None,
) -> Tensor:
    """Convolve ``x`` with ``taps`` at ``offsets``: ``y[l] = Σ_t w_t · x[s·l + o_t]``.

    Args:
        x: ``[b, c, *size]``, zero outside.
        taps: ``[T, o, i]``, one matrix per offset.
        offsets: T distinct offsets, ``[T, dims]`` or a tuple of tuples.
        bias: ``[o]`` or None.
        stride: one integer, or one an axis.
        groups: of channels.
        out: output length along each axis; ``ceil(size / stride)`` if None.

    Returns:
        ``[b, o, *out]``, of x's dtype, or autocast's where that is on.

    Raises:
        UnsupportedLayer: complex input.

    >>> x, taps = torch.arange(4.0)[None, None], torch.ones(2, 1, 1)
    >>> fft_conv_taps(x, taps, ((-1,), (1,))).round().flatten().tolist()
    [1.0, 2.0, 4.0, 2.0]
    """
    if x.is_complex() or taps.is_complex():
        raise UnsupportedLayer("Complex signals are unsupported; convolve real and imaginary parts")
    size = tuple(x.shape[2:])
    strides = (stride,) * len(size) if isinstance(stride, int) else tuple(stride)
    if isinstance(offsets, Tensor):
        offsets = tuple(tuple(row) for row in offsets.tolist())
    if out is None:
        out = tuple(-(-n // s) for n, s in zip(size, strides, strict=True))
    device = x.device.type
    dtype = torch.promote_types(x.dtype, torch.float32)
    result = x.dtype
    if torch.is_autocast_enabled(device) and result == torch.float32:
        result = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        x, taps = x.to(dtype), taps.to(dtype)
        bias = None if bias is None else bias.to(dtype)
        y = _strided(x, taps, offsets, bias, strides, groups, tuple(out))
    return y.to(result)


def _strided(
    x: Tensor,
    taps: Tensor,
    offsets: Offsets,
    bias: Tensor | None,
    stride: tuple[int, ...],
    groups: int,
    out: tuple[int, ...],
) -> Tensor:
    """Drop what only reads padding, reduce the stride to phases, and leave still axes alone."""
    dims = x.dim() - 2
    kept, reached = reaching(offsets, tuple(x.shape[2:]), stride, out)
    axes, along = moving(reached)
    for axis, (s, m) in enumerate(zip(stride, out, strict=True)):
        if axis not in axes:
            x = _every(x, axis + 2, s, m)
    if len(kept) < len(offsets):
        taps = taps.index_select(0, index_tensor(kept, taps.device))
    if not axes:
        # One tap, or none: the sum also gives the zeros that no tap amounts to.
        kernel = taps.sum(0).view(*taps.shape[1:], *(1,) * dims)
        return CONVOLUTIONS[dims](x, kernel, bias, groups=groups)
    still = [a for a in range(dims) if a not in axes]
    order = [0, *(a + 2 for a in still), 1, *(a + 2 for a in axes)]
    x = x.permute(order)
    lead = x.shape[: 1 + len(still)]
    x = x.reshape(-1, *x.shape[len(lead) :])
    steps = tuple(stride[a] for a in axes)
    if any(s > 1 for s in steps):
        x, taps, along = _phases(x, taps, along, steps)
    y = correlate(x, taps, along, bias, groups, tuple(out[a] for a in axes))
    y = y.view(*lead, *y.shape[1:])
    back = [order.index(a) for a in range(len(order))]
    return y.permute(back)


def _every(x: Tensor, axis: int, stride: int, count: int) -> Tensor:
    """``count`` samples of ``x`` along ``axis``, one in ``stride``, zeros past the end."""
    reach = stride * (count - 1) + 1
    if reach > x.shape[axis]:
        x = F.pad(x, (0, 0) * (x.dim() - axis - 1) + (0, reach - x.shape[axis]))
    return x.narrow(axis, 0, reach)[(slice(None),) * axis + (slice(None, None, stride),)]


def _phases(
    x: Tensor, taps: Tensor, offsets: Offsets, stride: tuple[int, ...]
) -> tuple[Tensor, Tensor, Offsets]:
    """Split signal and taps into s phases, which become input channels (phase fastest)."""
    size = x.shape[2:]
    count = math.prod(stride)
    short = [-n % s for n, s in zip(size, stride, strict=True)]
    x = F.pad(x, [pad for n in reversed(short) for pad in (0, n)])
    split = [part for n, s in zip(x.shape[2:], stride, strict=True) for part in (n // s, s)]
    x = x.reshape(*x.shape[:2], *split)
    quotients = range(2, x.dim(), 2)
    x = x.permute(0, 1, *(q + 1 for q in quotients), *quotients)
    x = x.reshape(x.shape[0], -1, *x.shape[2 + len(stride) :])

    distinct, rows = phases(offsets, stride)
    _, outs, ins = taps.shape
    room = taps.new_zeros(len(distinct) * count, outs, ins)
    taps = room.index_copy(0, index_tensor(rows, taps.device), taps)
    taps = taps.view(-1, count, outs, ins).permute(0, 2, 3, 1).reshape(-1, outs, ins * count)
    return x, taps, distinct


def fft_conv(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | Literal["same", "valid"] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """`torch.nn.functional.conv1d` and ``conv2d``, computed in the frequency domain.

    Args:
        input: ``[b, c, *size]``.
        weight: ``[o, c / groups, *kernel]``.
        bias: ``[o]`` or None.
        stride: one integer, or one an axis.
        padding: zeros on each side, or ``"same"`` (stride 1 only) or ``"valid"``.
        dilation: one integer, or one an axis.
        groups: of channels.

    Raises:
        ValueError: shapes or settings that torch would not take either.

    >>> x, w = torch.randn(2, 3, 40), torch.randn(5, 3, 7)
    >>> bool((fft_conv(x, w, padding=3) - torch.conv1d(x, w, padding=3)).abs().max() < 1e-4)
    True
    """
    dims = input.dim() - 2
    if dims < 1 or weight.dim() != input.dim():
        raise ValueError(f"input {tuple(input.shape)} and weight {tuple(weight.shape)} do not fit")
    kernel, size = weight.shape[2:], input.shape[2:]
    steps, gaps = (
        (value,) * dims if isinstance(value, int) else tuple(value) for value in (stride, dilation)
    )
    spans = [d * (k - 1) for k, d in zip(kernel, gaps, strict=True)]
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"padding must be 'same', 'valid' or integers, not {padding!r}")
        if padding == "same" and any(s > 1 for s in steps):
            raise ValueError("padding='same' is for stride 1 only")
        before = [span // 2 if padding == "same" else 0 for span in spans]
        after = [
            span - b if padding == "same" else 0 for span, b in zip(spans, before, strict=True)
        ]
    else:
        before = after = [padding] * dims if isinstance(padding, int) else list(padding)
    out = [
        (n + p + q - span - 1) // s + 1
        for n, p, q, span, s in zip(size, before, after, spans, steps, strict=True)
    ]
    if min(out) < 1:
        raise ValueError(f"the kernel reaches further than the padded input of {tuple(size)}")
    axes = ([d * j - p for j in range(k)] for k, d, p in zip(kernel, gaps, before, strict=True))
    taps = weight.flatten(2).movedim(-1, 0)
    return fft_conv_taps(
        input,
        taps,
        tuple(itertools.product(*axes)),
        bias,
        stride=steps,
        groups=groups,
        out=out,
    )
