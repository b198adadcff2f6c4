"""Kinds of problems: what is guessed from labels, what each kind checks, and what a task says."""

from __future__ import annotations

import numpy as np
import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.rows import Rows
from dashzoo_search.tasks import DataOptions, load_task, register
from dashzoo_search.tasks.arrays import arrays_task
from dashzoo_search.tasks.kinds import KINDS, guess_kind
from dashzoo_search.tasks.task import make_task

N, SIZE = 20, (8,)
rng = np.random.default_rng(0)
X = rng.standard_normal((N, 2, *SIZE)).astype(np.float32)
IMAGES = rng.standard_normal((N, 3, 4, 6)).astype(np.float32)
FRACTIONS = rng.standard_normal(N)
MANY = (rng.random((N, 4)) < 0.5).astype(int)
MANY[0] = 1


def make(y, X=X, kind=None, **more):
    return make_task(
        "t", kind=kind, train=(X, y), test=(X[:6], y[:6]), seed=0, source="here", **more
    )


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (np.arange(N) % 3, "classification"),
        (np.arange(N) % 2 == 0, "classification"),
        (np.array(list("abcd") * 5), "classification"),
        (np.arange(N) % 3 / 1.0, "classification"),
        (FRACTIONS, "regression"),
        (FRACTIONS[:, None], "regression"),
        (rng.standard_normal((N, 3)), "regression"),
        (MANY, "multilabel"),
        (MANY.astype(np.float32), "multilabel"),
        (rng.integers(0, 5, (N, *SIZE)), "dense_labels"),
        (rng.standard_normal((N, *SIZE)), "dense_regression"),
        (rng.standard_normal((N, 2, *SIZE)), "dense_regression"),
    ],
)
@pytest.mark.parametrize("where", [np.asarray, Rows.of])
def test_guessed(y, kind, where):
    assert guess_kind(where(y), SIZE)[0] == kind


@pytest.mark.parametrize(
    ("y", "told"),
    [
        (np.arange(N) % 3, []),
        (np.array(list("abcd") * 5), []),
        (np.arange(N) % 3 / 1.0, ["kind is classification: y_train holds few different whole"]),
        (np.arange(3 * N) % 30, ["kind is classification: y_train holds 30 different integers"]),
    ],
)
def test_what_is_guessed_is_said(y, told):
    samples = np.resize(X, (len(y), *X.shape[1:]))
    task = make_task(
        "t", train=(samples, y), val=(samples, y), test=(samples, y), seed=0, source="here"
    )
    assert [said[: len(start)] for said, start in zip(task.guessed, told, strict=True)] == told


@pytest.mark.parametrize(
    ("y", "told"),
    [
        (np.arange(60.0), "say --kind classification or --kind regression"),
        (
            (rng.random((N, *SIZE)) < 0.5).astype(int),
            "say --kind multilabel or --kind dense_labels",
        ),
        (np.eye(4)[np.arange(N) % 4], r"argmax\(1\) does, or say --kind multilabel"),
        (rng.integers(0, 9, (N, 3)), "read in several ways"),
        (rng.standard_normal((N, 2, 3)), "read in several ways"),
    ],
)
def test_ambiguous(y, told):
    with pytest.raises(BadData, match=told):
        guess_kind(y, SIZE)


@pytest.mark.parametrize(
    ("y", "X", "kind", "shape", "dtype", "outputs"),
    [
        (MANY, X, "multilabel", (4,), np.float32, ("0", "1", "2", "3")),
        (FRACTIONS, X, "regression", (1,), np.float32, ("y",)),
        (np.arange(N), X, "regression", (1,), np.float32, ("y",)),
        (rng.standard_normal((N, 2)), X, "regression", (2,), np.float32, ("y0", "y1")),
        (IMAGES[:, 0], IMAGES, "dense_regression", (1, 4, 6), np.float32, ("y",)),
        (IMAGES, IMAGES, "dense_regression", (3, 4, 6), np.float32, ("y0", "y1", "y2")),
        ((IMAGES[:, 0] > 0) * 2 - 1, IMAGES, "dense_labels", (4, 6), np.int64, ("0", "1")),
        ((X[:, 0] > 0) * 2.0, X, "dense_labels", SIZE, np.int64, ("0", "1", "2")),
    ],
)
@pytest.mark.parametrize("where", [np.asarray, Rows.of])
def test_made(y, X, kind, shape, dtype, outputs, where):
    task = make(where(y), X, kind)
    for split in (task.train, task.val, task.test.open()):
        assert split.y.shape[1:] == shape
        assert split.y.dtype == dtype
        assert split.targets(np.array([0, 1])).shape == (2, *shape)
    assert (task.classes, task.outputs, task.kind) == (outputs, len(outputs), kind)
    assert task.dense == kind.startswith("dense")
    assert (task.loss, task.metric) == (KINDS[kind].loss, KINDS[kind].metric)
    assert len(task.val) == N // 5
    assert task.sha256 == make(y, X, kind).sha256
    np.testing.assert_allclose(
        np.asarray(task.test.open().y).reshape(6, -1), np.asarray(y[:6]).reshape(6, -1), rtol=1e-6
    )
    told = task.describe()
    assert (told["kind"], told["loss"], told["metric"]) == (kind, task.loss, task.metric)


def test_named_loss_metric_and_outputs():
    task = make(FRACTIONS, loss="huber", metric="mae8", names=("weight",))
    assert (task.loss, task.metric, task.classes) == ("huber", "mae8", ("weight",))
    assert task.guessed == ("kind is regression: y_train holds one fraction a sample",)
    assert make(FRACTIONS, kind="regression").guessed == ()


def test_the_kind_is_in_the_digest():
    y = (X[:, 0] > 0).astype(int)
    assert make(y, kind="multilabel").sha256 != make(y, kind="dense_labels").sha256


def change(y, value):
    return np.where(np.arange(y.size).reshape(y.shape) == 3, value, y)


@pytest.mark.parametrize(
    ("y", "kind", "told"),
    [
        (change(MANY, 2), "multilabel", "y_train holds more than zeros and ones"),
        (FRACTIONS, "multilabel", r"y_train has shape \[20\]; a multilabel needs zeros"),
        (change(FRACTIONS, np.nan), "regression", "y_train holds nan in sample 3"),
        (np.array(["a"] * N), "regression", "y_train holds <U1 values; a regression needs"),
        (X, "regression", r"y_train has shape \[20, 2, 8\]"),
        (MANY, "dense_labels", r"samples of size \[8\] needs integers"),
        (change(X[:, 0] > 0, -2), "dense_labels", "y_train holds -2"),
        (X[:, 0], "dense_labels", "y_train holds .*; dense labels are integers"),
        (X[:, 0] * 0, "dense_labels", "fewer than two labels"),
        (X[..., :5], "dense_regression", r"samples of size \[8\] needs numbers"),
        (FRACTIONS[:9], "regression", "X_train has 20 samples but y_train has 9"),
        (
            FRACTIONS,
            "classification",
            "fractions, such as .* in sample 0; give labels, or say --kind",
        ),
    ],
)
def test_faults(y, kind, told):
    with pytest.raises(BadData, match=told):
        make(y, kind=kind)


def test_faults_between_splits():
    with pytest.raises(BadData, match="y_test has 2 outputs, y_train 3"):
        make_task(
            "t", train=(X, X[:, 0, :3]), test=(X, X[:, 0, :2]), seed=0, source="", kind="regression"
        )
    dense = (X[:, 0] > 0).astype(int)
    with pytest.raises(BadData, match="y_test has the label 2, but there are 2 classes"):
        make_task(
            "t", train=(X, dense), test=(X, dense * 2), seed=0, source="", kind="dense_labels"
        )
    with pytest.raises(BadData, match="There are 2 names for 1 outputs"):
        make(FRACTIONS, names=("a", "b"))


def test_classes_of_an_archive_name_the_outputs():
    arrays = {"X": X, "y": MANY, "classes": np.array(["dog", "cat", "cow", "hen"])}
    task = arrays_task(arrays, name="t", origin="t.npz", seed=0)
    assert (task.kind, task.classes) == ("multilabel", ("dog", "cat", "cow", "hen"))


class TestGroups:
    y = np.arange(N) % 2
    patients = np.repeat(np.arange(5), 4)
    XG = X * 0 + patients[:, None, None]

    @pytest.mark.parametrize("seed", range(3))
    def test_of_a_file_are_on_one_side(self, seed):
        arrays = {"X": self.XG, "y": self.y, "groups": np.array(list("abcde"))[self.patients]}
        task = arrays_task(arrays, name="t", origin="t.npz", seed=seed)
        sides = [set(s.X[:, 0, 0]) for s in (task.train, task.val, task.test.open())]
        assert sum(map(len, sides)) == len(set.union(*sides)) == 5
        for fold in (folds := task.train.folds(3, seed=seed)):
            assert len(fold)
            others = np.setdiff1d(np.arange(len(task.train)), fold)
            assert not set(task.train.groups[fold]) & set(task.train.groups[others])
        assert sorted(np.concatenate(folds)) == list(range(len(task.train)))
        rest, cut = task.train.cut(0.3, seed=seed)
        assert not set(rest.groups) & set(cut.groups)
        pool = task.train.join(task.val)
        assert len(set(pool.groups)) == 4

    def test_on_both_sides(self):
        arrays = {
            "X_train": self.XG, "y_train": self.y, "X_test": self.XG[:4], "y_test": self.y[:4],
            "groups_train": self.patients, "groups_test": self.patients[:4],
        }  # fmt: skip
        with pytest.raises(BadData, match=r"t\.npz has the group 0 in test and in train"):
            arrays_task(arrays, name="t", origin="t.npz", seed=0)
        del arrays["groups_test"]
        with pytest.raises(BadData, match="but not groups_test"):
            arrays_task(arrays, name="t", origin="t.npz", seed=0)

    def test_of_another_shape(self):
        arrays = {"X": X, "y": self.y, "groups": self.patients[:3]}
        with pytest.raises(BadData, match="groups holds int64 values of shape"):
            arrays_task(arrays, name="t", origin="t.npz", seed=0)


def test_by_time():
    y = np.arange(N) % 2
    XT = X * 0 + np.arange(N)[:, None, None]
    task = arrays_task(
        {"X": XT, "y": y}, name="t", origin="t", seed=0, options=DataOptions(split="time")
    )
    assert task.train.X[:, 0, 0].tolist() == list(range(13))
    assert task.val.X[:, 0, 0].tolist() == [13, 14, 15]
    assert task.test.open().X[:, 0, 0].tolist() == [16, 17, 18, 19]


class TestOptions:
    def test_json(self):
        options = DataOptions(kind="regression", target=("a", "b"), size=7, lengths="pad")
        assert DataOptions.from_json(options.to_json()) == options
        assert DataOptions().to_json() == {}

    @pytest.mark.parametrize(
        "value",
        [{"kin": "x"}, {"kind": "x"}, {"size": [0]}, {"target": {"a": 1}}, [], {"size": "4"}],
    )
    def test_damaged_json(self, value):
        with pytest.raises(BadData):
            DataOptions.from_json(value)

    def test_named_tasks_take_few(self):
        with pytest.raises(BadData, match="digits comes as it is; leave --target out"):
            load_task("digits", options=DataOptions(target="y"))
        task = load_task("planted/1d-1", options=DataOptions(metric="f1"))
        assert (task.metric, task.loss) == ("f1", "cross_entropy")

    def test_lengths_of_a_named_task(self):
        pytest.importorskip("aeon")
        task = load_task("ucr/JapaneseVowels", options=DataOptions(lengths="pad"))
        assert (task.channels, task.size) == (13, (29,))
        task = load_task("ucr/JapaneseVowels", options=DataOptions(lengths="resample", size=20))
        assert (task.channels, task.size) == (12, (20,))


def test_a_task_of_ones_own(monkeypatch):
    monkeypatch.setattr("dashzoo_search.tasks.registry._TASKS", {})

    def load(*, seed):
        return make(FRACTIONS)

    register("mine/fractions", load)
    assert load_task("mine/fractions", seed=1).kind == "regression"
    with pytest.raises(ValueError, match="registered already"):
        register("mine/fractions", lambda *, seed: make(MANY))


def test_by_time_the_search_and_the_folds_look_ahead_too():
    stamped = np.arange(60, dtype=np.float32).reshape(60, 1, 1) + np.zeros((1, 1, 4), np.float32)
    task = make(np.arange(60) % 2, stamped, by_time=True)
    rest, held = task.train.cut(0.25, seed=3)
    assert rest.X[:].max() < held.X[:].min() <= held.X[:].max() < task.val.X[:].min()
    pool = task.train.join(task.val).take(np.arange(50))
    parts = [part.tolist() for part in pool.folds(3, seed=3)]
    assert parts == [list(range(a, b)) for a, b in ((0, 17), (17, 34), (34, 50))]
