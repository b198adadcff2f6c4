"""Convolution in the frequency domain by ONNX's own DFT operator.

Only on request: the operator runs on one thread of the CPU, CUDA has none, and TensorRT has it from
11.2. Lengths are powers of two, where it is exact, and the way back is a whole complex transform,
for the one-sided inverse gives wrong shapes in ONNX Runtime 1.25 and 1.26.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor

from dashzoo_export.lower.frequency import FrequencyConv
from dashzoo_export.lower.matrices import mix, spectrum
from dashzoo_export.lower.plan import Axis, Plan, whole
from dashzoo_export.lower.plane import PlaneConv

__all__ = ["DFTOpConv", "op_plan"]


class DFTOpConv(FrequencyConv):
    """A zero-padded 2-D convolution on planes of one size, by `torch.fft`.

    Args:
        weight: ``[O, C / groups, k, k]``.
        bias: ``[O]`` or None.
        conv: channels, plane and kernel.
        plan: of one segment; `op_plan` if None.

    Shape:
        ``[B, C, *conv.size]`` → ``[B, O, *conv.out]``.
    """

    spectrum: Tensor

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        conv: PlaneConv,
        plan: Plan | None = None,
    ) -> None:
        plan = plan or op_plan(conv)
        scale = plan.height.length * plan.width.length  # which the inverse divides by
        found = spectrum(weight.detach().cpu(), conv, plan) * scale
        super().__init__(conv, plan, {"spectrum": found}, weight, bias)

    def convolve(self, x: Tensor) -> Tensor:
        """The convolution without bias."""
        high, wide = self.plan.height, self.plan.width
        lengths = (wide.length,) if self.plan.flat else (wide.length, high.length)
        # The axis that is halved, named last, is the first step's.
        axes = (3,) if self.plan.flat else (3, 2)
        z = torch.view_as_real(torch.fft.rfftn(x, s=lengths, dim=axes))
        count = z.shape[2:4]
        z = mix(z.permute(2, 3, 4, 0, 1), self.spectrum, self.conv)
        z = z.reshape(*count, 2, -1, self.conv.outs).permute(3, 4, 0, 1, 2)
        spare = lengths[-1] - count[1 if self.plan.flat else 0]
        z = F.pad(z, [0, 0, 0, spare] if self.plan.flat else [0, 0, 0, 0, 0, spare])
        y = torch.view_as_real(torch.fft.ifftn(torch.view_as_complex(z.contiguous()), dim=axes))
        return y[:, :, : high.reach : high.stride, : wide.reach : wide.stride, 0]


def op_plan(conv: PlaneConv) -> Plan:
    """The layout: one segment, lengths that are powers of two."""
    plan = whole(conv)
    return Plan(height=_rounded(plan.height), width=_rounded(plan.width))


def _rounded(axis: Axis) -> Axis:
    # Outputs beyond N are those before it again, which matrices repeat but a transform does not.
    least = max(axis.length, axis.reach)
    return dataclasses.replace(axis, length=1 << (least - 1).bit_length())
