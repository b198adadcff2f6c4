"""A search over operations: it starts as the backbone, transforms learn, what cannot is told."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from dashzoo_search.errors import BadBackbone, BadData, UnknownLayer
from dashzoo_search.methods.xd import XD, build_xd, search_xd, xd_choices
from dashzoo_search.networks.rules import Rule
from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.search import SearchOptions
from dashzoo_search.spec import XDChoice
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.architecture import Architect, architecture_of
from dashzoo_search.training.loop import fit
from dashzoo_search.training.recipe import Recipe

RECIPE = Recipe(epochs=2, batch_size=8)


def net(backbone: str = "chain1d", **args) -> SearchedNet:
    torch.manual_seed(0)
    dims = 1 if backbone == "chain1d" else 2
    return SearchedNet(
        backbone, dims=dims, in_chans=1, num_classes=2, backbone_args={"width": 2, **args}
    )


@pytest.fixture
def split() -> Split:
    X = np.random.default_rng(0).standard_normal((16, 1, 8)).astype(np.float32)
    return Split(X=X, y=(X[:, 0].mean(1) > 0).astype(np.int64))


def state(modules) -> list[torch.Tensor]:
    return [p.detach().clone() for p in modules if p.numel()]


@pytest.mark.parametrize("depth", [1, 3])
def test_at_the_start_it_computes_what_the_backbone_does(depth) -> None:
    plain = net().eval()
    supernet = build_xd(copy.deepcopy(plain), (8,), depth=depth).eval()
    x = torch.randn(4, 1, 8)
    assert (supernet(x) - plain(x)).abs().max() < 1e-5
    assert supernet.network.spec.xd == {f"layers.{n}.conv": XDChoice(depth, (1, 8)) for n in (0, 1)}
    assert len(list(supernet.architecture())) == 6  # K, L and M of the axis that has samples
    parts = state(supernet.architecture()), state(supernet.weights())
    assert sum(p.numel() for part in parts for p in part) == sum(
        p.numel() for p in supernet.parameters()
    )


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weights_and_transforms_step_together(split, optimizer) -> None:
    supernet = build_xd(net(), (8,), depth=1)
    before = state(supernet.architecture()), state(supernet.weights())
    options = XD(xd_depth=1, arch_optimizer=optimizer)
    generator = torch.Generator().manual_seed(0)
    found = search_xd(
        supernet, split, split, RECIPE, options, generator=generator, on_epoch=lambda _: None
    )
    after = state(supernet.architecture()), state(supernet.weights())
    for old, new in zip(before, after, strict=True):
        assert all((a != b).any() for a, b in zip(old, new, strict=True))
    assert found.spec == supernet.network.spec
    assert found.spec.xd


def test_without_an_architect_transforms_stay(split) -> None:
    supernet = build_xd(net(), (8,), depth=1)
    before = state(supernet.architecture()), state(supernet.weights())
    fit(supernet, split, split, RECIPE, generator=torch.Generator().manual_seed(0))
    assert all(map(torch.equal, before[0], supernet.architecture()))
    assert not all(map(torch.equal, before[1], supernet.weights()))


def test_the_transforms_rate_is_their_own_and_nothing_is_decayed() -> None:
    supernet = build_xd(net(), (8,), depth=1)
    parameters = list(architecture_of(supernet))
    before = state(parameters)
    stepped = Architect(optimizer="sgd", lr=0.25).stepped(parameters, 10)
    for p in parameters:
        p.grad = torch.ones_like(p)
    stepped.optimizer.step()
    rate = stepped.optimizer.param_groups[0]["lr"]
    assert rate == pytest.approx(0.25 * 0.04)  # where the schedule starts
    for old, new in zip(before, parameters, strict=True):
        torch.testing.assert_close(new.detach(), old - rate)


def test_what_no_xd_operation_expresses_is_left_alone() -> None:
    network = net("chain2d", depth=4)
    layers = network.backbone.layers
    layers[0].conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect")
    layers[1].conv = nn.Conv2d(2, 2, 2)
    layers[2].conv = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")
    found, kept = xd_choices(network, (8, 8), depth=3)
    assert list(found) == ["layers.2.conv", "layers.3.conv"]
    assert kept == {
        "layers.0.conv": "padding reflect, which no XD-operation expresses",
        "layers.1.conv": "even kernel size",
    }
    with pytest.raises(BadBackbone, match="padding reflect, which no XD-operation expresses"):
        xd_choices(network, (8, 8), depth=3, rule=Rule(layers=("layers.0.conv",)))
    with pytest.raises(UnknownLayer, match="stem"):
        xd_choices(network, (8, 8), depth=3, rule=Rule(layers=("stem*",)))
    with pytest.raises(BadBackbone, match="one sample"):
        xd_choices(net("chain2d"), (1, 1), depth=3)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"xd_depth": 0}, "1 to 4"),
        ({"xd_depth": 5}, "1 to 4"),
        ({"xd_depth": True}, "1 to 4"),
        ({"arch_optimizer": "lion"}, "adam or sgd"),
        ({"arch_lr": 0.0}, "positive"),
        ({"arch_lr": float("nan")}, "positive"),
    ],
)
def test_bad_options(options, match) -> None:
    with pytest.raises(BadData, match=match):
        XD(**options)


def test_options_of_other_methods() -> None:
    assert SearchOptions.of(RECIPE, "xd", xd_depth=1).to_json()["arch_lr"] == 1e-3
    with pytest.raises(BadData, match="explore is an option of --method paths, not of xd"):
        SearchOptions.of(RECIPE, "xd", explore=1.0)
    with pytest.raises(BadData, match="xd_depth is an option of --operator xd, not of paths"):
        SearchOptions.of(RECIPE, "paths", xd_depth=1)
