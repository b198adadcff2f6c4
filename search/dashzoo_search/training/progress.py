"""What a long-running step tells its caller after every epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["OnEpoch", "Progress", "quiet"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One epoch done.

    Attributes:
        stage: what is running, such as ``"search"``.
        epoch: epochs done.
        epochs: epochs in all.
        loss: mean training loss of the epoch.
        accuracy: on validation data, in [0, 1].
    """

    stage: str
    epoch: int
    epochs: int
    loss: float
    accuracy: float


OnEpoch = Callable[[Progress], None]


def quiet(progress: Progress) -> None:
    """Tell nobody."""
