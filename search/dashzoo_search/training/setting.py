"""One choice of the hyperparameters that `tune` tries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from dashzoo_search.training.recipe import Recipe

__all__ = ["Setting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One choice of everything that is tuned.

    Args:
        lr: peak learning rate.
        weight_decay: decoupled.
        momentum: β₁ of AdamW.
        drop_rate: dropout before the classifier; None where the backbone has none.
    """

    lr: float
    weight_decay: float
    momentum: float
    drop_rate: float | None

    def recipe(self, recipe: Recipe) -> Recipe:
        """``recipe`` with these numbers."""
        return replace(recipe, lr=self.lr, weight_decay=self.weight_decay, momentum=self.momentum)

    def arguments(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of the backbone, with this dropout."""
        return {**args} if self.drop_rate is None else {**args, "drop_rate": self.drop_rate}

    def to_json(self) -> dict[str, float | None]:
        """A plain dict."""
        return asdict(self)
