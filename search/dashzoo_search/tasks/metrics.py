"""Metrics by name: what a network is judged by, always over a whole split.

Each takes raw outputs, as float64, and targets as `Split` has them.

| name | over the split |
|---|---|
| accuracy | share of samples, or of labelled positions, whose largest output is their class |
| f1 | 2·TP / (2·TP + FP + FN), mean over the classes or labels that are there or foretold |
| auroc | chance that a positive has the higher score than a negative (ties half), one against the
  rest, mean over the classes or labels that have both |
| map | mean, over the labels that are there, of the precision at each positive by falling score |
| fnr | FN / (TP + FN): what is missed of all labels that are 1, or of positions not of class 0; a
  network that finds something everywhere misses nothing, so report it, and choose by another |
| rmse, mse, mae | root of the mean of (ŷ − y)², the mean itself, the mean of abs(ŷ − y) |
| mae8 | mean of abs(ŷ − y) where y < 8 (protein distances in Å) |
| relative_l2 | mean over samples of ‖ŷ − y‖ / ‖y‖ |

A label is foretold where its output is above 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.measure import ACCURACY, Measure
from dashzoo_search.tasks.kinds import KINDS, Kind

__all__ = ["METRICS", "Metric"]

Floats = NDArray[np.float64]
MetricFunction = Callable[[Floats, NDArray[Any]], float]

_POINTS: tuple[Kind, ...] = ("classification", "multilabel")
_NUMBERS: tuple[Kind, ...] = ("regression", "dense_regression")
_NEAR = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Measure):
    """A metric that can be computed.

    Attributes:
        of: from outputs [n, outputs, …] and targets to a number; NaN where it has none.
        kinds: of problems it can judge.
        needs: what it cannot do without, in words.
    """

    of: MetricFunction
    kinds: tuple[Kind, ...] = tuple(KINDS)
    needs: str = "other samples"

    def __call__(self, outputs: Floats, targets: NDArray[Any]) -> float:
        """The value; NaN where outputs are not numbers.

        Raises:
            BadData: it has no value on these targets, or the user's own function fails.
        """
        if not np.isfinite(outputs).all():
            return math.nan
        try:
            value = float(self.of(outputs, targets))
        except Exception as error:  # whatever the user's function raises
            raise BadData(
                f"The metric {self.name} fails on {len(outputs)} samples "
                f"({type(error).__name__}: {error}); mend it, or take another --metric"
            ) from error
        if math.isnan(value):
            raise BadData(
                f"The metric {self.name} is no number on these {len(outputs)} samples: it needs "
                f"{self.needs}; give more samples, or take another --metric"
            )
        return value


def accuracy(outputs: Floats, targets: NDArray[Any]) -> float:
    """Share of classes that have the largest output."""
    return _mean((outputs.argmax(1) == targets)[targets >= 0])


def f1(outputs: Floats, targets: NDArray[Any]) -> float:
    """Macro F1 of classes, or of labels."""
    if targets.dtype.kind == "f":
        foretold, there = outputs > 0, targets > 0
        both, told, true = (foretold & there).sum(0), foretold.sum(0), there.sum(0)
    else:
        known = targets >= 0
        picked, classes = outputs.argmax(1)[known], targets[known]
        count = outputs.shape[1]
        both = np.bincount(classes[picked == classes], minlength=count)
        told, true = (np.bincount(of, minlength=count) for of in (picked, classes))
    seen = told + true > 0
    return _mean(2 * both[seen] / (told + true)[seen])


def auroc(outputs: Floats, targets: NDArray[Any]) -> float:
    """Area under the ROC curve, macro; by rank sums (Mann and Whitney, 1947)."""
    found = []
    for scores, positive in _one_against_rest(outputs, targets):
        count = int(positive.sum())
        if 0 < count < len(positive):
            ranks = _ranks(scores)[positive].sum() - count * (count + 1) / 2
            found.append(ranks / (count * (len(positive) - count)))
    return _mean(np.array(found))


def mean_average_precision(outputs: Floats, targets: NDArray[Any]) -> float:
    """Average precision, macro; equal scores are one threshold."""
    found = []
    for scores, positive in _one_against_rest(outputs, targets):
        if not positive.any():
            continue
        order = np.argsort(-scores, kind="stable")
        hits = np.cumsum(positive[order])
        last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
        gained = np.diff(hits[last], prepend=0)
        found.append((gained * hits[last] / (last + 1)).sum() / hits[-1])
    return _mean(np.array(found))


def false_negative_rate(outputs: Floats, targets: NDArray[Any]) -> float:
    """Share of positives that are missed: labels, or positions of any class but the first."""
    if targets.dtype.kind == "f":
        return _mean((outputs <= 0)[targets > 0])
    return _mean((outputs.argmax(1) == 0)[targets > 0])


def mse(outputs: Floats, targets: NDArray[Any]) -> float:
    """Mean squared error."""
    return _mean((outputs - targets) ** 2)


def rmse(outputs: Floats, targets: NDArray[Any]) -> float:
    """Root of the mean squared error."""
    return math.sqrt(mse(outputs, targets))


def mae(outputs: Floats, targets: NDArray[Any]) -> float:
    """Mean absolute error."""
    return _mean(np.abs(outputs - targets))


def mae8(outputs: Floats, targets: NDArray[Any]) -> float:
    """Mean absolute error where the truth is below 8."""
    near = targets < _NEAR
    return _mean(np.abs(outputs - targets)[near])


def relative_l2(outputs: Floats, targets: NDArray[Any]) -> float:
    """Mean over samples of ‖ŷ − y‖ / ‖y‖."""
    truth = targets.reshape(len(targets), -1).astype(np.float64)
    norm = np.linalg.norm(truth, axis=1)
    if not (norm > 0).all():
        return math.nan
    return _mean(np.linalg.norm(outputs.reshape(truth.shape) - truth, axis=1) / norm)


def _one_against_rest(
    outputs: Floats, targets: NDArray[Any]
) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    """Scores [n] and which samples are positive, of each class or label in turn."""
    if targets.dtype.kind == "f":
        for column in range(outputs.shape[1]):
            yield outputs[:, column], targets[:, column] > 0
        return
    for column in range(outputs.shape[1]):
        # The log odds rank samples as softmax does, and do not saturate.
        rest = np.delete(outputs, column, axis=1)
        yield outputs[:, column] - np.logaddexp.reduce(rest, axis=1), targets == column


def _ranks(scores: Floats) -> Floats:
    """Ranks [n] from 1, equal scores sharing the mean of theirs."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = (ends - (counts - 1) / 2)[inverse]
    return ranks


def _mean(values: NDArray[Any]) -> float:
    return float(np.mean(values, dtype=np.float64)) if values.size else math.nan


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            **ACCURACY.to_json(),
            of=accuracy,
            kinds=("classification", "dense_labels"),
            needs="a label",
        ),
        Metric(name="f1", of=f1, high=1.0, kinds=(*_POINTS, "dense_labels"), needs="a positive"),
        Metric(
            name="auroc",
            of=auroc,
            high=1.0,
            kinds=_POINTS,
            needs="samples of at least one class, and others that are not of it",
        ),
        Metric(
            name="map",
            of=mean_average_precision,
            high=1.0,
            kinds=("multilabel",),
            needs="at least one label that is 1",
        ),
        Metric(
            name="fnr",
            of=false_negative_rate,
            larger_is_better=False,
            high=1.0,
            kinds=("multilabel", "dense_labels"),
            needs="a positive",
        ),
        *(
            Metric(name=of.__name__, of=of, larger_is_better=False, kinds=_NUMBERS)
            for of in (rmse, mse, mae)
        ),
        Metric(
            name="mae8", of=mae8, larger_is_better=False, kinds=_NUMBERS, needs="a target below 8"
        ),
        Metric(
            name="relative_l2",
            of=relative_l2,
            larger_is_better=False,
            kinds=_NUMBERS,
            needs="that no target is all zeros",
        ),
    )
}
