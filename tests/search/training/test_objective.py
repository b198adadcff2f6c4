"""Losses and metrics by name: which fit, whose are imported, and what training measures by."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from dashzoo_search.errors import BadData, UnknownObjective
from dashzoo_search.measure import ACCURACY, Measure
from dashzoo_search.methods.judge import Judge
from dashzoo_search.tasks.task import Split, make_task
from dashzoo_search.training.objective import CLASSIFY, Objective, Score

RMSE = Measure(name="rmse", larger_is_better=False)


def task(kind="regression", **more):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 1, 6)).astype(np.float32)
    y = {
        "regression": 1000 * X.mean((1, 2)),
        "classification": (X.mean((1, 2)) > 0).astype(int),
        "multilabel": (X[:, 0, :2] > 0).astype(int),
    }[kind]
    return make_task("t", kind=kind, train=(X, y), test=(X, y), seed=0, source="made up", **more)


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_of_a_test", raising=False)
    (tmp_path / "mine_of_a_test.py").write_text(
        "def loss(outputs, targets):\n    return (outputs - targets).abs().flatten(1).amax(1)\n"
        "def worst(outputs, targets):\n    return abs(outputs - targets).max()\n"
        "worst.larger_is_better = False\n"
        "number = 3\n"
    )


def test_a_function_of_ones_own_by_either_path(own_module):
    said = ("mine_of_a_test:loss", "mine_of_a_test.worst")
    objective = Objective.of(task(loss=said[0], metric=said[1]), trusted=said)
    outputs, y = torch.tensor([[1.0], [5.0]]), torch.tensor([[2.0], [2.0]])
    score = objective.score(outputs, y)
    assert (score.value, score.loss) == (3.0, 2.0)
    assert Score(1.0, 9.0, score.metric).better_than(score)


def test_what_only_a_file_names_is_not_imported(own_module):
    with pytest.raises(BadData, match="--trust mine_of_a_test:loss"):
        Objective.of(task(loss="mine_of_a_test:loss"), trusted=(None, "another:loss"))
    assert "mine_of_a_test" not in sys.modules


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("no_such_module_here:f", "cannot be imported.*PYTHONPATH"),
        ("mine_of_a_test:missing", "cannot be imported"),
        ("mine_of_a_test:number", "is no function"),
    ],
)
def test_a_path_that_leads_nowhere(own_module, path, told):
    with pytest.raises(BadData, match=told):
        Objective.of(task(metric=path), trusted=(path,))


@pytest.mark.parametrize("field", ["loss", "metric"])
def test_a_misspelt_name(field):
    with pytest.raises(UnknownObjective, match=f"No {field} is called 'msee'; nearest: .*mse"):
        Objective.of(task(**{field: "msee"}))


def test_what_does_not_fit_the_kind():
    with pytest.raises(BadData, match=r"auroc is none for a task of kind regression; .*rmse"):
        Objective.of(task(metric="auroc"))
    with pytest.raises(BadData, match="no positives to weigh"):
        Objective.of(task(positive_weight=4.0))


def test_positives_are_weighed():
    outputs, y = torch.zeros(1, 2), torch.ones(1, 2)
    one, ten = (
        Objective.of(task("multilabel", positive_weight=w)).loss(outputs, y) for w in (1.0, 10.0)
    )
    assert ten.item() == pytest.approx(10 * one.item())


def test_numbers_are_measured_against_their_mean():
    small = Objective.of(task())
    y = task().train.y
    assert small.scale == pytest.approx(float(((y - y.mean()) ** 2).mean()), rel=1e-5)
    assert Objective.of(task("classification")).scale == 1.0


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (Score(0.9, 0.2), Score(0.9, 0.3)),
        (Score(0.9, 9.0), Score(0.8, 0.0)),
        (Score(1.0, 9.0, RMSE), Score(2.0, 0.0, RMSE)),
        (Score(9.0, 9.0, RMSE), Score(float("nan"), 0.0, RMSE)),
        (Score(0.1, 9.0), Score(float("nan"), 0.0)),
    ],
)
def test_which_score_is_better(better, worse):
    assert better.better_than(worse)
    assert not worse.better_than(better)


def test_errors_are_lowered_whatever_the_direction():
    assert ACCURACY.error(0.9) == pytest.approx(0.1)
    assert RMSE.error(3.0) == 3.0
    assert Measure(name="own", low=None).error(5.0) == -5.0
    for measure in (ACCURACY, RMSE):
        assert np.isfinite(measure.error(float("nan")))


def test_only_logits_have_a_temperature():
    X = np.random.default_rng(0).standard_normal((40, 1, 4)).astype(np.float32)
    y = (X.mean((1, 2)) > 0).astype(np.int64)

    class Loud(torch.nn.Module):
        """Always sure, and often wrong."""

        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, x):
            z = 30 * self.w * x[:, 0, 0]
            return torch.stack([-z, z], 1)

    judge = Judge(Loud(), Split(X, y))
    before = judge.losses().mean()
    loss, value = judge.calibrate()
    assert judge.losses().mean() == pytest.approx(loss)
    assert loss < before
    assert value == ((X[:, 0, 0] > 0) == y).mean()

    numbers = Split(X, np.stack([X[:, 0, 0], X[:, 0, 1]], 1))
    judge = Judge(Loud(), numbers, Objective.of(task()))
    before = judge.losses()
    judge.calibrate()
    np.testing.assert_array_equal(judge.losses(), before)
    assert replace(CLASSIFY, scale=2.0).scale == 2.0
