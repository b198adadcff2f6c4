"""From held-out losses of a layer's choices to the one to take, with a stated parsimony prior.

Choices are compared on the same samples, so what counts is the standard error of their
difference. A choice is *as good as the best* when it loses to it by no more than

    max(standard error of the difference, SLACK · spread),

spread the largest gap between two choices of the layer seen so far. The layer keeps the backbone's
own kernel unless that loses by more than max(CONFIDENCE standard errors, SLACK · spread); else it
takes, of the choices as good as the best, the one with the fewest taps (then the least extent).
So no evidence means no change, and a larger kernel must earn its weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.choice import Choice

__all__ = ["CONFIDENCE", "SLACK", "Verdict", "decide"]

SLACK = 0.1
CONFIDENCE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What held-out data says of a layer's choices; indices are into the choices judged.

    Attributes:
        pick: the choice to take.
        loss: mean loss of each, in nats.
        behind: how much each loses to the best, in nats.
        error: standard error of that.
        good: choices as good as the best.
        spread: the largest gap so far.
        own_holds: whether the backbone's own kernel is among those judged, and not refuted.
    """

    pick: int
    loss: tuple[float, ...]
    behind: tuple[float, ...]
    error: tuple[float, ...]
    good: tuple[int, ...]
    spread: float
    own_holds: bool


def decide(
    losses: NDArray[np.float64],
    choices: Sequence[Choice],
    *,
    own: int | None,
    spread: float = 0.0,
    confidence: float = CONFIDENCE,
    slack: float = SLACK,
    tolerance: float | None = None,
) -> Verdict:
    """Weigh the choices of a layer.

    Args:
        losses: of each choice on each held-out sample, ``[choices, n]``.
        choices: those judged.
        own: index of the backbone's own kernel, if it is among them.
        spread: the largest gap seen in earlier rounds, when more choices were left.
        confidence: standard errors by which the backbone's own kernel must lose to be left.
        slack: share of the spread that does not count.
        tolerance: what does not count instead, in nats.

    >>> small, large = Choice.cube(3, 1, dims=1), Choice.cube(9, 1, dims=1)
    >>> losses = np.array([[1.0, 1.2, 0.9], [1.0, 1.1, 1.0]])
    >>> decide(losses, [small, large], own=0).pick
    0
    """
    mean = losses.mean(1)
    sound = np.isfinite(mean)
    if not sound.any():  # nothing to go by
        pick = own if own is not None else 0
        lost = (math.inf,) * len(choices)
        return Verdict(
            pick=pick, loss=lost, behind=lost, error=lost, good=(pick,),
            spread=spread, own_holds=own is not None,
        )  # fmt: skip
    gaps = losses[sound] - losses[mean.argmin()]
    behind, error = np.full_like(mean, np.inf), np.full_like(mean, np.inf)
    behind[sound] = gaps.mean(1)
    error[sound] = gaps.std(1) / math.sqrt(losses.shape[1])
    spread = max(spread, float(behind[sound].max()))
    nothing = slack * spread if tolerance is None else tolerance
    near = behind <= np.maximum(error, nothing)
    good = [int(i) for i in np.flatnonzero(near & sound)]
    pick = min(good, key=lambda i: (choices[i].taps, max(choices[i].extent), behind[i]))
    holds = own is not None and bool(
        sound[own] and behind[own] <= max(confidence * error[own], nothing)
    )
    if holds and own is not None:
        pick = own
    return Verdict(
        pick=pick,
        loss=tuple(mean.tolist()),
        behind=tuple(behind.tolist()),
        error=tuple(error.tolist()),
        good=tuple(good),
        spread=spread,
        own_holds=holds,
    )
