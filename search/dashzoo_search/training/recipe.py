"""What a training run is told: epochs, batch size, learning rate, weight decay."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

from dashzoo_search.errors import BadData
from dashzoo_search.training.precision import Precision

__all__ = ["Recipe"]

_STEPS = 1500
_EPOCHS = (30, 150)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """AdamW under a one-cycle cosine schedule, the same for searched and default kernels.

    Args:
        epochs: passes over the training split.
        batch_size: samples a step.
        lr: peak learning rate.
        weight_decay: decoupled, on weights of two and more axes only.
        momentum: AdamW's β₁.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``, see `precision`.

    Raises:
        BadData: a value out of range.
    """

    epochs: int
    batch_size: int
    lr: float = 3e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9
    precision: Precision = "fp32"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise BadData(f"{name} must be at least 1, not {getattr(self, name)}")
        for name, low in (("lr", 0.0), ("weight_decay", -1e-30)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > low):
                raise BadData(f"{name} must be a positive number, not {value}")
        if not 0 <= self.momentum < 1:
            raise BadData(f"momentum must lie between 0 and 1, and is {self.momentum}")
        if self.precision not in get_args(Precision):
            raise BadData(f"precision must be fp32, bf16 or fp16, not {self.precision!r}")

    @classmethod
    def for_samples(cls, n: int, **overrides: Any) -> Recipe:
        """A recipe for ``n`` training samples: about 1500 steps in 30 to 150 epochs.

        Args:
            n: training samples.
            overrides: fields to set instead; None leaves the default.

        >>> Recipe.for_samples(40).epochs, Recipe.for_samples(40, epochs=5).epochs
        (150, 5)
        """
        batch_size = overrides.get("batch_size") or (16 if n < 1000 else 32 if n < 10_000 else 128)
        epochs = math.ceil(_STEPS / max(1, math.ceil(n / batch_size)))
        recipe = cls(epochs=min(max(epochs, _EPOCHS[0]), _EPOCHS[1]), batch_size=batch_size)
        return replace(recipe, **{k: v for k, v in overrides.items() if v is not None})

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)
