"""Every fault in the user's own arrays gets one sentence: the array, and the next step."""

from __future__ import annotations

import numpy as np
import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.arrays import arrays_task, take_arrays
from dashzoo_search.tasks.load import load_file

X = np.random.default_rng(0).standard_normal((12, 2, 12)).astype(np.float32)
y = np.array(["low", "mid", "top"])[np.arange(12) % 3]
base = {"X_train": X, "y_train": y, "X_test": X[:6] + 1, "y_test": y[:6]}
w = {"X": np.arange(2.0 * 12 * 30).reshape(30, 2, 12), "y": np.arange(30) % 3}


def changed(array, index, value):
    copy = array.copy()
    copy[index] = value
    return copy


FAULTS = {
    # what changes: the array the sentence names, and a word of the next step
    "nothing": (None, {}, "none of the arrays", "save X_train"),
    "one": (None, {"X": w["X"]}, "holds X but lacks y;", "save X_train"),
    "other names": (None, {"x_train": X, "y_train": y}, "holds x_train, y_train but no X", "save"),
    "no y_test": (base, {"y_test": None}, "lacks y_test", "save X_train"),
    "test beside X, y": (w, {"X_test": X, "y_test": y}, "lacks X_train, y_train", "save"),
    "half of val": (base, {"X_val": X}, "only one of X_val and y_val", "both or neither"),
    "objects X": (base, {"X_train": np.array([None])}, "X_train", "never loaded"),
    "objects y": (base, {"y_test": np.array(["a", 1], object)}, "y_test", "never loaded"),
    "NaN": (
        base,
        {"X_train": changed(X, (5, 1, 3), np.nan)},
        "X_train holds nan in sample 5",
        "dr",
    ),
    "inf in test": (
        base,
        {"X_test": changed(base["X_test"], (4, 0, 0), -np.inf)},
        "X_test holds -inf in sample 4",
        "fill or drop",
    ),
    "overflow": (
        base,
        {"X_train": changed(X.astype(float), (2, 0, 0), 1e300)},
        "X_train holds 1e+300 in sample 2",
        "rescale",
    ),
    "lengths": (
        base,
        {"y_train": y[:-1]},
        "X_train has 12 samples but y_train has 11",
        "one label",
    ),
    "lengths X, y": (w, {"y": w["y"][:-1]}, "X has 30 samples but y has 29", "one label"),
    "val lengths": (base, {"X_val": X, "y_val": y[:3]}, "X_val has 12", "one label"),
    "foreign in test": (
        base,
        {"y_test": changed(base["y_test"], 0, "new")},
        "y_test has the class new, which y_train lacks",
        "remove it",
    ),
    "foreign in val": (base, {"X_val": X, "y_val": changed(y, 0, "new")}, "y_val", "remove it"),
    "one class": (base, {"y_train": changed(y, slice(None), "low")}, "y_train", "two classes"),
    "one class X, y": (w, {"y": w["y"] * 0}, "y holds only the class 0", "two classes"),
    "int and string": (base, {"y_test": np.arange(6) % 3}, "y_test and y_train", "alike"),
    "2-D": (base, {"X_train": X[:, 0]}, "X_train has shape [12, 12]", "X_train[:, None]"),
    "1-D": (base, {"X_train": X[:, 0, 0]}, "X_train has shape [12]", "give sequences"),
    "5-D": (base, {"X_test": base["X_test"][..., None, None]}, "X_test", "give sequences"),
    "0-d": (base, {"X_train": np.float32(1)}, "X_train has shape []", "give sequences"),
    "0-d y": (base, {"y_train": np.int64(1)}, "y_train has shape []", "one label a sample"),
    "0-d X, y": (None, {"X": np.float32(1), "y": np.int64(1)}, "X has shape []", "give sequences"),
    "empty": (base, {"X_train": X[:0], "y_train": y[:0]}, "X_train is empty", "at least one"),
    "empty test": (base, {"X_test": X[:0], "y_test": y[:0]}, "X_test is empty", "at least one"),
    "empty X, y": (None, {"X": X[:0], "y": y[:0]}, "X is empty", "at least one"),
    "no channel": (base, {"X_train": X[:, :0]}, "X_train is empty", "at least one"),
    "no length": (base, {"X_train": X[..., :0]}, "X_train is empty", "at least one"),
    "complex": (base, {"X_train": X.astype(complex)}, "X_train holds complex128", "real numbers"),
    "strings": (base, {"X_train": X.astype(str)}, "X_train holds <U", "real numbers"),
    "dates": (base, {"X_train": X.astype("M8[s]")}, "X_train holds datetime64", "real numbers"),
    "records": (base, {"X_train": np.zeros((12, 2, 12), "f4,f4")}, "X_train", "real numbers"),
    "fractions": (base, {"y_train": np.arange(12) / 2}, "y_test holds <U3", "needs numbers"),
    "whole fractions": (w, {"y": np.arange(30.0)}, "y holds 30 different", "--kind regression"),
    "NaN label": (
        base,
        {"y_train": np.full(12, np.nan), "y_test": np.full(6, np.nan)},
        "y_train holds nan in sample 0",
        "drop",
    ),
    "one-hot": (base, {"y_train": np.eye(3)[np.arange(12) % 3]}, "y_train", "y_train.argmax(1)"),
    "one-hot X, y": (w, {"y": np.eye(3)[w["y"]]}, "y has shape [30, 3]", "y.argmax(1)"),
    "NaN label in a class": (
        w,
        {"y": changed(w["y"] * 0.5, 7, np.nan)},
        "y holds nan in sample 7",
        "drop",
    ),
    "inf among numbers": (
        w,
        {"y": changed(w["X"][:, 0] * 0.5, (7, 3), np.inf)},
        "y holds inf in sample 7",
        "drop",
    ),
    "a column": (w, {"y": w["y"][:, None] > 0}, "y has shape [30, 1]", "y[:, 0]"),
    "two groups": (w, {"groups": np.arange(30) // 15}, "of two groups only", "at least three"),
    "broken groups": (w, {"groups": np.arange(30) / 4}, "groups holds float64", "an integer"),
    "groups unlike": (
        base,
        {"groups_train": np.arange(12), "groups_test": y[:6]},
        "groups of some splits are numbers",
        "alike",
    ),
    "bytes": (base, {"y_train": y.astype("S")}, "y_train holds |S3", "y_train.astype(str)"),
    "complex y": (base, {"y_train": np.arange(12) * 1j}, "y_train holds complex", "give integer"),
    "dates y": (base, {"y_train": np.arange(12).astype("M8[s]")}, "y_train", "give integer"),
    "huge u8": (base, {"y_train": np.full(12, 2**64 - 1, "u8")}, "y_train holds 1844", "from 0"),
    "huge f8": (base, {"y_train": np.full(12, 1e300)}, "y_train holds 1e+300", "from 0"),
    "huge -f8": (base, {"y_train": np.full(12, -1e300)}, "y_train holds -1e+300", "from 0"),
    "surrogates": (base, {"y_train": np.array(["\ud800", "a"] * 6)}, "y_train", "plain strings"),
    "every class single": (base, {"y_train": np.arange(12)}, "y_test and y_train", "alike"),
    "singles": (
        base,
        {"y_train": np.arange(12), "y_test": np.arange(6)},
        "No class of y_train",
        "more samples",
    ),
    "pairs X, y": (w, {"y": np.arange(30) // 2}, "y has no class of three", "--kind regression"),
    "other length": (
        base,
        {"X_test": base["X_test"][..., :-1]},
        "A sample of X_test has shape [2, 11], one of X_train [2, 12]",
        "make them alike",
    ),
    "other channels": (base, {"X_test": base["X_test"][:, :1]}, "X_test", "make them alike"),
    "other dims": (base, {"X_test": base["X_test"][..., None]}, "X_test", "make them alike"),
}


@pytest.mark.parametrize(("start", "changes", "named", "step"), FAULTS.values(), ids=FAULTS.keys())
def test_fault(save, start, changes, named, step):
    arrays = {k: v for k, v in {**(start or {}), **changes}.items() if v is not None}
    with pytest.raises(BadData) as caught:
        load_file(save(**arrays), seed=0)
    message = str(caught.value)
    assert named in message
    assert step in message
    assert "\n" not in message
    assert len(message) < 250


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({**base, "X_train": [[[1.0, 2.0]], [[1.0]]]}, "X_train makes no array"),
        ({**base, "y_train": y.astype(object)}, "y_train.astype(str)"),
        ({**base, "X_train": None}, "X_train holds object values"),
        ({**base, "X_train": [*X.tolist()[:-1], "x"]}, "X_train makes no array"),
        ({}, "none of the arrays"),
    ],
    ids=["ragged", "pandas", "None", "mixed", "empty"],
)
def test_fault_in_memory(values, named):
    with pytest.raises(BadData) as caught:
        arrays_task(take_arrays(values), name="mine", origin="the mapping", seed=0)
    assert named in str(caught.value)


def test_groups_saved_as_fractions():
    groups = np.arange(30) // 4
    told = {"X": w["X"], "y": w["y"]}
    tasks = [
        arrays_task({**told, "groups": of}, name="mine", origin="the mapping", seed=0)
        for of in (groups, groups.astype(np.float64))
    ]
    np.testing.assert_array_equal(tasks[0].train.groups, tasks[1].train.groups)
