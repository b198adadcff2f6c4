"""The final choice is made on data that neither network was fitted to."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dashzoo_search.selection import ENOUGH, Choosing, cross_validate
from dashzoo_search.tasks import Split
from dashzoo_search.tasks.task import classification_task
from dashzoo_search.training import Recipe, Score
from dashzoo_search.training.objective import ranked
from dashzoo_search.training.progress import quiet

RECIPE = Recipe(epochs=40, batch_size=8, lr=0.1)


def blobs(n, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = rng.standard_normal((n, 1, 3)) + 4 * y[:, None, None]
    return X.astype(np.float32), y


def task(n):
    return classification_task("blobs", train=blobs(n), test=blobs(8), seed=0, source="made up")


class Recording(nn.Module):
    """Learns, or always answers class 0; remembers every sample it was trained on."""

    def __init__(self, seen, *, learns):
        super().__init__()
        self.linear, self.seen, self.learns = nn.Linear(3, 2), seen, learns

    def forward(self, x):
        if self.training:
            self.seen.update(x[:, 0, 0].tolist())
        out = self.linear(x[:, 0])
        return out if self.learns else out * 0 + torch.tensor([1.0, 0.0])


def builds(seen):
    return {
        "searched": lambda rest: Recording(seen.setdefault("searched", set()), learns=False),
        "default": lambda rest: Recording(seen.setdefault("default", set()), learns=True),
    }


def select(data, candidates, scores, recipe, *, seed, on_epoch):
    """What training does with a choice, without the training."""
    choosing = Choosing(data, recipe, seed=seed, on_epoch=on_epoch)
    if not choosing.by_validation:
        choosing.cross_validate(candidates)
    choosing.note_validation(scores)
    return choosing.between("searched", "default")


def test_small_validation_splits_are_cross_validated_and_the_better_one_ships():
    data, progress = task(60), []
    done = select(
        data,
        builds({}),
        {"searched": Score(1.0, 0.0), "default": Score(0.0, 9.0)},  # not what decides here
        RECIPE,
        seed=0,
        on_epoch=progress.append,
    )
    assert (done.shipped, done.how, done.samples) == ("default", "3-fold cross-validation", 60)
    assert done.scores["default"].value > 0.8 > done.scores["searched"].value
    assert [p.epoch for p in progress] == list(range(1, progress[0].epochs + 1))
    assert data.test.reads == 0


def test_each_is_judged_on_half_of_what_it_is_trained_for(monkeypatch):
    from dashzoo_search import selection as room

    epochs, real = {}, room.fit

    def spy(net, fitted, judge, recipe, **more):
        epochs[net.learns] = recipe.epochs
        return real(net, fitted, judge, recipe, **more)

    monkeypatch.setattr(room, "fit", spy)
    recipes = {"default": replace(RECIPE, epochs=9)}
    choosing = Choosing(task(60), RECIPE, recipes=recipes, seed=0, on_epoch=quiet)
    choosing.cross_validate(builds({}))
    assert epochs == {False: max(1, RECIPE.epochs // 2), True: 4}


class Sure(nn.Module):
    """As sure of every label as it is told to be; wrong about some of them."""

    def __init__(self, strength, wrong):
        super().__init__()
        self.still, self.strength, self.wrong = nn.Parameter(torch.zeros(1)), strength, wrong

    def forward(self, x):
        right = torch.where(x[:, 0].mean(1) > 2, 1.0, -1.0)
        right = torch.where(x[:, 0, 1] > self.wrong, -right, right) * self.strength
        return torch.stack([-right, right], 1) + 0 * self.still


@pytest.mark.parametrize(
    ("strength", "wrong", "shipped"),
    [(0.5, 99, "searched"), (40.0, 5.0, "default"), (0.01, 99, "default")],
    ids=["better beyond noise", "more accurate, and at times very wrong", "no more than a hair"],
)
def test_few_samples_must_prefer_the_searched_kernels_beyond_noise(strength, wrong, shipped):
    candidates = {
        "searched": lambda rest: Sure(strength, wrong),
        "default": lambda rest: Sure(0.02, 4.8),
    }
    done = select(task(60), candidates, {}, RECIPE, seed=0, on_epoch=quiet)
    assert done.scores["searched"].value > done.scores["default"].value
    assert done.shipped == shipped
    assert (done.gain > done.error) == (shipped == "searched")


def test_large_validation_splits_decide_without_more_training():
    data = task(5 * ENOUGH)
    scores = {"searched": Score(0.9, 0.5), "default": Score(0.95, 0.1)}
    done = select(data, {}, scores, RECIPE, seed=0, on_epoch=quiet)
    assert (done.shipped, done.how, done.samples) == ("default", "validation", ENOUGH)


@pytest.mark.parametrize(("loss", "shipped"), [(0.1, "default"), (0.9, "searched")])
def test_of_equally_accurate_kernels_the_lower_loss_ships(loss, shipped):
    scores = {"searched": Score(0.9, 0.5), "default": Score(0.9, loss)}
    done = select(task(5 * ENOUGH), {}, scores, RECIPE, seed=0, on_epoch=quiet)
    assert done.shipped == shipped


def test_no_sample_is_judged_by_a_network_that_saw_it(monkeypatch):
    from dashzoo_search import selection as room

    X, y = blobs(31)
    pool = Split(X, y)
    judged = []
    real = room.split_outputs

    def spy(net, split):
        assert not net.seen & set(split.X[:, 0, 0].tolist())
        judged.extend(split.X[:, 0, 0].tolist())
        net.seen.clear()
        return real(net, split)

    monkeypatch.setattr(room, "split_outputs", spy)
    cross_validate(pool, builds({}), RECIPE, seed=0, on_epoch=quiet)
    assert sorted(judged) == sorted(2 * X[:, 0, 0].tolist())


@pytest.mark.parametrize("scores", [{"searched": Score(0.2, 1), "default": Score(0.1, 1)}])
def test_the_decision_is_told_as_json(scores):
    told = select(task(5 * ENOUGH), {}, scores, RECIPE, seed=0, on_epoch=quiet).to_json()
    assert told["scores"]["searched"] == {"metric": "accuracy", "value": 0.2, "loss": 1}
    assert told["proposal"] == "searched"
    assert told["proposals"] == {"searched": {"metric": "accuracy", "value": 0.2, "loss": 1}}


def test_the_best_proposal_is_set_against_the_default_kernels():
    choosing = Choosing(task(5 * ENOUGH), RECIPE, seed=0, on_epoch=quiet)
    scores = {"searched": Score(0.8, 1), "uniform": Score(0.95, 1), "default": Score(0.9, 1)}
    choosing.note_validation(scores)
    assert choosing.best_of(["searched", "uniform"]) == "uniform"
    done = choosing.between("uniform", "default")
    assert (done.shipped, done.proposal) == ("searched", "uniform")
    assert done.scores["searched"].value == 0.95
    assert set(done.proposals) == {"searched", "uniform"}


def test_what_proposals_scored_when_they_were_tried_is_told():
    choosing = Choosing(task(5 * ENOUGH), RECIPE, seed=0, on_epoch=quiet)
    scores = {"searched": Score(0.8, 1), "scouted": Score(0.8, 0.5), "uniform": Score(0.7, 0.1)}
    assert list(ranked(scores)) == ["scouted", "searched", "uniform"]
    choosing.note_trials(scores)
    choosing.note_validation({"scouted": Score(0.95, 1), "default": Score(0.9, 1)})
    done = choosing.between("scouted", "default")
    assert done.proposals == scores
    assert done.scores["searched"].value == 0.95


def test_what_comes_first_is_left_for_what_is_clearly_better():
    choosing = Choosing(task(60), RECIPE, seed=0, on_epoch=quiet)
    noise = np.linspace(-1, 1, 60)
    choosing._scores = {"searched": Score(0.8, 1.0), "uniform": Score(0.9, 0.9)}
    choosing._losses = {"searched": np.ones(60), "uniform": 0.9 + 2 * noise}
    assert choosing.best_of(["searched", "uniform"]) == "searched"
    choosing._losses["uniform"] = 0.9 + noise / 10
    assert choosing.best_of(["searched", "uniform"]) == "uniform"
    assert choosing.best_of(["uniform", "searched"]) == "uniform"


def test_a_search_that_kept_everything_leaves_nothing_to_choose():
    choosing = Choosing(task(60), RECIPE, seed=0, on_epoch=quiet)
    choosing.note_validation({"default": Score(0.9, 1)})
    done = choosing.kept()
    assert (done.shipped, done.how) == ("default", "the search itself")
    assert done.scores["searched"] == done.scores["default"]
