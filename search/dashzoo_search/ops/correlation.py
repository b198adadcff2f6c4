"""The correlation of a signal with a few taps, through the frequency domain.

    y[l] = Σ_t w_t · x[l + o_t]   ⇔   Y[f] = W[f] · X[f],   W[f] = Σ_t w_t · e^{2πi f·o_t / N}

Spectra lie frequency first, so that mixing channels is one batched matmul, [B × i] @ [i × o] per
frequency; depthwise it is a product. One autograd function holds forward and backward: torch's own
gradient of a real FFT is a complex one of full length, where a real inverse FFT is enough.

Promises: exact up to rounding; first derivatives of any input. Not covered: second derivatives
(use the direct path). Memory is about F·(o·i + B·c) complex numbers, kept for the backward.

Legend: B batch, c channels in, o channels out, g groups, i = c / g, N transform length,
F frequencies (N/2 + 1 along the last axis), T taps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dashzoo_search.ops.spectrum import Plan, irfftn, make_plan, rfftn, to_back, to_front
from dashzoo_search.ops.taps import Offsets, index_tensor

__all__ = ["correlate"]


def correlate(
    x: Tensor,
    taps: Tensor,
    offsets: Offsets,
    bias: Tensor | None,
    groups: int,
    out: tuple[int, ...],
) -> Tensor:
    """``y[l] = Σ_t w_t · x[l + o_t] + bias`` for l in 0 … out − 1, every axis transformed.

    Args:
        x: ``[B, c, *size]``, float32 or float64, as are all.
        taps: ``[T, o, i]``.
        offsets: T distinct offsets, sorted.
        bias: ``[o]`` or None.
        groups: of channels.
        out: output length along each axis.

    Returns:
        ``[B, o, *out]``.
    """
    plan = make_plan(offsets, tuple(x.shape[2:]), out)
    if plan.offsets != offsets:
        room = taps.new_zeros(len(plan.offsets), *taps.shape[1:])
        taps = room.index_copy(0, index_tensor(plan.numbers(offsets), taps.device), taps)
    return cast(Tensor, _Correlation.apply(x, taps, bias, plan, groups))


class _Correlation(torch.autograd.Function):
    """``x [B, c, *size]``, ``taps [T, o, i]``, ``bias [o]`` → ``[B, o, *out]``.

    With Y = W·X the gradients are gX = gY·W̄ and gW = gY·X̄. They are taken as conjugates,
    conj(gY)·W and conj(gY)·X, so that only gY is conjugated, never the larger W.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, taps: Tensor, bias: Tensor | None, plan: Plan, groups: int
    ) -> Tensor:
        signal = _grouped(_analyse(x, plan), groups)
        kernel = plan.spectrum(taps)
        if groups > 1:
            kernel = kernel.view(-1, taps.shape[1] // groups, taps.shape[2])
        ctx.plan, ctx.groups, ctx.size = plan, groups, x.shape[2:]
        ctx.save_for_backward(signal, kernel)
        mixed = _ungrouped(_matmul(signal, kernel.transpose(1, 2)), groups)
        return _synthesise(mixed, plan, plan.out, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        signal, kernel = ctx.saved_tensors
        plan, groups = ctx.plan, ctx.groups
        grad_x = grad_taps = grad_bias = None
        with torch.autocast(grad.device.type, enabled=False):
            slope = _analyse(grad, plan).conj_physical_()
            if ctx.needs_input_grad[2]:
                grad_bias = slope[0].real.sum(0)
            slope = _grouped(slope, groups)
            if ctx.needs_input_grad[0]:
                mixed = _ungrouped(_matmul(slope, kernel).conj_physical_(), groups)
                grad_x = _synthesise(mixed, plan, ctx.size)
            if ctx.needs_input_grad[1]:
                if kernel[0].numel() == 1:
                    conjugate = (slope * signal).sum(1)
                else:
                    conjugate = torch.bmm(slope.transpose(1, 2), signal)
                conjugate = conjugate.reshape(plan.frequencies, grad.shape[1], -1)
                grad_taps = plan.adjoint(conjugate)
        return grad_x, grad_taps, grad_bias, None, None


def _matmul(signal: Tensor, kernel: Tensor) -> Tensor:
    """``[F·g, B, p] @ [F·g, p, q]``; with p = q = 1, depthwise, an ordinary product."""
    return signal * kernel if kernel[0].numel() == 1 else torch.bmm(signal, kernel)


def _analyse(x: Tensor, plan: Plan) -> Tensor:
    """``[B, c, *size]`` → complex ``[F, B, c]``."""
    return to_front(rfftn(x.flatten(0, 1), plan.length)).view(-1, *x.shape[:2])


def _synthesise(
    mixed: Tensor, plan: Plan, out: Sequence[int], bias: Tensor | None = None
) -> Tensor:
    """Undo `_analyse`, keep the first ``out`` samples, add the bias."""
    if bias is not None:
        # A constant lives at frequency zero alone, where it costs nothing to add.
        mixed[0] += bias * plan.samples
    lead = (mixed.shape[1], mixed.shape[2])
    return irfftn(to_back(mixed.flatten(1), lead, plan.length), plan.length, out).contiguous()


def _grouped(z: Tensor, groups: int) -> Tensor:
    """``[F, B, c]`` → ``[F·g, B, i]``."""
    if groups == 1:
        return z
    frequencies, batch, channels = z.shape
    split = z.view(frequencies, batch, groups, channels // groups).transpose(1, 2)
    return split.reshape(frequencies * groups, batch, channels // groups)


def _ungrouped(z: Tensor, groups: int) -> Tensor:
    """Undo `_grouped`."""
    if groups == 1:
        return z
    split = z.view(-1, groups, *z.shape[1:]).transpose(1, 2)
    return split.reshape(len(split), z.shape[1], groups * z.shape[2])
