"""Anchored paths: they find what is there, and leave alone what is not."""

import numpy as np
import pytest
import torch
from torch import nn

from dashzoo_search.choice import Choice
from dashzoo_search.errors import BadBundle, BadData
from dashzoo_search.fold import fold
from dashzoo_search.methods.anchors import Anchors
from dashzoo_search.methods.judge import Judge, batch_statistics
from dashzoo_search.methods.paths import Paths
from dashzoo_search.methods.scout import Builds, Scouted
from dashzoo_search.ops.pathconv import PathConv
from dashzoo_search.spec import KernelSpec, SearchSpace
from dashzoo_search.tasks import Split

from .echoes import echoes, search

SPACE = SearchSpace(kernels=(3, 5), dilations=(1, 6))
OWN = Choice.cube(3, 1, dims=1)


def test_shuffled_labels_leave_every_kernel_as_it_was():
    split = echoes(128)
    split = Split(split.X, np.random.default_rng(0).permutation(split.y))
    supernet, result = search(split, SPACE, "paths", epochs=10)
    for name, layer in supernet.layers.items():
        assert layer.selected == layer.first, name
    assert result.spec not in result.others.values()


def test_the_supernet_is_left_at_the_spec_and_folds_to_the_same_network():
    supernet, result = search(echoes(96), SPACE, "paths", epochs=5)
    x = torch.randn(5, 1, 64)
    with torch.no_grad():
        wanted = supernet.eval()(x)
        folded = fold(supernet, result.spec)
        torch.testing.assert_close(folded(x), wanted, atol=1e-5, rtol=1e-5)


def test_only_alive_choices_are_drawn_and_anchors_most_often():
    choices = [Choice.cube(k, d, dims=1) for k in (3, 5) for d in (1, 2)]
    layers = {name: PathConv(2, 2, choices, first=2) for name in "abcdefgh"}
    anchors = Anchors(layers, explore=2, confidence=3)
    anchors.alive["a"] = [0, 2]
    generator = torch.Generator().manual_seed(0)
    drawn = {name: np.zeros(4) for name in layers}
    for _ in range(4000):
        anchors.explore(generator)
        for name, layer in layers.items():
            drawn[name][layer.pick] += 1
    for name, wanted in anchors.chances().items():
        np.testing.assert_allclose(drawn[name] / 4000, wanted, atol=0.03)
    assert drawn["a"][[1, 3]].sum() == 0
    assert drawn["b"][2] > 3000


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["anchor"].update(a=9),
        lambda s: s["anchor"].pop("a"),
        lambda s: s["alive"].update(a=[]),
        lambda s: s["alive"].update(a=[0, True]),
        lambda s: s["spread"].update(a="0"),
        lambda s: s["behind"].update(a=[0.0]),
        lambda s: s.update(uniform={"b": 0}),
        lambda s: s.pop("spread"),
    ],
)
def test_a_damaged_state_is_refused(change):
    choices = [Choice.cube(k, 1, dims=1) for k in (3, 5)]
    anchors = Anchors({"a": PathConv(1, 1, choices)}, explore=2, confidence=3)
    state = anchors.state_dict()
    anchors.load_state_dict(state)
    change(state)
    with pytest.raises(BadBundle):
        anchors.load_state_dict(state)


@pytest.mark.parametrize("options", [{"explore": 0.0}, {"confidence": float("nan")}])
def test_bad_options_are_refused(options):
    with pytest.raises(BadData):
        Paths(**options)


def test_a_start_is_where_the_search_stands_without_a_scout():
    there, name = Choice.cube(5, 6, dims=1), "blocks.0.conv2"
    start = KernelSpec(dims=1, layers={name: there, "blocks.0.gone": there})
    supernet, result = search(echoes(64), SPACE, "paths", epochs=4, scout=0.0, start=start)
    first = result.history[0]["layers"]
    chances = dict(zip(supernet.choices(name), first[name], strict=True))
    assert max(chances, key=chances.__getitem__) == there
    assert all(min(first[n]) > 0 for n in supernet.layers)  # nothing is settled by it
    assert not result.scouted


@pytest.mark.parametrize(("rival", "stays"), [(0.0, True), (50.0, False)])
def test_a_believed_scouts_kernels_stand_until_the_supernet_beats_its_rival(
    rival, stays, monkeypatch
):
    split = echoes(128)
    split = Split(split.X, np.random.default_rng(0).permutation(split.y))  # nothing to learn
    there, name = Choice.cube(5, 6, dims=1), "blocks.0.conv2"

    def scout(builds, fitted, heldout, recipe, **_):
        return Scouted(
            spec=KernelSpec(dims=1, layers={name: there}),
            gain=1.0,
            error=0.1,
            believed=True,
            rival=np.full(len(heldout), rival),
            skipped_steps=0,
        )

    monkeypatch.setattr("dashzoo_search.methods.paths.scout", scout)
    builds = Builds(wide=None, plain=None)
    supernet, result = search(split, SPACE, "paths", epochs=10, builds=builds)
    own = supernet.choices(name)[supernet.layers[name].first]
    assert result.spec.layers[name] == (there if stays else own)
    last = result.history[-1]["layers"]
    assert all(sorted(last[n])[-2] == 0 for n in supernet.layers)  # all is settled in the end


def test_a_start_and_a_scout_are_too_much():
    start = KernelSpec(dims=1, layers={"conv0": OWN})
    with pytest.raises(BadData, match="set scout to 0"):
        Paths(start=start)
    told = Paths(start=start, scout=0.0).to_json()
    assert KernelSpec.from_json(told["start"]) == start
    assert "start" not in Paths().to_json()


def test_batch_statistics_leave_no_trace():
    net = nn.Sequential(nn.Conv1d(1, 3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = 5 + 3 * torch.randn(20, 1, 30)
    with torch.no_grad(), batch_statistics(net):
        y = net(x)
        assert y.mean((0, 2)).abs().max() < 1e-4  # normalised by the batch, nothing dropped
    assert net.training
    assert net[1].momentum == 0.1
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_judge_forgives_loudness():
    split = echoes(64)
    scale = nn.Parameter(torch.ones(()))

    class Loud(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = scale

        def forward(self, x):
            peak = x.flatten(1).mean(1)
            return self.scale * torch.stack([peak, -peak], 1)

    judge = Judge(Loud(), split)
    first, _ = judge.calibrate()
    with torch.no_grad():
        scale.fill_(3.0)
    second, _ = judge.calibrate()
    assert second == pytest.approx(first, abs=0.02)
