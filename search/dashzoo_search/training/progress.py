"""What a long-running step tells its caller after every epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from dashzoo_search.measure import ACCURACY, Measure

__all__ = ["Mixtures", "OnEpoch", "Progress", "measured", "quiet"]

Mixtures = Callable[[], Mapping[str, list[float]]]


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
        rate: learning rate after it; None where it is not told.
        mixtures: gives the weight or chance of each choice of each layer, of a search.
        again: whether it was done before a resume, and told then too.
        single: whether all epochs of the stage are one network's, and make a curve.
    """

    stage: str
    epoch: int
    epochs: int
    loss: float
    value: float
    metric: Measure = ACCURACY
    rate: float | None = None
    mixtures: Mixtures | None = None
    again: bool = False
    single: bool = True


OnEpoch = Callable[[Progress], None]


def quiet(progress: Progress) -> None:
    """Tell nobody."""


def measured(on_epoch: OnEpoch, metric: Measure) -> OnEpoch:
    """``on_epoch``, told what metric the values are of."""
    return lambda progress: on_epoch(replace(progress, metric=metric))
