"""Where a network errs: one reading of a split, told by class, label, output or position.

What is kept is small, whatever the split's size, and is by kind of problem:

| kind | kept |
|---|---|
| classification, dense_labels | samples (positions) of each class, how many of them are right, and
  the most frequent confusions |
| multilabel | of each label the hits, false alarms, misses and correct rejections |
| regression | of each output, by bins of the truth: its median, and of what is foretold there
  the 10, 50 and 90 % quantile |
| dense_regression | quantiles of the samples' root mean squared errors |

Dense kinds keep one sample as well, that of the median error, with truth and prediction, thinned
out or averaged to at most `FINEST` positions along an axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.rows import Array
from dashzoo_search.tasks.kinds import Kind

__all__ = ["FINEST", "break_down"]

FINEST = {1: 256, 2: 32}
CONFUSIONS = 2000
BINS = 16
OUTPUTS = 8

Floats = NDArray[np.float64]


def break_down(
    kind: Kind, outputs: Floats, targets: NDArray[Any], samples: Array
) -> dict[str, Any]:
    """What results.json keeps of one reading.

    Args:
        kind: of problem.
        outputs: raw, [n, o, …].
        targets: as `Split` has them.
        samples: [n, c, …]; only one is looked at, and only where outputs are dense.

    >>> outputs = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]])
    >>> break_down("classification", outputs, np.array([0, 1, 1]), outputs)
    {'of': [1, 2], 'right': [1, 1], 'confusions': [[1, 0, 1]]}
    """
    if kind == "multilabel":
        return {"labels": _labels(outputs > 0, targets > 0)}
    if kind == "regression":
        return {"outputs": _by_output(outputs, targets)}
    if kind == "classification":
        return _classes(outputs.argmax(1), targets, outputs.shape[1])
    if kind == "dense_labels":
        picked = outputs.argmax(1)
        wrong = ((picked != targets) & (targets >= 0)).reshape(len(targets), -1).mean(1)
        middle = _median(wrong)
        maps = {"target": targets[middle], "prediction": picked[middle]}
        example = {name: _thin(values) for name, values in maps.items()}
        example["input"] = _average(samples[middle][0])
        return {
            **_classes(picked, targets, outputs.shape[1]),
            "example": _example(middle, example),
        }
    gaps = (outputs - targets).reshape(len(targets), -1)
    errors = np.sqrt((gaps**2).mean(1))
    middle = _median(errors)
    example = {
        "input": _average(samples[middle][0]),
        "target": _average(targets[middle][0]),
        "prediction": _average(outputs[middle][0]),
    }
    quantiles = _numbers(np.quantile(errors, np.linspace(0, 1, 21)))
    return {"errors": quantiles, "example": _example(middle, example)}


def _classes(picked: NDArray[Any], targets: NDArray[Any], count: int) -> dict[str, Any]:
    known = targets >= 0
    pairs = targets[known].astype(np.int64) * count + picked[known]
    table = np.zeros(0, dtype=np.int64)
    found, table = np.unique(pairs, return_counts=True)
    true, told = np.divmod(found, count)
    of, right = (np.zeros(count, dtype=np.int64) for _ in range(2))
    np.add.at(of, true, table)
    hit = true == told
    right[true[hit]] = table[hit]
    wrong = np.flatnonzero(~hit)
    wrong = wrong[np.argsort(-table[wrong], kind="stable")][:CONFUSIONS]
    rows = np.stack([true[wrong], told[wrong], table[wrong]], axis=1)
    return {"of": of.tolist(), "right": right.tolist(), "confusions": rows.tolist()}


def _labels(foretold: NDArray[np.bool_], there: NDArray[np.bool_]) -> list[list[int]]:
    counts = [foretold & there, foretold & ~there, ~foretold & there, ~foretold & ~there]
    rows: list[list[int]] = np.stack([each.sum(0) for each in counts], axis=1).tolist()
    return rows


def _by_output(outputs: Floats, targets: NDArray[Any]) -> list[list[list[float]]]:
    """A row [truth, low, middle, high] for every bin of every output, the first few of them."""
    truth = targets.reshape(outputs.shape).astype(np.float64)
    found = []
    for column in range(min(outputs.shape[1], OUTPUTS)):
        order = np.argsort(truth[:, column], kind="stable")
        rows = []
        for part in np.array_split(order, min(BINS, len(order))):
            spread = np.quantile(outputs[part, column], (0.1, 0.5, 0.9))
            rows.append(_numbers([np.median(truth[part, column]), *spread]))
        found.append(rows)
    return found


def _median(errors: Floats) -> int:
    return int(np.argsort(errors, kind="stable")[len(errors) // 2])


def _example(sample: int, maps: dict[str, NDArray[Any]]) -> dict[str, Any]:
    shape = list(maps["target"].shape)
    return {"sample": sample, "shape": shape} | {
        name: _numbers(values.ravel()) for name, values in maps.items()
    }


def _average(field: NDArray[Any]) -> Floats:
    """Means of blocks, at most `FINEST` along an axis."""
    values = np.asarray(field, dtype=np.float64)
    for axis, n in enumerate(values.shape):
        count = min(n, FINEST[values.ndim])
        starts = np.linspace(0, n, count, endpoint=False).astype(int)
        widths = np.diff(np.append(starts, n))
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        values = np.add.reduceat(values, starts, axis=axis) / widths.reshape(shape)
    return values


def _thin(field: NDArray[Any]) -> NDArray[Any]:
    """Every so manieth position, for classes, which have no mean."""
    finest = FINEST[field.ndim]
    for axis, n in enumerate(field.shape):
        at = np.linspace(0, n - 1, min(n, finest)).round().astype(int)
        field = np.take(field, at, axis)
    return field


def _numbers(values: Any) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
