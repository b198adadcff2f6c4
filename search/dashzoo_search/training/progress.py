"""What a long-running step tells its caller after every epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from dashzoo_search.measure import ACCURACY, Measure

__all__ = ["Mixtures", "OnEpoch", "Progress", "as_one", "measured", "quiet"]

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
        single: whether all epochs of the stage are one network's, and make a curve.
        rate: learning rate after it; None where it is not told.
        mixtures: gives the weight or chance of each choice of each layer, of a search.
        again: whether it was done before a resume, and told then too. Rate and mixtures are not
            told again, so the three make no two epochs differ.
    """

    stage: str
    epoch: int
    epochs: int
    loss: float
    value: float
    metric: Measure = ACCURACY
    single: bool = True
    rate: float | None = field(default=None, compare=False)
    mixtures: Mixtures | None = field(default=None, compare=False)
    again: bool = field(default=False, compare=False)


OnEpoch = Callable[[Progress], None]


def quiet(progress: Progress) -> None:
    """Tell nobody."""


def as_one(on_epoch: OnEpoch, stage: str, epochs: int) -> OnEpoch:
    """``on_epoch``, told of several networks' trainings, of so many epochs in all, as one stage."""
    done = 0

    def tell(progress: Progress) -> None:
        nonlocal done
        done += 1
        on_epoch(replace(progress, stage=stage, epoch=done, epochs=epochs, single=False))

    return tell


def measured(on_epoch: OnEpoch, metric: Measure) -> OnEpoch:
    """``on_epoch``, told what metric the values are of."""
    return lambda progress: on_epoch(replace(progress, metric=metric))
