"""What became of one layer, and why: a line of ``onnx/export.json``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashzoo_export.lower.plan import Plan
from dashzoo_export.lower.plane import PlaneConv

__all__ = ["LoweredLayer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredLayer:
    """The form a convolution was given.

    Attributes:
        form: one of `FORMS`, or ``"xd_dense"`` or ``"xd_factors"``.
        reason: why, in a few words.
        conv: channels, plane and kernel.
        plan: how its transforms are laid out in ``dft_matmul``; None for the others.
        predicted_ms: of each form that was possible, by the cost model, one sample at a time.
        measured_ms: of each form that was timed, see `measure`; empty unless asked for.
    """

    form: str
    reason: str
    conv: PlaneConv
    plan: Plan | None = None
    predicted_ms: Mapping[str, float] = dataclasses.field(default_factory=dict)
    measured_ms: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {
            "form": self.form,
            "reason": self.reason,
            "conv": self.conv.to_json(),
            "plan": None if self.plan is None else str(self.plan),
            "predicted_ms": {form: round(ms, 4) for form, ms in self.predicted_ms.items()},
            "measured_ms": {form: round(ms, 4) for form, ms in self.measured_ms.items()},
        }
