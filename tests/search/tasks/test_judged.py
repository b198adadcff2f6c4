"""The doctor on losses, metrics and classes: what would only fail in a run is found beforehand."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from dashzoo_search.tasks import DataOptions
from dashzoo_search.tasks.arrays import arrays_task
from dashzoo_search.tasks.judged import absent, judged

HERE = "somebodys_own"
rng = np.random.default_rng(0)
X = rng.standard_normal((40, 1, 8)).astype(np.float32)
LABELS = np.arange(40) % 3


def raises(outputs, targets):
    raise KeyError("nowhere")


def says_text(outputs, targets):
    return "good"


def no_number(outputs, targets):
    return float("nan")


def one_for_all(outputs, targets):
    return outputs.mean()


def not_finite(outputs, targets):
    return outputs.sum(1) * float("nan")


def faults(y, **said):
    options = DataOptions(**said)
    task = arrays_task({"X": X, "y": y}, name="t", origin="t", seed=0, options=options)
    parts = {"train": task.train, "val": task.val, "test": task.test.open()}
    found = list(judged(task, parts, (options.loss, options.metric)))
    assert all(f.severity == "fault" and f.mend.endswith(".") for f in found)
    return [f"{f.what}. {f.mend}" for f in found]


@pytest.mark.parametrize("metric", ["accuracy", "f1", "auroc"])
def test_what_works_is_not_told(metric):
    assert faults(LABELS, metric=metric) == []
    assert faults(rng.standard_normal(40), metric="mae", loss="mae") == []
    assert faults(X[:, 0], kind="dense_regression", metric="relative_l2") == []


@pytest.mark.parametrize(
    ("y", "said", "told"),
    [
        (LABELS, {"metric": "rmse"}, "metric rmse is none for a task of kind classification"),
        (LABELS, {"loss": "mse"}, "loss mse is none for a task of kind classification"),
        (LABELS, {"metric": "no_such"}, "no_such"),
        (LABELS, {"metric": "no_such:thing"}, "no_such:thing cannot be imported"),
        (LABELS, {"metric": f"{HERE}:raises"}, "fails on .*KeyError"),
        (LABELS, {"metric": f"{HERE}:says_text"}, "fails on .*ValueError"),
        (LABELS, {"metric": f"{HERE}:no_number"}, "is no number on these .*, of val"),
        (LABELS, {"loss": f"{HERE}:raises"}, "loss .* fails on 16 samples .*KeyError"),
        (LABELS, {"loss": f"{HERE}:one_for_all"}, "Return a tensor with one number a sample"),
        (LABELS, {"loss": f"{HERE}:not_finite"}, "not_finite is no finite number on a few"),
        (X[:, 0] * 0, {"kind": "dense_regression", "metric": "relative_l2"}, "all zeros, of val"),
    ],
)
def test_what_would_fail(y, said, told, monkeypatch):
    monkeypatch.setitem(sys.modules, HERE, SimpleNamespace(**globals()))
    (found,) = faults(y, **said)
    assert "\n" not in found
    assert re.search(told, found), found


def test_a_class_that_cannot_be_judged():
    parts = {"X_train": X, "y_train": LABELS, "X_val": X[:9], "y_val": LABELS[:9]}
    held = parts | {"X_test": X[:9], "y_test": LABELS[:9] % 2}
    task = arrays_task(held, name="t", origin="t", seed=0)
    (found,) = absent(task, {"val": task.val, "test": task.test.open()})
    assert (found.severity, found.what) == ("warning", "No sample of test is of the class 2")


def test_labels_with_gaps():
    y = rng.integers(0, 3, (40, 8))
    y[:, 0] = 0
    y[:, 1] = 1
    for ignored, told in ((-1, []), (255, ["Labels are counted up to 255, and 253 of them are"])):
        held = {"X": X, "y": np.where(y == 2, ignored, y)}
        task = arrays_task(
            held, name="t", origin="t", seed=0, options=DataOptions(kind="dense_labels")
        )
        found = [f.what[: len(told[0])] for f in absent(task, {})]
        assert found == told
