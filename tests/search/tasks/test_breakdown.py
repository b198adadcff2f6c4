"""Where a network errs, against slow counting by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashzoo_search.tasks.breakdown import FINEST, break_down
from dashzoo_search.tasks.metrics import METRICS


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 40), classes=st.integers(1, 6), seed=st.integers(0, 999))
def test_confusions_are_those_one_counts(n, classes, seed):
    rng = np.random.default_rng(seed)
    outputs, targets = rng.standard_normal((n, classes)), rng.integers(-1, classes, n)
    told = break_down("classification", outputs, targets, outputs)
    table = np.zeros((classes, classes), int)
    for row, truth in zip(outputs, targets, strict=True):
        if truth >= 0:
            table[truth, row.argmax()] += 1
    assert told["of"] == table.sum(1).tolist()
    assert told["right"] == table.diagonal().tolist()
    ours = np.diag(told["right"])
    for true, predicted, count in told["confusions"]:
        assert true != predicted
        ours[true, predicted] = count
    assert (ours == table).all()
    counts = [count for *_, count in told["confusions"]]
    assert counts == sorted(counts, reverse=True)


def test_labels_are_counted_four_ways():
    outputs = np.array([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    targets = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    told = break_down("multilabel", outputs, targets, outputs)
    assert told == {"labels": [[1, 1, 1, 0], [2, 0, 0, 1]]}


def test_numbers_are_binned_by_the_truth():
    truth = np.arange(320.0)[::-1, None]
    (rows,) = break_down("regression", truth + 5, truth, truth)["outputs"]
    rows = np.array(rows)
    assert len(rows) == 16
    assert (np.diff(rows[:, 0]) > 0).all()
    assert np.allclose(rows[:, 2], rows[:, 0] + 5, atol=0.5)
    assert (rows[:, 1] < rows[:, 2]).all()
    assert (rows[:, 2] < rows[:, 3]).all()


def test_few_numbers_of_many_outputs_are_told_too():
    rng = np.random.default_rng(0)
    outputs = rng.standard_normal((3, 11))
    told = break_down("regression", outputs, outputs[:, :, None].squeeze(-1), outputs)["outputs"]
    assert [len(rows) for rows in told] == [3] * 8
    assert break_down("regression", outputs[:, :1], outputs[:, 0], outputs)["outputs"]


def test_fields_keep_the_median_sample_small():
    rng = np.random.default_rng(0)
    targets = rng.standard_normal((5, 1, 70, 33))
    outputs = targets + np.arange(5.0)[:, None, None, None]
    samples = rng.standard_normal((5, 2, 70, 33)).astype(np.float32)
    told = break_down("dense_regression", outputs, targets, samples)
    example = told["example"]
    assert example["sample"] == 2
    assert example["shape"] == [32, 32]
    for name in ("input", "target", "prediction"):
        assert len(example[name]) == 32 * 32
    gap = np.subtract(example["prediction"], example["target"])
    assert np.allclose(gap, 2, atol=0.01)
    assert told["errors"][0] == 0
    assert told["errors"][10] == 2
    assert told["errors"][20] == 4
    rmse = METRICS["rmse"](outputs, targets)
    assert np.isclose(rmse, np.sqrt(np.mean(np.arange(5.0) ** 2)))


def test_averages_keep_the_mean():
    field = np.random.default_rng(0).standard_normal((1, 1, 64, 96))
    told = break_down("dense_regression", field, field, field)["example"]
    assert np.isclose(np.mean(told["input"]), field.mean(), atol=1e-3)


@pytest.mark.parametrize("size", [(300,), (40, 20)])
def test_maps_of_classes_are_thinned_not_averaged(size):
    rng = np.random.default_rng(1)
    targets = rng.integers(-1, 3, (4, *size))
    outputs = rng.standard_normal((4, 3, *size))
    samples = rng.standard_normal((4, 1, *size)).astype(np.float32)
    told = break_down("dense_labels", outputs, targets, samples)
    example = told["example"]
    assert example["shape"] == [min(n, FINEST[len(size)]) for n in size]
    assert set(example["target"]) <= {-1, 0, 1, 2}
    assert set(example["prediction"]) <= {0, 1, 2}
    assert len(example["input"]) == len(example["target"])
    assert sum(told["of"]) == int((targets >= 0).sum())
    json.dumps(told, allow_nan=False)
