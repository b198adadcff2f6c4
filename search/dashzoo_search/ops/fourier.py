"""Convolution in the frequency domain, from taps.

    y[l] = Σ_t w_t · x[s·l + start + o_t]   ⇔   Y[f] = W[f] · X[f]

What makes it cheap:

- Only axes with a nonzero offset are transformed; the others join the batch.
- N is the first even 5-smooth length that keeps the ends from meeting: n + max|o|, not
  n + 2·max|o|; on a circular axis of such a length it is n.
- The spectrum of a few taps is a matmul (`spectrum`), already with frequency first, as the mixing
  of channels wants it (`correlation`); without mixing nothing is transposed (`depthwise`).
- A stride splits signal and taps into phases, which become input channels, so every transform
  is at the output's resolution:  x[s·q + r] → x_r[q],  w at offset s·q + r → w_r at q. It is the
  spectrum folded s times, taken before the transform instead of after.

Promises: exact up to rounding; float32 or float64 inside, whatever autocast says. Not covered:
complex input.

Legend: b batch, c channels in, o channels out, g groups, i = c / g, n length, B batch times the
axes that are not transformed, F frequencies, T taps, R rows, s stride.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from dashzoo_search.ops.correlation import correlate
from dashzoo_search.ops.direct import CONVOLUTIONS
from dashzoo_search.ops.spectrum import Plan, make_plan
from dashzoo_search.ops.taps import Offsets, index_tensor, moving, phases, reaching
from dashzoo_search.ops.transforms import smooth_length

__all__ = ["fft_conv_rows", "fft_conv_taps", "wraps"]


def fft_conv_taps(
    x: Tensor,
    taps: Tensor,
    offsets: Offsets,
    bias: Tensor | None = None,
    *,
    stride: tuple[int, ...],
    groups: int = 1,
    out: tuple[int, ...],
    start: tuple[int, ...],
    wrap: bool = False,
) -> Tensor:
    """Convolve ``x`` with ``taps`` at ``offsets``.

    Args:
        x: ``[b, c, *size]``.
        taps: ``[T, o, i]``.
        offsets: T distinct offsets.
        bias: ``[o]`` or None.
        stride: one integer an axis.
        groups: of channels.
        out: output length along each axis.
        start: the sample at which output 0 is centred.
        wrap: x is one period of an endless signal (needs `wraps`); otherwise it is zero outside.

    Returns:
        ``[b, o, *out]``, of x's dtype, or autocast's where that is on.

    >>> x, taps = torch.arange(4.0)[None, None], torch.ones(2, 1, 1)
    >>> y = fft_conv_taps(x, taps, ((-1,), (1,)), stride=(1,), out=(4,), start=(0,))
    >>> y.round().flatten().tolist()
    [1.0, 2.0, 4.0, 2.0]
    """

    def run(x: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
        return _reduced(x, taps, offsets, bias, stride, groups, out, start, wrap)

    return _in_full_precision(run, x, taps, bias)


def fft_conv_rows(
    x: Tensor,
    rows: Tensor,
    mix: Callable[[Plan], Tensor],
    offsets: Offsets,
    bias: Tensor | None,
    groups: int,
    wrap: bool,
) -> Tensor:
    """Convolve with rows that a matrix carries to the spectrum, stride 1, length kept.

    Args:
        x: ``[b, c, *size]``.
        rows: ``[R, o, i]``, mirrored about the middle one.
        mix: from the plan to a real ``[F, R]``, see `correlation.correlate`.
        offsets: all that rows may come to lie on, which tell axes and lengths.
        bias: ``[o]`` or None.
        groups: of channels.
        wrap: as in `fft_conv_taps`.
    """

    def run(x: Tensor, rows: Tensor, bias: Tensor | None) -> Tensor:
        axes, along = moving(offsets)
        size = tuple(x.shape[2:])
        length = tuple(size[a] for a in axes)

        def transformed(x: Tensor) -> Tensor:
            plan = make_plan(along, length, (0,) * len(axes), length, wrap=wrap)
            return correlate(x, rows, mix(plan), bias, plan, groups)

        return _on_axes(x, axes, transformed)

    return _in_full_precision(run, x, rows, bias)


def wraps(offsets: Offsets, size: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether a circular signal can be transformed as it is: lengths even and 5-smooth."""
    axes, _ = moving(offsets)
    return all(
        size[a] % stride[a] == 0 and smooth_length(size[a] // stride[a]) == size[a] // stride[a]
        for a in axes
    )


def _in_full_precision(
    run: Callable[[Tensor, Tensor, Tensor | None], Tensor],
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> Tensor:
    """``run`` in float32 or float64, with the result's dtype that a convolution would have."""
    device = x.device.type
    dtype = torch.promote_types(x.dtype, torch.float32)
    result = x.dtype
    if torch.is_autocast_enabled(device) and result == torch.float32:
        result = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        y = run(x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype))
    return y.to(result)


def _reduced(
    x: Tensor,
    taps: Tensor,
    offsets: Offsets,
    bias: Tensor | None,
    stride: tuple[int, ...],
    groups: int,
    out: tuple[int, ...],
    start: tuple[int, ...],
    wrap: bool,
) -> Tensor:
    """Drop what only reads zeros, reduce the stride to phases, and leave still axes alone."""
    dims = x.dim() - 2
    if not wrap:
        kept, reached = reaching(offsets, tuple(x.shape[2:]), stride, out, start)
        if len(kept) < len(offsets):
            taps, offsets = taps.index_select(0, index_tensor(kept, taps.device)), reached
    axes, along = moving(offsets)
    for axis, (s, b, m) in enumerate(zip(stride, start, out, strict=True)):
        if axis not in axes:
            x = _every(x, axis + 2, s, b, m)
    if not axes:
        # One tap, or none: the sum also gives the zeros that no tap amounts to.
        kernel = taps.sum(0).view(*taps.shape[1:], *(1,) * dims)
        return CONVOLUTIONS[dims](x, kernel, bias, groups=groups)
    steps, starts, outs = (tuple(v[a] for a in axes) for v in (stride, start, out))

    def transformed(x: Tensor) -> Tensor:
        rows, at, first = taps, along, starts
        if any(s > 1 for s in steps):
            x, rows, at, first = _phases(x, rows, at, steps, starts)
        pairs = rows[0].numel()
        plan = make_plan(at, tuple(x.shape[2:]), first, outs, pairs, wrap)
        if plan.offsets != at:
            room = rows.new_zeros(len(plan.offsets), *rows.shape[1:])
            rows = room.index_copy(0, index_tensor(plan.numbers(at), rows.device), rows)
        return correlate(x, rows, None, bias, plan, groups)

    return _on_axes(x, axes, transformed)


def _on_axes(x: Tensor, axes: tuple[int, ...], run: Callable[[Tensor], Tensor]) -> Tensor:
    """``run`` on ``[B, c, *axes]``, the other axes in the batch for as long."""
    dims = x.dim() - 2
    if len(axes) == dims:
        return run(x)
    still = [a for a in range(dims) if a not in axes]
    order = [0, *(a + 2 for a in still), 1, *(a + 2 for a in axes)]
    x = x.permute(order)
    lead = x.shape[: 1 + len(still)]
    y = run(x.reshape(-1, *x.shape[len(lead) :]))
    y = y.view(*lead, *y.shape[1:])
    return y.permute([order.index(a) for a in range(len(order))])


def _every(x: Tensor, axis: int, stride: int, start: int, count: int) -> Tensor:
    """``count`` samples of ``x`` along ``axis``, one in ``stride``, zeros past the end."""
    reach = start + stride * (count - 1) + 1
    if reach > x.shape[axis]:
        x = F.pad(x, (0, 0) * (x.dim() - axis - 1) + (0, reach - x.shape[axis]))
    x = x.narrow(axis, start, reach - start)
    return x[(slice(None),) * axis + (slice(None, None, stride),)]


def _phases(
    x: Tensor, taps: Tensor, offsets: Offsets, stride: tuple[int, ...], start: tuple[int, ...]
) -> tuple[Tensor, Tensor, Offsets, tuple[int, ...]]:
    """Split signal and taps into s phases, which become input channels (phase fastest)."""
    before = [-b % s for b, s in zip(start, stride, strict=True)]
    after = [-(n + b) % s for n, b, s in zip(x.shape[2:], before, stride, strict=True)]
    pairs = list(zip(before, after, strict=True))
    if any((*before, *after)):
        x = F.pad(x, [pad for pair in reversed(pairs) for pad in pair])
    split = [part for n, s in zip(x.shape[2:], stride, strict=True) for part in (n // s, s)]
    x = x.reshape(*x.shape[:2], *split)
    quotients = range(2, x.dim(), 2)
    x = x.permute(0, 1, *(q + 1 for q in quotients), *quotients)
    x = x.reshape(x.shape[0], -1, *x.shape[2 + len(stride) :])

    distinct, rows = phases(offsets, stride)
    count = math.prod(stride)
    _, outs, ins = taps.shape
    room = taps.new_zeros(len(distinct) * count, outs, ins)
    taps = room.index_copy(0, index_tensor(rows, taps.device), taps)
    taps = taps.view(-1, count, outs, ins).permute(0, 2, 3, 1).reshape(-1, outs, ins * count)
    first = tuple((b + extra) // s for b, extra, s in zip(start, before, stride, strict=True))
    return x, taps, distinct, first
