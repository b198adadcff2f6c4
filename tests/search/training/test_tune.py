"""Tuning: the first trial is the recipe itself, the seed decides, a killed study goes on."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from dashzoo_search.errors import BadData, MissingRuntime, TrainingFailed
from dashzoo_search.tasks.task import classification_task
from dashzoo_search.training import Recipe
from dashzoo_search.training.progress import quiet
from dashzoo_search.training.tune import Setting, tune

pytest.importorskip("optuna")

# Far too slow a rate: what tunes it at all does better.
RECIPE = Recipe(epochs=2, batch_size=16, lr=1e-3)


def blobs(n, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = rng.standard_normal((n, 1, 3)) + 1.5 * y[:, None, None]
    return X.astype(np.float32), y


def task(n=60):
    return classification_task("blobs", train=blobs(n), test=blobs(8), seed=0, source="made up")


class Net(nn.Module):
    def __init__(self, drop_rate):
        super().__init__()
        self.drop, self.linear = nn.Dropout(drop_rate or 0.0), nn.Linear(3, 2)

    def forward(self, x):
        return self.linear(self.drop(x[:, 0]))


class Builds:
    """Remembers the settings it was asked for."""

    def __init__(self, fails=()):
        self.seen, self.fails = [], fails

    def __call__(self, setting):
        self.seen.append(setting)
        if len(self.seen) in self.fails:
            raise KeyboardInterrupt
        return lambda rest: Net(setting.drop_rate)


def tuned(path, builds, *, data=None, trials=6, seed=0, drop_rate=0.1, **more):
    return tune(
        data or task(), builds, RECIPE, name="searched", trials=trials, seed=seed,
        storage=f"sqlite:///{path}", drop_rate=drop_rate, **{"on_epoch": quiet, **more},
    )  # fmt: skip


def test_the_first_trial_is_the_recipe_and_the_best_is_no_worse(tmp_path):
    builds, told = Builds(), []
    data = task()
    found = tuned(tmp_path / "db", builds, data=data, trials=12, on_epoch=told.append)
    assert builds.seen[0] == Setting(lr=1e-3, weight_decay=1e-2, momentum=0.9, drop_rate=0.1)
    assert len(set(builds.seen)) == len(builds.seen) == found.trials == 12
    assert found.setting == builds.seen[found.best_trial]
    assert found.setting.lr > 2e-3
    assert [p.epoch for p in told] == list(range(1, 13))
    values = [p.loss for p in told]
    assert values == sorted(values, reverse=True)
    assert found.value == values[-1] < values[0]
    assert data.test.reads == 0


def test_losers_are_stopped_early(tmp_path):
    assert tuned(tmp_path / "db", Builds(), data=task(600), trials=14).stopped > 0


def test_a_killed_study_goes_on_to_the_same_winner(tmp_path):
    whole = Builds()
    wanted = tuned(tmp_path / "whole", whole)
    for killed in (5,):
        path, builds = tmp_path / f"db{killed}", Builds(fails={killed})
        with pytest.raises(KeyboardInterrupt):
            tuned(path, builds)
        assert tuned(path, builds) == wanted
        assert builds.seen[:killed] + builds.seen[killed + 1 :] == whole.seen
    done = Builds()
    assert tuned(tmp_path / "whole", done) == wanted  # nothing left to do
    assert done.seen == []
    assert tuned(tmp_path / "other", Builds(), seed=1) != wanted


def test_several_workers_share_the_trials(tmp_path):
    """One that is at work counts, and is left alone."""
    import optuna

    url = f"sqlite:///{tmp_path / 'db'}"
    optuna.create_study(storage=url, study_name="searched").ask()
    builds = Builds()
    assert tuned(tmp_path / "db", builds, trials=4, shared=True).trials == 3
    study = optuna.load_study(storage=url, study_name="searched")
    assert [t.state.name for t in study.trials].count("RUNNING") == 1


def test_without_dropout_none_is_proposed(tmp_path):
    builds = Builds()
    tuned(tmp_path / "db", builds, trials=3, drop_rate=None)
    assert {setting.drop_rate for setting in builds.seen} == {None}
    assert builds.seen[1].arguments({"width": 3}) == {"width": 3}
    assert Setting(lr=1, weight_decay=0, momentum=0, drop_rate=0.2).arguments({}) == {
        "drop_rate": 0.2
    }


def test_a_trial_that_diverges_only_loses(tmp_path):
    class Broken(Net):
        def forward(self, x):
            return super().forward(x) * float("nan")

    def build(setting):
        return lambda rest: Broken(0.0) if setting.lr != 1e-3 else Net(0.0)

    found = tuned(tmp_path / "db", build, trials=3)
    assert (found.best_trial, found.failed, found.stopped) == (0, 2, 2)
    with pytest.raises(TrainingFailed, match="searched"):
        tuned(tmp_path / "none", lambda setting: lambda rest: Broken(0.0), trials=2)


def test_faults_are_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(BadData, match="cannot be opened"):
        tuned(tmp_path / "no" / "folder" / "db", Builds())
    with pytest.raises(BadData, match="trials must be at least 1"):
        tuned(tmp_path / "db", Builds(), trials=0)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingRuntime, match=r"pip install 'dashzoo\[tune\]'"):
        tuned(tmp_path / "db", Builds())


def test_momentum_reaches_the_optimiser_and_the_usual_one_is_torchs():
    from dashzoo_search.training.steps import weight_optimizer

    weights = [nn.Parameter(torch.ones(2, 2))]
    for momentum in (0.9, 0.7):
        recipe = Recipe(epochs=1, batch_size=1, momentum=momentum)
        optimizer, _ = weight_optimizer(weights, recipe, 3)
        assert optimizer.param_groups[0]["betas"] == (momentum, 0.999)
    with pytest.raises(BadData, match="momentum"):
        Recipe(epochs=1, batch_size=1, momentum=1.0)
