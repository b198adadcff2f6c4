"""What the rows of a panel amount to: means, spreads, and differences paired by seed.

Two contestants of one seed have the same splits, so they are compared seed by seed: the mean of the
differences d, and a 95 % interval of Student's t, mean(d) ± t₀.₉₇₅(n−1) · s(d)/√n. It takes the
seeds for independent draws; the test split is mostly the same in all of them, so it says how sure
the difference is *on this test split*. Nothing here needs torch, NumPy or SciPy.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dashzoo_search.measure import Measure

__all__ = ["Paired", "Summary", "error_ratios", "paired", "student_t", "summarise"]

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Differences of a contestant to another over the seeds both have.

    Attributes:
        mean: of the differences, in the metric's own unit and sign.
        low, high: ends of the interval; None with fewer than two pairs.
        better, same, worse: seeds in which it did so.
    """

    mean: float
    low: float | None
    high: float | None
    better: int
    same: int
    worse: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A contestant over its seeds.

    Attributes:
        contestant: its name.
        seeds: how many.
        mean: of the metric on test.
        spread: its standard deviation over seeds (n − 1); None with one seed.
        difference: to the default kernels; None for themselves, or where no seed has both.
    """

    contestant: str
    seeds: int
    mean: float
    spread: float | None
    difference: Paired | None

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


def summarise(
    scores: Mapping[str, Mapping[int, float]], measure: Measure, *, against: str = "default"
) -> tuple[Summary, ...]:
    """Sum up each contestant.

    Args:
        scores: value on test by contestant and seed.
        measure: how values are read.
        against: whom differences are to.
    """
    return tuple(
        Summary(
            contestant=name,
            seeds=len(values),
            mean=statistics.fmean(values.values()),
            spread=statistics.stdev(values.values()) if len(values) > 1 else None,
            difference=None
            if name == against
            else paired(values, scores.get(against, {}), measure),
        )
        for name, values in scores.items()
    )


def paired(one: Mapping[int, float], other: Mapping[int, float], measure: Measure) -> Paired | None:
    """``one`` minus ``other``, seed by seed; None where no seed has both.

    >>> rmse = Measure(name="rmse", larger_is_better=False)
    >>> paired({0: 1.0, 1: 2.0}, {0: 1.5, 1: 2.0, 2: 9.0}, rmse).better
    1
    """
    seeds = sorted(set(one) & set(other))
    if not seeds:
        return None
    differences = [one[seed] - other[seed] for seed in seeds]
    mean, half = statistics.fmean(differences), None
    if len(seeds) > 1:
        error = statistics.stdev(differences) / math.sqrt(len(seeds))
        half = student_t((1 + LEVEL) / 2, len(seeds) - 1) * error
    better = sum(measure.better(one[seed], other[seed]) for seed in seeds)
    worse = sum(measure.better(other[seed], one[seed]) for seed in seeds)
    return Paired(
        mean=mean,
        low=None if half is None else mean - half,
        high=None if half is None else mean + half,
        better=better,
        same=len(seeds) - better - worse,
        worse=worse,
    )


def error_ratios(tasks: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Each contestant's error over the best one's, a task at a time: a performance profile's τ.

    Dolan and Moré, "Benchmarking optimization software with performance profiles" (2002). Who has
    no error on a task did not solve it: infinity. Beside an error of 0 only another 0 is as good.

    Args:
        tasks: of each the errors by contestant, 0 the best.

    >>> error_ratios([{"a": 1.0, "b": 2.0}, {"b": 0.0}])
    {'a': [1.0, inf], 'b': [2.0, 1.0]}
    """
    names = dict.fromkeys(name for errors in tasks for name in errors)
    return {
        name: [_ratio(errors.get(name), min(errors.values())) for errors in tasks] for name in names
    }


def _ratio(error: float | None, best: float) -> float:
    if error is None:
        return math.inf
    if error == best:
        return 1.0
    return error / best if best > 0 else math.inf


def student_t(probability: float, freedom: int) -> float:
    """The quantile of Student's t at a ``probability`` of ½ or more, by bisection.

    >>> round(student_t(0.975, 4), 4), round(student_t(0.975, 1), 4)
    (2.7764, 12.7062)
    """
    low, high = 0.0, 1.0
    while _within(high, freedom) < 2 * probability - 1:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        if _within(middle, freedom) < 2 * probability - 1:
            low = middle
        else:
            high = middle
    return high


def _within(t: float, freedom: int) -> float:
    """P(|T| < t): Abramowitz and Stegun, 26.7.3 and 26.7.4, finite sums for whole ``freedom``."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(odd + 1, freedom, 2):
        total += term
        term *= cosine**2 * k / (k + 1)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
