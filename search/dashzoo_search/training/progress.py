"""What a long-running step tells its caller after every epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from dashzoo_search.measure import ACCURACY, Measure

__all__ = ["OnEpoch", "Progress", "measured", "quiet"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One epoch done.

    Attributes:
        stage: what is running, such as ``"search"``.
        epoch: epochs done.
        epochs: epochs in all.
        loss: mean training loss of the epoch.
        value: of the metric, on held-out data.
        metric: how that is read.
    """

    stage: str
    epoch: int
    epochs: int
    loss: float
    value: float
    metric: Measure = ACCURACY


OnEpoch = Callable[[Progress], None]


def quiet(progress: Progress) -> None:
    """Tell nobody."""


def measured(on_epoch: OnEpoch, metric: Measure) -> OnEpoch:
    """``on_epoch``, told what metric the values are of."""
    return lambda progress: on_epoch(replace(progress, metric=metric))
