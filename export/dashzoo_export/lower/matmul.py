"""Convolution in the frequency domain by constant matrices: products, sums and reshapes only.

Every runtime has these, on every device, for any length. Channels come last throughout, so that
signals are turned once on the way in and once on the way out, and each transform is one large
product. What is constant is folded: rows for zero padding are not there, half the spectrum of a
real signal is left out, 1/N and the doubling of the other half are in the kernel's spectrum, and
that is computed in float64.

Promises: what the convolution computes, to a few 1e-7 of the largest output in float32. The
constants stay float32 whatever the module is cast to, and `forward` computes in it. Not covered:
planes of another size.

Legend: B batch, T tiles, C channels in, O out, F frequencies, (K₁, K₂) frequencies and (r₁, r₂)
samples along the first and second step, (m₁, m₂) outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dashzoo_export.lower.plan import Plan
from dashzoo_export.lower.plane import PlaneConv
from dashzoo_search.errors import UnsupportedLayer

__all__ = ["DFTMatmulConv"]


class DFTMatmulConv(nn.Module):
    """A zero-padded 2-D convolution on planes of one size, by transform matrices.

    Args:
        weight: ``[O, C / groups, k, k]``.
        bias: ``[O]`` or None.
        conv: channels, plane and kernel.
        plan: how to lay it out.

    Shape:
        ``[B, C, *conv.size]`` → ``[B, O, *conv.out]``.
    """

    first_in: Tensor
    second_in: Tensor
    spectrum: Tensor
    second_out: Tensor
    first_out: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, conv: PlaneConv, plan: Plan) -> None:
        super().__init__()
        self.conv, self.plan = conv, plan
        where = weight.device
        constants = {**_matrices(plan), "spectrum": _spectrum(weight.detach().cpu(), conv, plan)}
        for name in ("first_in", "second_in", "spectrum", "second_out", "first_out"):
            found = constants.get(name)
            self.register_buffer(name, None if found is None else found.float().to(where))
        self.register_buffer("bias", None if bias is None else bias.detach().float().to(where))

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[2:]) != self.conv.size:
            raise UnsupportedLayer(
                f"This layer was lowered for planes of {self.conv.size}, not {tuple(x.shape[2:])}; "
                "lower the network for that size"
            )
        (k1, _), (r1, r2) = self.plan.grid, self.plan.rows_in
        m1, m2 = self.plan.rows_out
        two = self.second_in is not None
        z = self._segments(x.to(self.spectrum.dtype))
        z = self.first_in @ z.reshape(r1, -1)
        if two:
            z = self.second_in @ z.reshape(k1, 2 * r2, -1)
        z = self._mix(z)
        if two:
            z = self.second_out @ z.reshape(k1, 2 * self.plan.grid[1], -1)
        z = self.first_out @ z.reshape(2 * k1, -1)
        y = self._planes(z.reshape(m1 * m2, -1))
        if self.bias is not None:
            y = y + self.bias.view(1, -1, 1, 1)
        return y.to(x.dtype)

    def extra_repr(self) -> str:
        """Channels and plan."""
        return f"{self.conv.ins}, {self.conv.outs}, {self.plan}"

    def _segments(self, x: Tensor) -> Tensor:
        """``[B, C, h, w]`` → ``[r₁·r₂, T·B·C]``."""
        height, width = self.plan.height, self.plan.width
        room = (math.prod(self.plan.rows_in), 1) if self.plan.factors else None
        pads = []
        for axis, n, before in (
            (width, x.shape[3], self.conv.before[1]),
            (height, x.shape[2], self.conv.before[0]),
        ):
            if axis.tiles == 1:
                pads += [0, 0]
                continue
            needed = (axis.tiles - 1) * axis.outputs * axis.stride + axis.samples
            pads += [before, max(0, needed - n - before)]
        if room is not None and width.tiles == 1:
            pads[1] = room[0] - width.samples
        if any(pads):
            x = F.pad(x, pads)
        h, w = x.shape[2:]
        z = x.reshape(-1, h * w).transpose(0, 1)
        if self.plan.tiles == 1:
            return z
        z = z.reshape(h, w, -1)
        cut = torch.cat(
            [
                z[a : a + height.samples, b : b + width.samples]
                for a in _starts(height)
                for b in _starts(width)
            ],
            2,
        )
        if room is not None and room[0] > width.samples:
            cut = F.pad(cut, [0, 0, 0, room[0] - width.samples])
        return cut

    def _mix(self, z: Tensor) -> Tensor:
        """Every frequency by its own matrix: ``[F, 2·T·B, C]`` → ``[F, 2·T·B, O]``."""
        conv, count = self.conv, self.plan.frequencies
        if conv.depthwise:
            z = z.reshape(count, 2, -1, conv.ins)
            real, imag = z[:, :1], z[:, 1:]
            by_real, by_imag = self.spectrum[:, :1], self.spectrum[:, 1:]
            return torch.cat([real * by_real - imag * by_imag, real * by_imag + imag * by_real], 1)
        outs = conv.outs // conv.groups
        z = z.reshape(count, -1, conv.ins)
        if conv.groups > 1:
            z = z.reshape(count, -1, conv.groups, conv.ins // conv.groups).transpose(1, 2)
        z = z @ self.spectrum  # real and imaginary part, each by both
        if conv.groups > 1:
            z = z.transpose(1, 2)
        z = z.reshape(count, 2, -1, 2 * outs)
        real, imag = z[:, :1], z[:, 1:]
        return torch.cat(
            [
                real[..., :outs] - imag[..., outs:],
                real[..., outs:] + imag[..., :outs],
            ],
            1,
        )

    def _planes(self, z: Tensor) -> Tensor:
        """``[m₁·m₂, T·B·O]`` → ``[B, O, *out]``."""
        height, width = self.plan.height, self.plan.width
        h, w = self.conv.out
        if self.plan.factors is not None:
            z = z[: width.reach : width.stride]
        if self.plan.tiles == 1:
            return z.transpose(0, 1).reshape(-1, self.conv.outs, h, w)
        if height.tiles == 1:
            z = z.reshape(height.outputs, width.outputs, width.tiles, -1).permute(3, 0, 2, 1)
        elif width.tiles == 1:
            z = z.reshape(height.outputs, width.outputs, height.tiles, -1).permute(3, 2, 0, 1)
        else:
            z = z.reshape(height.outputs, width.outputs, height.tiles, width.tiles, -1)
            z = z.permute(4, 2, 0, 3, 1)
        y = z.reshape(
            -1, self.conv.outs, height.outputs * height.tiles, width.outputs * width.tiles
        )
        return y[:, :, :h, :w]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        def moved(t: Tensor) -> Tensor:
            made = fn(t)
            return made if made.dtype == t.dtype else t.to(made.device)

        return super()._apply(moved, recurse)


def _starts(axis: Any) -> list[int]:
    return [t * axis.outputs * axis.stride for t in range(axis.tiles)]


def _wave(rows: Tensor, columns: Tensor, length: int) -> Tensor:
    """e^{2πi r c / length} in complex128; the phase is reduced in integers, to be exact."""
    turns = torch.outer(rows, columns) % length
    angle = turns.double() * (2 * math.pi / length)
    return torch.complex(angle.cos(), angle.sin())


def _matrices(plan: Plan) -> dict[str, Tensor]:
    """The transforms, by the name of their buffer, in float64."""
    (k1, k2), (r1, r2), (m1, m2) = plan.grid, plan.rows_in, plan.rows_out
    f1, f2 = torch.arange(k1), torch.arange(k2)
    t1, t2, l1, l2 = (torch.arange(count) for count in (r1, r2, m1, m2))
    if plan.factors is not None:
        n1, n2 = plan.factors
        # One row of frequencies for each of the first step's: the twiddles are in it.
        rows = (f1[:, None] + n1 * f2).flatten()
        there, back = _wave(-rows, t2, n1 * n2), _wave(l2, rows, n1 * n2)
        return {
            "first_in": _from_real(_wave(-f1, t1, n1)),
            "second_in": _pairs_first(there.view(k1, k2, r2)),
            "second_out": _pairs_last(back.view(m2, k1, k2).movedim(1, 0)),
            "first_out": _to_real(_wave(l1, f1, n1)),
        }
    if plan.flat:
        n, stride = plan.width.length, plan.width.stride
        return {
            "first_in": _from_real(_wave(-f1, t1, n)),
            "first_out": _to_real(_wave(stride * l1, f1, n)),
        }
    high, wide = plan.height, plan.width
    return {
        "first_in": _from_real(_wave(-f1, t1, high.length)),
        "second_in": _pairs_first(_wave(-f2, t2, wide.length)),
        "second_out": _pairs_last(_wave(wide.stride * l2, f2, wide.length)),
        "first_out": _to_real(_wave(high.stride * l1, f1, high.length)),
    }


def _spectrum(weight: Tensor, conv: PlaneConv, plan: Plan) -> Tensor:
    """``[F, C, (2, O)]``, by group if there are several; ``[F, 2, 1, C]`` if depthwise."""
    k1, k2 = plan.grid
    offsets = [
        axis.first + d * torch.arange(k)
        for axis, d, k in zip((plan.height, plan.width), conv.dilation, conv.kernel, strict=True)
    ]
    taps = torch.complex(weight.double(), torch.zeros_like(weight, dtype=torch.float64))
    f1, f2 = torch.arange(k1), torch.arange(k2)
    if plan.flat:
        n1, n2 = plan.factors or (plan.width.length, 1)
        halved, total = n1, n1 * n2
        rows = (f1[:, None] + n1 * f2).flatten()
        found = torch.einsum("fk,ock->foc", _wave(rows, offsets[1], total), taps[:, :, 0])
    else:
        halved, total = plan.height.length, plan.height.length * plan.width.length
        along = torch.einsum("ochw,gw->ochg", taps, _wave(f2, offsets[1], plan.width.length))
        high = _wave(f1, offsets[0], halved)
        found = torch.einsum("fh,ochg->fgoc", high, along).flatten(0, 1)
    # A frequency stands for its conjugate too, but where it is its own.
    twice = torch.where((2 * f1) % halved == 0, 1.0, 2.0).double() / total
    found = found * twice.repeat_interleave(k2)[:, None, None]
    if conv.depthwise:
        return torch.stack([found.real, found.imag], 1).movedim(-1, -2)
    found = found.unflatten(1, (conv.groups, -1)).mT
    if conv.groups == 1:
        found = found.squeeze(1)
    return torch.cat([found.real, found.imag], -1)


def _wave(rows: Tensor, columns: Tensor, length: int) -> Tensor:
    """e^{2πi r c / length} in complex128; the phase is reduced in integers, to be exact."""
    angle = (torch.outer(rows, columns) % length).double() * (2 * math.pi / length)
    return torch.complex(angle.cos(), angle.sin())


def _from_real(wave: Tensor) -> Tensor:
    """[K, r] on real signals: ``[(K, 2), r]``."""
    return torch.stack([wave.real, wave.imag], 1).flatten(0, 1)


def _to_real(wave: Tensor) -> Tensor:
    """[m, K], of which the real part is wanted: ``[m, (K, 2)]``."""
    return torch.stack([wave.real, -wave.imag], 2).flatten(1, 2)


def _pairs_first(wave: Tensor) -> Tensor:
    """[…, K, r] from pairs outside to pairs inside: ``[…, (K, 2), (2, r)]``."""
    real = torch.stack([wave.real, -wave.imag], -2)
    imag = torch.stack([wave.imag, wave.real], -2)
    return torch.stack([real, imag], -3).flatten(-2).flatten(-3, -2)


def _pairs_last(wave: Tensor) -> Tensor:
    """[…, m, K] from pairs inside to pairs outside: ``[…, (2, m), (K, 2)]``."""
    real = torch.stack([wave.real, -wave.imag], -1)
    imag = torch.stack([wave.imag, wave.real], -1)
    return torch.stack([real, imag], -4).flatten(-2).flatten(-3, -2)
