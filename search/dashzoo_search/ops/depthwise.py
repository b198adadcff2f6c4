"""The correlation of every channel with taps of its own, through the frequency domain.

    y_c[l] = Σ_t w_tc · x_c[l + start + o_t]   ⇔   Y_c[f] = W_c[f] · X_c[f]

No channels are mixed, so spectra stay as the FFT gives them, frequency last, and nothing is
transposed: an FFT, a product, an inverse FFT, a few samples of the batch at a time so that what
lies between them stays in the cache. Same promises as `correlation`.

Legend: B batch, c channels, F frequencies, R rows of taps.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from dashzoo_search.ops.plain import slopes_plainly
from dashzoo_search.ops.spectrum import Plan, waves
from dashzoo_search.ops.transforms import irfftn, rfftn

__all__ = ["correlate_channels"]

BLOCK = 2_000_000  # bytes of spectra at a time


def correlate_channels(
    x: Tensor, rows: Tensor, mix: Tensor | None, bias: Tensor | None, plan: Plan
) -> Tensor:
    """``[B, c, *size]`` and ``rows [R, c, 1]`` → ``[B, c, *out]``; else as `correlate`."""
    return cast(Tensor, _Channelwise.apply(x, rows, mix, bias, plan))


class _Channelwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, rows: Tensor, mix: Tensor | None, bias: Tensor | None, plan: Plan
    ) -> Tensor:
        kernel = _spectrum(rows, mix, plan)
        y = x.new_empty(*x.shape[:2], *plan.out)
        signal = kernel.new_empty(len(x), *kernel.shape)
        for part in _blocks(len(x), kernel):
            z = signal[part] = rfftn(x[part], plan.length)
            y[part] = irfftn(z * kernel, plan.length, plan.start, plan.out)
        if bias is not None:
            y += bias.view(-1, *(1,) * len(plan.out))
        ctx.plan = plan
        ctx.save_for_backward(x, rows, mix, bias, signal, kernel)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, rows, mix, bias, signal, kernel = ctx.saved_tensors
        plan, needs = ctx.plan, ctx.needs_input_grad
        with torch.autocast(grad.device.type, enabled=False):
            if torch.is_grad_enabled():
                return *slopes_plainly((x, rows, mix, bias), plan, x.shape[1], grad), None
            size = tuple(x.shape[2:])
            zero = (0,) * len(size)
            grad_x = torch.empty_like(x, memory_format=torch.contiguous_format)
            slopes = torch.zeros_like(kernel)
            conjugate = kernel.conj()
            for part in _blocks(len(x), kernel):
                slope = rfftn(_moved(grad[part], plan.start), plan.length)
                if needs[1] or needs[2]:
                    slopes += (slope * signal[part].conj()).sum(0)
                if needs[0]:
                    grad_x[part] = irfftn(slope * conjugate, plan.length, zero, size)
            grad_rows, grad_mix = _adjoint(slopes, rows, mix, plan)
            grad_bias = grad.sum((0, *range(2, grad.dim()))) if needs[3] else None
            return (
                grad_x if needs[0] else None,
                grad_rows if needs[1] else None,
                grad_mix if needs[2] else None,
                grad_bias,
                None,
            )


def _spectrum(rows: Tensor, mix: Tensor | None, plan: Plan) -> Tensor:
    """Complex ``[c, *frequencies]``."""
    flat = rows.flatten(1)
    bins = (*plan.length[:-1], plan.length[-1] // 2 + 1)
    if mix is None and not plan.by_matmul:
        return plan.scatter(flat).resolve_conj()
    wave = _wave(rows, mix, plan)
    half = len(rows) // 2
    plus, minus = flat[half + 1 :], flat[:half].flip(0)
    even, odd = torch.cat((flat[half : half + 1], plus + minus)), plus - minus
    cosines, sines = wave[:, : half + 1], wave[:, half + 1 :]
    return torch.complex(even.t() @ cosines.t(), odd.t() @ sines.t()).view(-1, *bins)


def _adjoint(
    slopes: Tensor, rows: Tensor, mix: Tensor | None, plan: Plan
) -> tuple[Tensor, Tensor | None]:
    """Gradients of rows and mix from that of the spectrum."""
    if mix is None and not plan.by_matmul:
        return plan.gather(slopes.conj()).reshape(rows.shape), None
    wave = _wave(rows, mix, plan)
    half = len(rows) // 2
    weighted = slopes.flatten(1) * plan.counts(wave.dtype, wave.device)
    even = wave[:, : half + 1].t() @ weighted.real.t()
    odd = wave[:, half + 1 :].t() @ weighted.imag.t()
    grad_rows = torch.cat(((even[1:] - odd).flip(0), even[:1], even[1:] + odd)).view(rows.shape)
    if mix is None:
        return grad_rows, None
    flat = rows.flatten(1)
    plus, minus = flat[half + 1 :], flat[:half].flip(0)
    evens = torch.cat((flat[half : half + 1], plus + minus))
    parts = (weighted.real.t() @ evens.t(), weighted.imag.t() @ (plus - minus).t())
    return grad_rows, torch.cat(parts, dim=1)


def _wave(rows: Tensor, mix: Tensor | None, plan: Plan) -> Tensor:
    return waves(plan.offsets, plan.length, rows.dtype, rows.device) if mix is None else mix


def _moved(x: Tensor, start: tuple[int, ...]) -> Tensor:
    if not any(start):
        return x
    return torch.nn.functional.pad(x, [pad for b in reversed(start) for pad in (b, 0)])


def _blocks(batch: int, kernel: Tensor) -> list[slice]:
    """Runs of samples of the batch."""
    step = batch if kernel.device.type != "cpu" else max(1, BLOCK // (16 * kernel.numel()))
    return [slice(b, min(b + step, batch)) for b in range(0, batch, step)]
