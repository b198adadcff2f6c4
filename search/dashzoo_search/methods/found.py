"""What a method hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dashzoo_search.spec import KernelSpec

__all__ = ["Found"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a method found.

    Attributes:
        spec: one choice a layer.
        history: after some epochs, the weight or chance of each choice of each layer.
        skipped_steps: steps skipped because a gradient was not a number.
        others: further proposals, neither ``spec`` nor the backbone's own kernels: ``"uniform"``,
            the best spec that gives every layer the same kernel, and ``"scouted"``, what a scout
            named, where the search has left that or never started there, and the two `pyramids`.
        evidence: for each choice of each layer, what it lost on held-out samples to the best when
            it was last judged, in nats a sample; infinite where that was no number.
        scouted: what a `scout` saw first, as `Scouted.to_json` has it; empty without one.
        lost: share of each layer's output, 0 to 1, that its kernel in ``spec`` does not explain
            when the supernet is folded; empty where nothing is lost by it.
    """

    spec: KernelSpec
    history: tuple[dict[str, Any], ...]
    skipped_steps: int
    others: Mapping[str, KernelSpec] = field(default_factory=dict)
    evidence: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    scouted: Mapping[str, Any] = field(default_factory=dict)
    lost: Mapping[str, float] = field(default_factory=dict)
