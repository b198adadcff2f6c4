"""Who reads which split: validation is never trained on, test is opened once, at the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import dashzoo_search.candidates as candidates_module
import dashzoo_search.methods.mixture as mixture_module
import dashzoo_search.methods.paths as paths_module
import dashzoo_search.methods.scout as scout_module
import dashzoo_search.training.loop as loop_module
from dashzoo_search.methods.judge import Judge
from dashzoo_search.pipeline import run_search, run_training
from dashzoo_search.plan import Network, build_network
from dashzoo_search.search import SearchOptions
from dashzoo_search.spec import Choice, KernelSpec, SearchSpace
from dashzoo_search.tasks import SealedSplit, Split
from dashzoo_search.tasks.load import load_file
from dashzoo_search.tasks.task import classification_task
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.steps import Batches

NETWORK = Network(backbone="wrn1d", args={"width": 2})
SPACE = SearchSpace(kernels=(3, 5), dilations=(1,))
RECIPE = Recipe(epochs=2, batch_size=16)
CPU = torch.device("cpu")


@pytest.fixture
def task(sequence_file):
    return load_file(sequence_file, seed=0)


def rows(X) -> set[bytes]:
    return {x.tobytes() for x in X}


def test_a_sealed_split_counts():
    split = Split(np.zeros((2, 1, 3), np.float32), np.zeros(2, np.int64))
    sealed = SealedSplit(split)
    assert (len(sealed), sealed.reads) == (2, 0)
    assert sealed.open() is split
    sealed.open()
    assert sealed.reads == 2


def other_than(spec):
    """Kernels the search would not end with: nothing here is learnt in its few epochs."""
    return KernelSpec(dims=1, layers=dict.fromkeys(spec.layers, Choice.cube(5, 1, dims=1)))


def uniform(spec):
    return KernelSpec(dims=1, layers=dict.fromkeys(spec.layers, Choice.cube(3, 1, dims=1)))


@pytest.mark.parametrize("baseline_epochs", [None, 2])
def test_test_is_read_once_after_all_training(task, baseline_epochs):
    reads = []

    def watch(progress):
        reads.append((progress.stage, task.test.reads))

    options = SearchOptions(recipe=RECIPE)
    _, result = run_search(task, NETWORK, SPACE, options, seed=0, device=CPU, on_epoch=watch)
    assert task.test.reads == 0
    done = run_training(
        task, NETWORK, RECIPE, spec=other_than(result.spec), supernet=None,
        others={"uniform": uniform(result.spec)}, baseline_epochs=baseline_epochs, seed=0,
        device=CPU, on_epoch=watch,
    )  # fmt: skip
    assert {count for _, count in reads} == {0}
    searched = {"scout", "scout's rival", "search"}
    stages = {stage for stage, _ in reads} - {"uniform kernels"}
    if baseline_epochs:
        assert searched | {"default kernels", "final choice"} <= stages
    else:
        assert stages == searched | {"train, judged", "train"}
    assert task.test.reads == done.test_reads == 1
    assert set(done.metrics) == {"searched"} | ({"default"} if baseline_epochs else set())
    # What the record says of single classes is of the same reading.
    of, right = done.breakdown["of"], done.breakdown["right"]
    assert sum(of) == len(task.test)
    assert sum(right) / sum(of) == pytest.approx(done.metrics[done.shipped]["test"]["value"])


@pytest.mark.parametrize("method", ["paths", "mixture"])
def test_only_train_is_learnt_from(task, monkeypatch, method):
    stepped, scored = set(), set()

    class Recorded(Batches):
        def __init__(self, split, *args, **kwargs):
            stepped.update(rows(split.X))
            super().__init__(split, *args, **kwargs)

    def recorded(network, split, *rest, **kwargs):
        scored.update(rows(split.X))
        return original(network, split, *rest, **kwargs)

    class Heard(Judge):
        def __init__(self, network, split, *rest):
            stepped.update(rows(split.X))
            super().__init__(network, split, *rest)

    original = loop_module.evaluate
    for module in (mixture_module, paths_module, loop_module):
        monkeypatch.setattr(module, "Batches", Recorded)
    for module in (paths_module, scout_module):
        monkeypatch.setattr(module, "Judge", Heard)
    monkeypatch.setattr(scout_module, "Batches", Recorded)
    monkeypatch.setattr(loop_module, "evaluate", recorded)
    monkeypatch.setattr(candidates_module, "ENOUGH", 1)
    _, result = run_search(
        task, NETWORK, SPACE, SearchOptions.of(RECIPE, method), seed=0, device=CPU
    )
    assert stepped == rows(task.train.X)
    spec = other_than(result.spec)
    run_training(
        task, NETWORK, RECIPE, spec=spec, supernet=None, baseline_epochs=1,
        ship="searched", seed=0, device=CPU,
    )  # fmt: skip
    assert stepped == rows(task.train.X)
    assert scored == rows(task.val.X)
    assert not stepped & scored
    # Where validation is small the network is fitted to it in the end, and so are those that the
    # final choice throws away; to test never.
    monkeypatch.setattr(candidates_module, "ENOUGH", len(task.val) + 1)
    run_training(
        task,
        NETWORK,
        RECIPE,
        spec=spec,
        supernet=None,
        baseline_epochs=1,
        seed=0,
        device=CPU,
    )
    test = rows(task.test.open().X)
    assert stepped == rows(task.train.X) | rows(task.val.X)
    assert not test & (stepped | scored)


def test_normalisation_is_fitted_on_train(task):
    net = build_network(NETWORK, task)
    mean, std = task.train.X.mean((0, 2)), task.train.X.std((0, 2))
    np.testing.assert_allclose(net.preprocess.mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(net.preprocess.std.numpy(), std, rtol=1e-5)


def test_normalisation_does_not_mind_the_unit(task):
    """Teslas of a magnetometer are about 1e-13; a run on them learnt nothing."""
    tesla = replace(task, train=Split(task.train.X * 1e-13, task.train.y))
    net = build_network(NETWORK, tesla)
    with torch.inference_mode():
        spread = net.preprocess(torch.from_numpy(tesla.train.X)).std()
    assert spread.item() == pytest.approx(1, rel=0.01)


def make(X, y, seed=0, **more):
    return classification_task(
        "t", train=(X, y), test=(X[:4], y[:4]), seed=seed, source="here", **more
    )


class TestDigest:
    X = np.arange(48.0).reshape(12, 1, 4)
    y = np.arange(12) % 2

    def test_of_the_data_and_not_of_the_seed(self):
        assert make(self.X, self.y).sha256 == make(self.X, self.y, seed=5).sha256

    def test_sees_every_change(self):
        digests = {make(self.X, self.y).sha256}
        digests.add(make(self.X + 1e-3, self.y).sha256)
        digests.add(make(self.X, 1 - self.y).sha256)
        digests.add(make(self.X, np.array(["a", "b"])[self.y]).sha256)
        digests.add(make(self.X, np.array(["a", "ab"])[self.y]).sha256)
        digests.add(make(self.X.reshape(12, 2, 2), self.y).sha256)
        digests.add(make(self.X, self.y, val=(self.X, self.y)).sha256)
        assert len(digests) == 7


def test_told(task):
    told = task.describe()
    assert told["counts"] == {"train": 30, "val": 6, "test": 12}
    assert (told["dims"], told["channels"], told["size"]) == (1, 2, [30])
    assert told["classes"] == ["fast", "middle", "slow"]
