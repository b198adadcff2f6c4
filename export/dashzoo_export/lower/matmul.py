"""Convolution in the frequency domain by constant matrices: products, sums and reshapes only.

Every runtime has these, on every device, for any length. Channels come last throughout, so that
signals are turned once on the way in and once on the way out, and each transform is one large
product. What is constant is folded: rows for zero padding are not there, half the spectrum of a
real signal is left out, scales are in the kernel's spectrum, and that is computed in float64.

Promises: what the convolution computes, to a few 1e-7 of the largest output. Not covered: planes of
another size, padding other than zeros.

Legend: B batch, T tiles, C channels in, O out, F frequencies, (r₁, r₂) samples along the first and
second step, (m₁, m₂) outputs.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dashzoo_export.lower.frequency import FrequencyConv
from dashzoo_export.lower.matrices import mix, spectrum, transforms
from dashzoo_export.lower.plan import Axis, Plan
from dashzoo_export.lower.plane import PlaneConv

__all__ = ["DFTMatmulConv"]


class DFTMatmulConv(FrequencyConv):
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
    second_in: Tensor | None
    spectrum: Tensor
    second_out: Tensor | None
    first_out: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None, conv: PlaneConv, plan: Plan) -> None:
        constants = {
            **dict.fromkeys(("second_in", "second_out")),
            **transforms(plan),
            "spectrum": spectrum(weight.detach().cpu(), conv, plan),
        }
        super().__init__(conv, plan, constants, weight, bias)

    def convolve(self, x: Tensor) -> Tensor:
        """The convolution without bias."""
        (k1, k2), (r1, r2), (m1, m2) = self.plan.grid, self.plan.rows_in, self.plan.rows_out
        z = self.first_in @ self._segments(x).reshape(r1, -1)
        if self.second_in is not None:
            z = self.second_in @ z.reshape(k1, 2 * r2, -1)
        z = mix(z, self.spectrum, self.conv)
        if self.second_out is not None:
            z = self.second_out @ z.reshape(k1, 2 * k2, -1)
        z = self.first_out @ z.reshape(2 * k1, -1)
        return self._planes(z.reshape(m1 * m2, -1))

    def _segments(self, x: Tensor) -> Tensor:
        """``[B, C, h, w]`` → ``[r₁·r₂, T·B·C]``, of any shape with these numbers in this order."""
        high, wide = self.plan.height, self.plan.width
        # Two steps take a grid of samples, of which the last row may be short.
        spare = math.prod(self.plan.rows_in) - wide.samples if self.plan.factors else 0
        pads = [*_pads(wide, x.shape[3], self.conv.before[1])]
        pads += _pads(high, x.shape[2], self.conv.before[0])
        if wide.tiles == 1:
            pads[1], spare = spare, 0
        if any(pads):
            x = F.pad(x, pads)
        h, w = x.shape[2:]
        z = x.reshape(-1, h * w).transpose(0, 1)
        if self.plan.tiles == 1:
            return z
        z = z.reshape(h, w, -1)
        cuts = [
            z[a : a + high.samples, b : b + wide.samples]
            for a in _starts(high)
            for b in _starts(wide)
        ]
        z = torch.cat(cuts, 2)
        return F.pad(z, [0, 0, 0, spare]) if spare else z

    def _planes(self, z: Tensor) -> Tensor:
        """``[m₁·m₂, T·B·O]`` → ``[B, O, *out]``."""
        high, wide = self.plan.height, self.plan.width
        h, w = self.conv.out
        if self.plan.factors is not None:
            z = z[: wide.reach : wide.stride]
        z = z.transpose(0, 1)
        if self.plan.tiles > 1:  # two turns with long runs, for one general permutation is slow
            z = z.reshape(self.plan.tiles, -1, high.outputs * wide.outputs).transpose(0, 1)
        if wide.tiles > 1 and not self.plan.flat:
            z = z.reshape(-1, wide.tiles, high.outputs, wide.outputs).transpose(1, 2)
        whole = (high.tiles * high.outputs, wide.tiles * wide.outputs)
        return z.reshape(-1, self.conv.outs, *whole)[:, :, :h, :w]


def _starts(axis: Axis) -> list[int]:
    """Where the tiles of an axis begin."""
    return [t * axis.outputs * axis.stride for t in range(axis.tiles)]


def _pads(axis: Axis, n: int, before: int) -> tuple[int, int]:
    """Zeros on either side of an axis that is cut into tiles; one that is not needs none."""
    if axis.tiles == 1:
        return 0, 0
    return before, max(0, _starts(axis)[-1] + axis.samples - n - before)
