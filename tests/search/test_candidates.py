"""Two starts: validation chooses, both are told, and each is what it would be alone."""

from __future__ import annotations

import pytest
import torch

import dashzoo_search.candidates as room
from dashzoo_search.errors import BadBundle, BadData
from dashzoo_search.networks.convs import conv_layers
from dashzoo_search.pipeline import run_training
from dashzoo_search.plan import Network, build_network
from dashzoo_search.spec import Choice, KernelSpec, SearchSpace
from dashzoo_search.supernet import build_supernet
from dashzoo_search.tasks import load_task
from dashzoo_search.training.loop import FitResult
from dashzoo_search.training.metrics import Score
from dashzoo_search.training.recipe import Recipe

NETWORK = Network(backbone="wrn1d", args={"width": 2})
RECIPE = Recipe(epochs=3, batch_size=16)


@pytest.fixture
def task(sequence_file):
    return load_task(str(sequence_file), seed=0)


class Seen(list):
    """Trainings; beside them how many samples each was fitted to, and which epoch was kept."""


@pytest.fixture
def fits(monkeypatch):
    """Trainings that only note their stage, epochs and weights; what they score is set here."""
    seen, scores, kept = Seen(), {}, []
    seen.kept = kept

    def fit(network, train, val, recipe, *, stage, keep, **_):
        kept.append((len(train), keep))
        weights = {name: value.clone() for name, value in network.state_dict().items()}
        seen.append((stage, recipe.epochs, weights))
        val = scores.get(stage, Score(0.5, 1.0))
        return FitResult(
            val=val, best_epoch=1, epochs=recipe.epochs, seconds=1, cpu_seconds=1, skipped_steps=0
        )

    monkeypatch.setattr(room, "fit", fit)
    monkeypatch.setattr(room, "ENOUGH", 1)
    return seen, scores


def supernet(task):
    torch.manual_seed(7)
    space = SearchSpace(kernels=(3, 5, 9), dilations=(1,))
    return build_supernet(build_network(NETWORK, task), space, task.size, kind="paths")


def five(net):
    return KernelSpec(dims=1, layers=dict.fromkeys(net.layers, Choice.cube(5, 1, dims=1)))


def own(task):
    net = build_network(NETWORK, task)
    planes = torch.zeros(2, task.channels, 1, *task.size)
    layers = conv_layers(net.backbone, planes, dims=1)
    return KernelSpec(dims=1, layers={each.name: each.choice for each in layers if not each.reason})


def train(task, net, spec, **options):
    how = {"baseline_epochs": 8, "seed": 0, "device": torch.device("cpu"), "ship": "searched"}
    return run_training(task, NETWORK, RECIPE, spec=spec, supernet=net, **{**how, **options})


@pytest.mark.parametrize(
    ("scratch", "kept"),
    [(Score(0.6, 9.0), "scratch"), (Score(0.4, 0.1), "searched"), (Score(0.5, 1.0), "searched")],
)
def test_validation_chooses_the_start_and_both_are_told(task, fits, scratch, kept):
    seen, scores = fits
    scores["train, scratch"] = scratch
    net = supernet(task)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    done = train(task, net, five(net), init="both")
    assert [(stage, epochs) for stage, epochs, _ in seen] == [
        ("train, searched", 3), ("train, scratch", 3), ("default kernels", 8),
    ]  # fmt: skip
    told = done.metrics["searched"]
    assert told["init"] == kept
    assert list(told["inits"]) == ["searched", "scratch"]
    assert told["inits"]["scratch"]["val"] == scratch.to_json()
    for key in ("val", "test", "epochs", "seconds"):
        assert told[key] == told["inits"][kept][key]
    assert told["inits"]["searched"]["test"] != told["inits"]["scratch"]["test"]
    assert "inits" not in done.metrics["default"]
    assert done.metrics["default"]["init"] == "scratch"
    assert task.test.reads == done.test_reads == 1
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_one_start_is_that_one_of_both(task, fits):
    seen, _ = fits
    net = supernet(task)
    for init in ("both", "searched", "scratch"):
        train(task, net, five(net), init=init, baseline_epochs=None)
    (_, _, kept), (_, _, fresh), (_, _, only_kept), (_, _, only_fresh) = seen
    name = "backbone.blocks.0.conv1.weight"
    for weights, same, other in ((only_kept, kept, fresh), (only_fresh, fresh, kept)):
        assert torch.equal(weights[name], same[name])
        assert not torch.equal(weights[name], other[name])
    index = net.choices("blocks.0.conv1").index(Choice.cube(5, 1, dims=1))
    assert torch.equal(kept[name], net.layers["blocks.0.conv1"].choice_weight(index))


@pytest.mark.parametrize("init", ["searched", "scratch", "both"])
def test_kernels_that_were_kept_are_the_default_ones_from_scratch(task, fits, init):
    seen, _ = fits
    done = train(task, supernet(task), own(task), init=init, ship="best")
    assert [(stage, epochs) for stage, epochs, _ in seen] == [("default kernels", 8)]
    assert done.metrics["searched"] == done.metrics["default"]
    assert done.metrics["default"]["init"] == "scratch"


@pytest.mark.parametrize("init", ["searched", "both"])
def test_without_a_supernet(task, fits, init):
    with pytest.raises(BadBundle, match=r"supernet is missing.*--init scratch"):
        train(task, None, own(task), init=init)
    assert fits[0] == []
    with pytest.raises(BadData, match="luck"):
        train(task, None, own(task), init="luck")


def test_where_validation_is_small_it_picks_no_epoch_and_is_fitted_too(task, fits, monkeypatch):
    seen, scores = fits
    net = supernet(task)
    train(task, net, five(net))
    assert set(seen.kept) == {(len(task.train), "best")}
    del seen[:], seen.kept[:]
    monkeypatch.setattr(room, "ENOUGH", len(task.val) + 1)
    scores |= {"train, judged": Score(0.7, 0.1), "train": Score(1.0, 0.0)}
    told = train(task, net, five(net)).metrics
    assert [(stage, epochs) for stage, epochs, _ in seen] == [
        ("train, judged", 1), ("train", 3),
        ("default kernels, judged", 4), ("default kernels", 8),
    ]  # fmt: skip
    some, all_ = len(task.train), len(task.train) + len(task.val)
    assert seen.kept == 2 * [(some, "last"), (all_, "last")]
    searched = told["searched"]
    assert searched["val"]["value"] == 0.7  # of the network that never saw it
    assert (searched["epochs"], searched["judged_epochs"], searched["seconds"]) == (3, 1, 2)
    assert told["default"]["judged_epochs"] == 4
