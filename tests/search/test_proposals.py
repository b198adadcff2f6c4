"""Of what a search proposes the best is trained in full, and set against the default kernels."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import dashzoo_search.selection as selection_module
from dashzoo_search.candidates import Trainer
from dashzoo_search.networks.convs import conv_layers
from dashzoo_search.pipeline import run_training
from dashzoo_search.plan import Network, build_network
from dashzoo_search.selection import Choosing, Judged
from dashzoo_search.spec import Choice, KernelSpec
from dashzoo_search.tasks.load import load_file
from dashzoo_search.training.metrics import Score
from dashzoo_search.training.recipe import Recipe

NETWORK = Network(backbone="wrn1d", args={"width": 2})
RECIPE = Recipe(epochs=2, batch_size=16)
CPU = torch.device("cpu")


@pytest.fixture
def task(sequence_file):
    return load_file(sequence_file, seed=0)


def other_than(spec):
    """Kernels the search would not end with: nothing here is learnt in its few epochs."""
    return KernelSpec(dims=1, layers=dict.fromkeys(spec.layers, Choice.cube(5, 1, dims=1)))


def uniform(spec):
    return KernelSpec(dims=1, layers=dict.fromkeys(spec.layers, Choice.cube(3, 1, dims=1)))


def own_kernels(task):
    net = build_network(NETWORK, task)
    layers = conv_layers(net.backbone, torch.zeros(2, task.channels, 1, *task.size), dims=1)
    return KernelSpec(dims=1, layers={each.name: each.choice for each in layers if not each.reason})


def test_a_search_that_kept_every_kernel_trains_one_network(task):
    stages = set()
    done = run_training(
        task, NETWORK, RECIPE, spec=own_kernels(task), supernet=None,
        baseline_epochs=2, seed=0, device=CPU, on_epoch=lambda p: stages.add(p.stage),
    )  # fmt: skip
    assert stages == {"default kernels, judged", "default kernels"}
    assert (done.shipped, done.selection.how) == ("default", "the search itself")
    assert done.metrics["searched"] == done.metrics["default"]


@pytest.mark.parametrize("clearly", [False, True])
@pytest.mark.parametrize("few", [False, True])
def test_one_kernel_for_all_replaces_kept_kernels_only_if_clearly_better(
    task, monkeypatch, clearly, few
):
    """A search that kept the backbone's kernels is not said to have found others."""
    monkeypatch.setattr(selection_module, "ENOUGH", len(task.val) + few)
    own = own_kernels(task)
    better = Score(0.9, 0.1) if clearly else Score(0.1, 0.9)
    losses = np.linspace(0, 0.1, 60)

    def judge(pool, builds, *rest, **more):
        scores = {"default": Score(0.5, 0.5), "uniform": better}
        return {n: Judged(score=scores[n], losses=scores[n].loss + losses) for n in builds}

    monkeypatch.setattr(selection_module, "cross_validate", judge)
    note = Choosing.note_validation
    told = {"default": Score(0.5, 0.5), "uniform": better}
    monkeypatch.setattr(Choosing, "note_validation", lambda self, _: note(self, told))
    done = run_training(
        task, NETWORK, RECIPE, spec=own, others={"uniform": uniform(own)}, supernet=None,
        baseline_epochs=2, seed=0, device=CPU,
    )  # fmt: skip
    kernels = {tuple(row["kernel"]) for row in done.layers}
    if clearly:
        assert (done.shipped, done.selection.proposal) == ("searched", "uniform")
        assert kernels == {(3,)}
    else:
        assert (done.shipped, done.selection.how) == ("default", "the search itself")
        assert done.metrics["searched"] == done.metrics["default"]
        assert done.selection.proposals["uniform"] == better
        assert done.selection.samples == len(task.val) + (len(task.train) if few else 0)
        assert len(kernels) > 1


def test_where_validation_decides_only_the_best_proposal_is_trained_in_full(task, monkeypatch):
    monkeypatch.setattr(selection_module, "ENOUGH", 1)
    monkeypatch.setattr("dashzoo_search.candidates.ENOUGH", 1)
    own = own_kernels(task)
    specs = {"searched": other_than(own), "scouted": uniform(own)}
    trials = {"scouted": Score(0.6, 0.7), "searched": Score(0.4, 0.9)}
    asked, stages = [], {}

    def try_out(self, candidates, start, epochs):
        asked.append((dict(candidates), start, epochs))
        return trials

    monkeypatch.setattr(Trainer, "try_out", try_out)
    done = run_training(
        task, NETWORK, replace(RECIPE, epochs=8), spec=specs["searched"],
        others={"scouted": specs["scouted"]}, supernet=None, baseline_epochs=1, seed=0, device=CPU,
        on_epoch=lambda p: stages.update({p.stage: p.epochs}),
    )  # fmt: skip
    assert asked == [(specs, "scratch", 2)]
    assert stages == {"scouted kernels": 8, "default kernels": 1}
    assert done.selection.proposal == "scouted"
    assert done.selection.proposals == trials
    assert {tuple(row["kernel"]) for row in done.layers} == {(3,)}


def test_a_trial_is_a_short_training_on_train_alone(task):
    told = []
    trainer = Trainer(
        task, NETWORK, RECIPE, supernet=None, settings={}, seed=0, device=CPU, on_epoch=told.append
    )
    own = own_kernels(task)
    scores = trainer.try_out({"searched": own, "uniform": uniform(own)}, "scratch", 3)
    alone = trainer.train("uniform", uniform(own), {"scratch": 3}, final=False)
    assert scores["uniform"] == alone.fit.val
    seen = [(progress.stage, progress.epoch, progress.epochs) for progress in told[:6]]
    assert seen == [("proposals tried", epoch, 6) for epoch in range(1, 7)]
    assert not any(progress.single for progress in told[:6])


def test_of_many_proposals_two_are_tried_for_longer(task, monkeypatch):
    values, ran = {"a": 0.7, "b": 0.9, "c": 0.9, "d": 0.8}, []

    def train(self, name, kernels, start, epochs, stage, final):
        ran.append((name, epochs, start, final))
        value = values[name] - (0.5 if (name, epochs) == ("b", 8) else 0)
        return None, SimpleNamespace(val=Score(value, 1.0))

    monkeypatch.setattr(Trainer, "_train", train)
    trainer = Trainer(
        task, NETWORK, RECIPE, supernet=None, settings={}, seed=0, device=CPU, on_epoch=None
    )
    tried = trainer.try_out(dict.fromkeys(values, own_kernels(task)), "scratch", 8)
    assert ran == [
        (name, epochs, "scratch", False)
        for name, epochs in [("a", 2), ("b", 2), ("c", 2), ("d", 2), ("b", 8), ("c", 8)]
    ]
    assert list(tried) == ["c", "b"]


def test_dilations_in_order_of_depth_are_not_asked_of_few_samples(task, monkeypatch):
    own = own_kernels(task)
    asked = []

    def judge(pool, builds, *rest, **more):
        asked.extend(builds)
        return {n: Judged(score=Score(0.5, 0.5), losses=np.ones(60)) for n in builds}

    monkeypatch.setattr(selection_module, "cross_validate", judge)
    run_training(
        task, NETWORK, RECIPE, spec=own, supernet=None, baseline_epochs=2, seed=0, device=CPU,
        others={"growing": other_than(own), "uniform": uniform(own)},
    )  # fmt: skip
    assert asked == ["uniform", "default"]
