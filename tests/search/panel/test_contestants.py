"""Contestants: equal is equal, each tells its kernels and cost, and reads test once."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from dashzoo_search.errors import BadData, MissingRuntime, UnknownContestant
from dashzoo_search.panel import halving, rocket
from dashzoo_search.panel.contestants import CONTESTANTS, pick_contestants
from dashzoo_search.panel.round import Round, Ticks
from dashzoo_search.panel.row import Row
from dashzoo_search.spec import SearchSpace
from dashzoo_search.tasks.task import classification_task, make_task


def test_contestants_are_picked_by_name_in_our_order():
    assert pick_contestants(None) == tuple(one for one in CONTESTANTS if one.name != "xd")
    assert [one.name for one in pick_contestants(["xd"])] == ["xd"]
    assert [one.name for one in pick_contestants(["dash", "ours"])] == ["ours", "dash"]
    with pytest.raises(UnknownContestant, match="uniform"):
        pick_contestants(["uniformm"])


def test_equal_epochs(rounds, make_round):
    total = rounds(0)
    assert (total.search_epochs, total.total_epochs) == (3, 5)
    assert [total.left(), total.left(2), total.left(99)] == [5, 3, 1]
    training = make_round(total.task, equal="training")
    assert [training.left(), training.left(2)] == [1, 1]
    with pytest.raises(BadData, match="equal must be"):
        make_round(total.task, equal="none")
    with pytest.raises(BadData, match="draws"):
        make_round(total.task, draws=0)


def run(round_, name):
    reads = round_.task.test.reads
    rows = {row.contestant: row for row in pick_contestants([name])[0].run(round_)}
    assert round_.task.test.reads - reads == 1
    return rows


@pytest.mark.parametrize("seed", [0, 1])  # with 0 the search keeps the backbone's own kernels
def test_the_pipelines_default_is_the_default_and_everything_is_counted(rounds, seed):
    round_ = rounds(seed)
    ours, alone = run(round_, "ours"), run(round_, "default")["default"]
    default = ours["default"]
    assert (default.val, default.test, default.spec) == (alone.val, alone.test, alone.spec)
    judged = round_.total_epochs // 2
    assert default.train.epochs == alone.train.epochs == round_.total_epochs + judged
    assert ours["ours"].search.epochs == ours["shipped"].search.epochs == 3
    assert ours["shipped"].total.epochs >= ours["ours"].total.epochs >= round_.total_epochs
    assert ours["shipped"].test in (default.test, ours["ours"].test)
    for row in ours.values():
        assert Row.from_json(json.loads(json.dumps(row.to_json()))).to_json() == row.to_json()


def test_the_rivals_take_equal_epochs_and_tell_their_kernels(rounds):
    round_ = rounds(0)
    uniform = run(round_, "uniform")["uniform"]
    assert len(set(uniform.spec.layers.values())) == 1
    assert uniform.details["choice"] in ("k3 d1", "k5 d1")
    dash = run(round_, "dash")["dash"]
    assert (dash.search.epochs, dash.details["options"]["rule"]) == (1, "argmax")
    assert dash.details["options"]["alpha_on"] == "train"
    random = run(round_, "random")
    draws = random["random"].details["draws"]
    assert len(draws) == 2
    assert draws[0]["spec"] != draws[1]["spec"]
    mean = np.mean([draw["test"]["value"] for draw in draws])
    assert random["random"].test["value"] == pytest.approx(mean)
    best = draws[random["random-best"].details["draw"]]
    assert random["random-best"].test == best["test"]
    assert best["val"]["value"] == max(draw["val"]["value"] for draw in draws)
    assert random["random-best"].total.epochs == 2 * random["random"].total.epochs
    for row in (uniform, dash, random["random"]):
        judged = (round_.total_epochs - row.search.epochs) // 2  # validation has few samples
        assert row.total.epochs == round_.total_epochs + judged


def test_halving_keeps_the_best_and_trains_them_longer(rounds, make_round, monkeypatch):
    round_ = make_round(rounds(0).task, space=SearchSpace(kernels=(3, 5, 7, 9), dilations=(1,)))
    specs = halving.uniform_specs(round_.choices(), 1)
    assert list(specs) == ["k3 d1", "k5 d1", "k7 d1", "k9 d1"]
    plan = halving.rungs(4, 30)
    assert plan == [(4, 3), (2, 9)]
    wanted = {"k3 d1": 0.2, "k5 d1": 0.4, "k7 d1": 0.9, "k9 d1": 0.5}
    trained = []

    class Pretending:
        def train(self, name, spec, epochs, *, final):
            assert not final
            choice = next(key for key, value in specs.items() if value == spec)
            trained.append((choice, epochs["scratch"]))
            # The last rung sees what the first could not.
            value = wanted[choice] if epochs["scratch"] == 3 else 1 - wanted[choice]
            score = type(round_.objective.score(torch.zeros(1, 3), torch.zeros(1).long()))
            fit = type("Fit", (), {"val": score(value, 1.0)})
            return type("Trained", (), {"fit": fit})

    monkeypatch.setattr(Round, "trainer", lambda self, **_: Pretending())
    best, history = halving.halve(round_, specs, Ticks(round_.on_epoch), plan)
    assert trained == [*((name, 3) for name in specs), ("k7 d1", 9), ("k9 d1", 9)]
    assert best == "k9 d1"
    assert [rung["epochs"] for rung in history] == [3, 9]


@pytest.mark.parametrize("epochs", [1, 7, 40, 450])
@pytest.mark.parametrize("candidates", [1, 2, 4, 9, 20, 49])
def test_rungs_keep_to_the_budget_where_it_has_room_for_one(candidates, epochs):
    plan = halving.rungs(candidates, epochs)
    assert sum(count * each for count, each in plan) <= max(epochs, candidates)
    assert [count for count, _ in plan][:1] == ([candidates] if candidates > 1 else [])


@pytest.mark.parametrize("enough", [1, 100])
def test_rocket_is_fitted_to_what_the_networks_are(rounds, monkeypatch, enough):
    class Oracle:
        def fit(self, X, y):
            self.seen = len(y)
            return self

        def predict(self, X):
            return np.zeros(len(X))

    made = []
    monkeypatch.setattr(rocket, "_classifier", lambda seed: made.append(Oracle()) or made[-1])
    monkeypatch.setattr(rocket, "ENOUGH", enough)
    round_ = rounds(0)
    row = run(round_, "rocket")["rocket"]
    train, val = len(round_.task.train), len(round_.task.val)
    assert made[-1].seen == (train if enough == 1 else train + val)
    assert row.val["value"] == float((round_.task.val.y == 0).mean())
    share = float((round_.task.test.open().y == 0).mean())
    assert (row.test["value"], row.test["loss"], row.parameters) == (share, None, None)


def test_rocket_without_aeon_is_one_sentence(rounds, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "aeon.classification.convolution_based", None)
    with pytest.raises(MissingRuntime, match="aeon is not installed"):
        rocket.rocket(rounds(0))


def test_an_fno_is_for_fields_and_rocket_for_sequences(rounds):
    fno, series = pick_contestants(["fno", "rocket"])[::-1]
    task = rounds(0).task
    assert "fields" in fno.objection(task)
    assert series.objection(task) is None
    X = np.zeros((8, 1, 6, 6), np.float32)
    images = classification_task(
        "i", train=(X, np.arange(8) % 2), test=(X, np.arange(8) % 2), seed=0, source="made up"
    )
    assert "sequences" in series.objection(images)


def test_an_fno_maps_fields(make_round):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 1, 12)).astype(np.float32)
    y = X.cumsum(-1)
    task = make_task(
        "sums", kind="dense_regression", train=(X[:14], y[:14]), test=(X[14:], y[14:]), seed=0,
        source="made up",
    )  # fmt: skip
    row = run(make_round(task), "fno")["fno"]
    assert row.details == {"backbone": "fno1d"}
    assert row.spec is None
    assert row.macs > 0
