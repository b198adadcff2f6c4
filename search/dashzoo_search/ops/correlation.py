"""The correlation of a signal with a few taps, through the frequency domain.

    y[l] = Σ_t w_t · x[l + start + o_t]   ⇔   Y[f] = W[f] · X[f]

Spectra lie frequency first, so that mixing channels is one batched matmul, [B × i] @ [i × o] per
frequency. It goes block by block of frequencies, so that a kernel's spectrum is multiplied while
it is still in the cache, and need not exist as a whole: where it is cheap to make again, or too
large to keep, the backward makes it again. One autograd function holds forward and backward:
torch's own gradient of a real FFT is a complex one of full length, where a real inverse FFT is
enough.

Promises: exact up to rounding; derivatives of any order (above the first by `plain`). Memory is
about F·(o·i + B·c) complex numbers, kept for the backward, or F·B·c where the spectrum is not.

Legend: B batch, c channels in, o channels out, g groups, i = c / g, N transform length,
F frequencies (N/2 + 1 along the last axis), R rows of taps, m = o·i.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor

from dashzoo_search.ops.depthwise import correlate_channels
from dashzoo_search.ops.plain import correlate_plainly, slopes_plainly, under_transform
from dashzoo_search.ops.spectrum import Plan, fold_taps, unfold_taps, waves
from dashzoo_search.ops.transforms import irfftn, rfftn, to_back, to_front

__all__ = ["correlate"]

BLOCK = 8_000_000  # bytes of spectra at a time: what a core's caches hold
DEVICE_BLOCK = 256_000_000  # the same elsewhere: what is worth its launch, and no more
KEPT_SPECTRUM = 16_000_000  # complex numbers


def correlate(
    x: Tensor, rows: Tensor, mix: Tensor | None, bias: Tensor | None, plan: Plan, groups: int
) -> Tensor:
    """Correlate as ``plan`` says, every axis of the signal transformed.

    Args:
        x: ``[B, c, *size]``, float32 or float64, as are all.
        rows: ``[R, o, i]``, in an order that mirrors about the middle one.
        mix: real ``[F, R]`` from rows to spectrum, cosines and then sines as in `spectrum.waves`;
            those of the plan's offsets if None.
        bias: ``[o]`` or None.
        plan: lengths and offsets.
        groups: of channels.

    Returns:
        ``[B, o, *out]``.
    """
    if under_transform():
        return correlate_plainly(x, rows, mix, bias, plan, groups)
    if groups > 1 and groups == x.shape[1] == rows.shape[1]:
        return correlate_channels(x, rows, mix, bias, plan)
    return cast(Tensor, _Correlation.apply(x, rows, mix, bias, plan, groups))


class _Correlation(torch.autograd.Function):
    """With Y = W·X the gradients are gX = gY·W̄ and gW = gY·X̄.

    They are taken as conjugates, conj(gY)·W and conj(gY)·X, so that only gY is conjugated, never
    the larger W.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        rows: Tensor,
        mix: Tensor | None,
        bias: Tensor | None,
        plan: Plan,
        groups: int,
    ) -> Tensor:
        kernels = _Kernels(rows, mix, plan, groups)
        signal = _analyse(x, plan)
        batch, outs = len(x), rows.shape[1]
        kept = kernels.room_to_keep(batch, signal)
        mixed = signal.new_empty(plan.frequencies, batch, outs)
        for part in _blocks(plan, batch * (x.shape[1] + outs) + rows[0].numel(), x.device):
            kernel = kernels.block(part, kept)
            split = _grouped(signal[part], groups)
            if groups == 1:
                torch.bmm(split, kernel.transpose(1, 2), out=mixed[part])
            else:
                mixed[part] = _ungrouped(torch.bmm(split, kernel.transpose(1, 2)), groups)
        ctx.plan, ctx.groups = plan, groups
        ctx.save_for_backward(x, rows, mix, bias, signal, kept)
        mixed = _turned(mixed, plan, bias)
        return irfftn(mixed, plan.length, plan.start, plan.out).contiguous()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, rows, mix, bias, signal, kept = ctx.saved_tensors
        plan, groups, needs = ctx.plan, ctx.groups, ctx.needs_input_grad
        with torch.autocast(grad.device.type, enabled=False):
            if torch.is_grad_enabled():
                return *slopes_plainly((x, rows, mix, bias), plan, groups, grad), None, None
            return *_slopes(grad, x, rows, mix, signal, kept, plan, groups, needs), None, None


def _slopes(
    grad: Tensor,
    x: Tensor,
    rows: Tensor,
    mix: Tensor | None,
    signal: Tensor,
    kept: Tensor | None,
    plan: Plan,
    groups: int,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """Gradients of x, rows, mix and bias."""
    kernels = _Kernels(rows, mix, plan, groups, kept)
    slope = _analyse(grad, plan, plan.start).conj_physical_()
    bias = slope[0].real.sum(0) if needs[3] else None
    batch, channels, outs = len(x), x.shape[1], rows.shape[1]
    spectrum = slope if channels == outs else torch.empty_like(signal)
    sums = kernels.no_gradients(mix_too=needs[2])
    for part in _blocks(plan, batch * (channels + outs) + rows[0].numel(), x.device):
        split = _grouped(slope[part], groups)
        if needs[1] or needs[2]:
            both = torch.bmm(split.transpose(1, 2), _grouped(signal[part], groups))
            kernels.add_gradients(sums, both, part)
        if needs[0]:
            kernel = kernels.block(part) if kept is None else kernels.shaped(kept[part])
            # What is written over has just been read for the last time.
            mixed = _ungrouped(torch.bmm(split, kernel), groups)
            torch.conj_physical(mixed, out=spectrum[part])
    grad_x = None
    if needs[0]:
        size = tuple(x.shape[2:])
        del slope, split
        spectrum = _turned(spectrum, plan)
        grad_x = irfftn(spectrum, plan.length, (0,) * len(size), size).contiguous()
    grad_rows, grad_mix = kernels.gradients(sums)
    return grad_x, grad_rows if needs[1] else None, grad_mix, bias


class _Kernels:
    """The spectrum of the rows, a block of frequencies at a time, and its adjoint."""

    def __init__(
        self,
        rows: Tensor,
        mix: Tensor | None,
        plan: Plan,
        groups: int,
        kept: Tensor | None = None,
    ) -> None:
        self.rows, self.mix, self.plan, self.groups = rows, mix, plan, groups
        self.tail = (rows.shape[1] // groups, rows.shape[2])
        self.whole: Tensor | None = None
        if mix is None and not plan.by_matmul:
            self.whole = plan.spectrum(rows.flatten(1)) if kept is None else kept
        else:
            self.folded = fold_taps(rows.flatten(1))

    def room_to_keep(self, batch: int, like: Tensor) -> Tensor | None:
        """``[F, m]`` for the backward, where the spectrum fits and is dear to make again."""
        size = (self.plan.frequencies, self.rows[0].numel())
        if math.prod(size) > KEPT_SPECTRUM:
            return None
        if self.whole is not None:
            return self.whole
        return like.new_empty(size) if len(self.rows) > batch else None

    def shaped(self, flat: Tensor) -> Tensor:
        """``[f, m]`` → ``[f·g, o / g, i]``."""
        return flat.view(-1, *self.tail)

    def block(self, part: slice, keep: Tensor | None = None) -> Tensor:
        """``[f·g, o / g, i]``, written to its place in ``keep [F, m]`` if there is one."""
        if self.whole is not None:
            return self.shaped(self.whole[part])
        if keep is None:
            real = self.wave(part) @ self.folded
            return self.shaped(torch.view_as_complex(real.view(len(real), -1, 2)))
        place = keep[part]
        torch.mm(self.wave(part), self.folded, out=torch.view_as_real(place).flatten(1))
        return self.shaped(place)

    def wave(self, part: slice) -> Tensor:
        """``[f, R]``."""
        if self.mix is not None:
            return self.mix[part]
        plan, rows = self.plan, self.rows
        block = (part.start, part.stop)
        return waves(plan.offsets, plan.length, rows.dtype, rows.device, block)

    def no_gradients(self, *, mix_too: bool) -> tuple[Tensor, Tensor | None]:
        """Room for what `add_gradients` adds up."""
        if self.whole is not None:
            return torch.empty_like(self.whole), None
        mix = torch.empty_like(self.mix) if mix_too and self.mix is not None else None
        return torch.zeros_like(self.folded), mix

    def add_gradients(
        self, sums: tuple[Tensor, Tensor | None], conjugate: Tensor, part: slice
    ) -> None:
        """Take in ``[f·g, o / g, i]``, the conjugate of a block of the spectrum's gradient."""
        total, mix = sums
        flat = conjugate.view(part.stop - part.start, -1)
        if self.whole is not None:
            total[part] = flat
            return
        real = torch.view_as_real(flat).flatten(1)
        wave = self.wave(part)
        counts = self.plan.counts(wave.dtype, wave.device)[part, None]
        total.addmm_((wave * counts).t(), real)
        if mix is not None:
            half = len(self.rows) // 2
            torch.mm(real, self.folded.t(), out=mix[part])
            mix[part, half + 1 :].neg_()  # the imaginary part came as its conjugate
            mix[part] *= counts

    def gradients(self, sums: tuple[Tensor, Tensor | None]) -> tuple[Tensor | None, Tensor | None]:
        """Of rows and of the mix."""
        total, mix = sums
        if self.whole is not None:
            back = to_back(total, (total.shape[1],), self.plan.length)
            return self.plan.gather(back).reshape(self.rows.shape), None
        pairs = total.view(len(total), -1, 2)
        pairs[len(pairs) // 2 + 1 :, :, 1].neg_()
        return unfold_taps(pairs).view(self.rows.shape), mix


def _blocks(plan: Plan, values: int, device: torch.device) -> list[slice]:
    """Runs of frequencies, ``values`` complex numbers each."""
    most = BLOCK if device.type == "cpu" else DEVICE_BLOCK
    step = max(8, most // (8 * values))
    count = plan.frequencies
    return [slice(a, min(a + step, count)) for a in range(0, count, step)]


def _analyse(x: Tensor, plan: Plan, start: tuple[int, ...] | None = None) -> Tensor:
    """``[B, c, *size]``, moved to ``start`` if given → complex ``[F, B, c]``."""
    if start is not None and any(start):
        pads = [pad for b in reversed(start) for pad in (b, 0)]
        x = torch.nn.functional.pad(x, pads)
    return to_front(rfftn(x.flatten(0, 1), plan.length)).view(-1, *x.shape[:2])


def _turned(mixed: Tensor, plan: Plan, bias: Tensor | None = None) -> Tensor:
    """``[F, B, o]`` → ``[B, o, *frequencies]``, the bias added.

    Callers put the result in the place of what they gave, so that only two of the largest
    tensors ever exist at a time.
    """
    if bias is not None:
        # A constant lives at frequency zero alone, where it costs nothing to add.
        mixed[0] += bias * plan.samples
    return to_back(mixed.flatten(1), (mixed.shape[1], mixed.shape[2]), plan.length)


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
