"""Learning curves of a run, kept while it goes on, for its record."""

from __future__ import annotations

import math
from typing import Any

from dashzoo_search.training.progress import OnEpoch, Progress

__all__ = ["Curves"]


class Curves:
    """Loss and score of every epoch, by stage; those of a resumed stage are whole.

    Stages of several networks, such as the trials of a tuning, make no curve and are left out.

    Args:
        on_epoch: told everything as well.

    >>> curves = Curves(lambda progress: None)
    >>> curves(Progress("train", 1, 2, 0.71, 0.5))
    >>> curves(Progress("train", 2, 2, math.nan, 0.75))
    >>> curves.to_json()
    [{'stage': 'train', 'loss': [0.71, None], 'value': [0.5, 0.75]}]
    """

    def __init__(self, on_epoch: OnEpoch) -> None:
        self._on_epoch = on_epoch
        self._told: dict[str, list[Progress]] = {}

    def __call__(self, progress: Progress) -> None:
        """Keep an epoch, and tell of it."""
        if progress.single:
            self._told.setdefault(progress.stage, []).append(progress)
        self._on_epoch(progress)

    def to_json(self) -> list[dict[str, Any]]:
        """A row for every stage, numbers that are none as None."""
        return [
            {
                "stage": stage,
                "loss": [_plain(epoch.loss) for epoch in epochs],
                "value": [_plain(epoch.value) for epoch in epochs],
            }
            for stage, epochs in self._told.items()
        ]


def _plain(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
