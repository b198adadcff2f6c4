"""Metrics against scikit-learn and against loops; and what they say where they have no value."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.kinds import KINDS
from dashzoo_search.tasks.losses import LOSSES
from dashzoo_search.tasks.metrics import METRICS, Metric

RNG = np.random.default_rng


def scores(*shape, seed=0):
    return RNG(seed).standard_normal(shape).round(1)  # so that some are equal


def softmax(outputs):
    powers = np.exp(outputs)
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_classes_as_scikit_learn_has_it(classes):
    judge = pytest.importorskip("sklearn.metrics")
    outputs, y = RNG(0).standard_normal((80, classes)), RNG(1).integers(0, classes, 80)
    picked, p = outputs.argmax(1), softmax(outputs)
    assert METRICS["accuracy"](outputs, y) == judge.accuracy_score(y, picked)
    assert METRICS["f1"](outputs, y) == pytest.approx(judge.f1_score(y, picked, average="macro"))
    wanted = judge.roc_auc_score(y, p[:, 1] if classes == 2 else p, multi_class="ovr")
    assert METRICS["auroc"](outputs, y) == pytest.approx(wanted)


def test_labels_as_scikit_learn_has_it():
    judge = pytest.importorskip("sklearn.metrics")
    outputs, y = scores(60, 4), (RNG(1).random((60, 4)) > 0.7).astype(np.float32)
    told = (outputs > 0).astype(int)
    wanted = {
        "f1": judge.f1_score(y, told, average="macro"),
        "auroc": judge.roc_auc_score(y, outputs, average="macro"),
        "map": judge.average_precision_score(y, outputs, average="macro"),
    }
    for name, value in wanted.items():
        assert METRICS[name](outputs, y) == pytest.approx(value)


def test_what_is_missed_as_scikit_learn_has_it():
    judge = pytest.importorskip("sklearn.metrics")
    outputs, y = scores(60, 4), (RNG(1).random((60, 4)) > 0.7).astype(np.float32)
    recall = judge.recall_score(y.ravel(), (outputs > 0).ravel())
    assert METRICS["fnr"](outputs, y) == pytest.approx(1 - recall)
    outputs, y = scores(5, 3, 7), RNG(2).integers(-1, 3, (5, 7))  # -1: no label
    missed = [outputs[i, :, j].argmax() == 0 for i, j in zip(*np.nonzero(y > 0), strict=True)]
    assert METRICS["fnr"](outputs, y) == pytest.approx(np.mean(missed))
    assert METRICS["fnr"].goodness(0.1) > METRICS["fnr"].goodness(0.2)


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    outputs, y = scores(40, 1), (RNG(1).random((40, 1)) > 0.5).astype(np.float32)
    pairs = [
        (a > b) + 0.5 * (a == b)
        for a in outputs[y == 1] for b in outputs[y == 0]
    ]  # fmt: skip
    assert METRICS["auroc"](outputs, y) == pytest.approx(np.mean(pairs))


def test_a_label_nobody_has_is_left_out():
    outputs, y = scores(30, 3), (RNG(1).random((30, 3)) > 0.5).astype(np.float32)
    y[:, 2] = 0
    for name in ("auroc", "map"):
        assert METRICS[name](outputs, y) == METRICS[name](outputs[:, :2], y[:, :2])


def test_positions_without_a_label_do_not_count():
    outputs, y = scores(3, 2, 7), RNG(1).integers(-1, 2, (3, 7))
    right = [
        outputs[n, :, at].argmax() == y[n, at] for n in range(3) for at in range(7) if y[n, at] >= 0
    ]
    assert METRICS["accuracy"](outputs, y) == pytest.approx(np.mean(right))
    changed = outputs.copy()
    changed[:, :, :] = np.where(y[:, None] < 0, outputs[:, ::-1], outputs)
    assert METRICS["f1"](changed, y) == METRICS["f1"](outputs, y)


def test_numbers():
    outputs, y = scores(5, 2, 3), (10 * scores(5, 2, 3, seed=1)).astype(np.float32)
    errors = [o - t for o, t in zip(outputs.ravel(), y.ravel().tolist(), strict=True)]
    near = [abs(e) for e, t in zip(errors, y.ravel(), strict=True) if t < 8]
    wanted = {
        "mse": sum(e * e for e in errors) / 30,
        "rmse": math.sqrt(sum(e * e for e in errors) / 30),
        "mae": sum(map(abs, errors)) / 30,
        "mae8": sum(near) / len(near),
        "relative_l2": np.mean([np.linalg.norm(o - t) / np.linalg.norm(t)
                                for o, t in zip(outputs, y, strict=True)]),
    }  # fmt: skip
    assert 0 < len(near) < 30
    for name, value in wanted.items():
        assert METRICS[name](outputs, y) == pytest.approx(value, rel=1e-6)
        assert not METRICS[name].larger_is_better


@pytest.mark.parametrize(
    ("name", "y", "told"),
    [
        ("auroc", np.zeros(4, int), "samples of at least one class"),
        ("auroc", np.ones((4, 2), np.float32), "samples of at least one class"),
        ("map", np.zeros((4, 2), np.float32), "label that is 1"),
        ("accuracy", -np.ones(4, int), "needs a label"),
        ("mae8", np.full((4, 2), 9.0), "target below 8"),
        ("relative_l2", np.zeros((4, 2)), "all zeros"),
    ],
)
def test_no_value_is_said_in_a_sentence(name, y, told):
    with pytest.raises(BadData, match=rf"The metric {name} is no number on these 4.*{told}.*"):
        METRICS[name](scores(4, 2), y)


def test_a_network_gone_wrong_has_no_value_and_is_worst():
    value = METRICS["rmse"](np.array([[np.nan]]), np.ones((1, 1)))
    assert math.isnan(value)
    assert METRICS["rmse"].better(1e9, value)
    assert not METRICS["rmse"].better(value, 1e9)


def test_a_metric_of_ones_own_that_fails_is_told():
    broken = Metric(name="mine:metric", of=lambda o, y: 1 / 0)
    with pytest.raises(BadData, match=r"mine:metric fails.*ZeroDivisionError"):
        broken(scores(3, 1), np.ones((3, 1)))


def test_every_kind_has_a_loss_and_a_metric_that_fit_it():
    for kind, usual in KINDS.items():
        assert kind in LOSSES[usual.loss].kinds
        assert kind in METRICS[usual.metric].kinds
