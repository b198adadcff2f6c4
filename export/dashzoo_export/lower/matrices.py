"""The matrices of a convolution in the frequency domain: transforms, spectrum, and how they mix.

Real and imaginary parts are rows of their own, so that a complex product is a real one. The
spectrum of the kernel carries 1/N, so that nothing outgrows float16 range on the way, and the
doubling of the frequencies that stand for their conjugates too.

Legend: C channels in, O out, g groups, F frequencies, (K₁, K₂) along the first and second step,
(r₁, r₂) samples, (m₁, m₂) outputs, R rows of signal: tiles times batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dashzoo_export.lower.plan import Plan
from dashzoo_export.lower.plane import PlaneConv

__all__ = ["mix", "spectrum", "transforms"]


def mix(z: Tensor, spectrum: Tensor, conv: PlaneConv) -> Tensor:
    """Each frequency of a signal by the kernel's: ``[F, (2, R), C]`` → ``[F, (2, R), O]``.

    Args:
        z: the signal, of any shape with these numbers in this order.
        spectrum: see `spectrum`.
        conv: the channels.
    """
    count = len(spectrum)
    if conv.depthwise:
        z = z.reshape(count, 2, -1, conv.ins)
        real, imag = z[:, :1], z[:, 1:]
        by_real, by_imag = spectrum[:, :1], spectrum[:, 1:]
        return torch.cat([real * by_real - imag * by_imag, real * by_imag + imag * by_real], 1)
    outs = conv.outs // conv.groups
    if conv.groups == 1:
        z = z.reshape(count, -1, conv.ins) @ spectrum
    else:
        z = z.reshape(count, -1, conv.groups, conv.ins // conv.groups).transpose(1, 2)
        z = (z @ spectrum).transpose(1, 2)
    # Real and imaginary part were each multiplied by both.
    z = z.reshape(count, 2, -1, 2 * outs)
    real, imag = z[:, :1], z[:, 1:]
    return torch.cat([real[..., :outs] - imag[..., outs:], real[..., outs:] + imag[..., :outs]], 1)


def transforms(plan: Plan) -> dict[str, Tensor]:
    """The matrices there and back, in float64.

    Returns:
        ``first_in`` ``[(K₁, 2), r₁]``, ``second_in`` ``[(K₂, 2), (2, r₂)]``, ``second_out``
        ``[(2, m₂), (K₂, 2)]`` and ``first_out`` ``[m₁, (K₁, 2)]``. The second ones are missing
        where there is one step, and one for each of K₁ where there are factors.
    """
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


def spectrum(weight: Tensor, conv: PlaneConv, plan: Plan) -> Tensor:
    """The spectrum of a kernel, in float64.

    Args:
        weight: ``[O, C / g, k, k]``.
        conv: channels and kernel.
        plan: the transform.

    Returns:
        ``[F, C, (2, O)]``; ``[F, g, C / g, (2, O / g)]`` of several groups; ``[F, 2, 1, C]`` if
        depthwise.
    """
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
    found = found.view(len(found), conv.groups, -1, found.shape[2]).mT
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
