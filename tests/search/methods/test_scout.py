"""A scout sees what several layers only show together, and is believed only when it wins."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dashzoo_search.choice import Choice
from dashzoo_search.errors import TrainingFailed
from dashzoo_search.methods.lasso import GroupLasso
from dashzoo_search.methods.scout import Builds, scout
from dashzoo_search.networks import SearchedNet
from dashzoo_search.ops import AggConv
from dashzoo_search.spec import KernelSpec, SearchSpace
from dashzoo_search.supernet import build_supernet
from dashzoo_search.tasks import Split
from dashzoo_search.tasks.losses import LOSSES
from dashzoo_search.tasks.planted import planted_task
from dashzoo_search.training.objective import CLASSIFY
from dashzoo_search.training.progress import quiet
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.steps import Stepper, weight_optimizer

CHOICES = [Choice.cube(k, d, dims=1) for k in (3, 7) for d in (1, 3)]


def look(split, *, epochs, price=0.2, objective=CLASSIFY):
    """Scout a one-layer chain."""
    torch.manual_seed(0)

    def net():
        args = {"depth": 1, "width": 16}
        classes = int(split.y.max()) + 1
        return SearchedNet("chain1d", dims=1, in_chans=1, num_classes=classes, backbone_args=args)

    def wide():
        return build_supernet(net(), SearchSpace(kernels=(3, 7, 11), dilations=(1, 5)), (65,))

    cut = len(split) * 2 // 3
    return scout(
        Builds(wide=wide, plain=net),
        split.take(np.arange(cut)),
        split.take(np.arange(cut, len(split))),
        Recipe(epochs=epochs, batch_size=32, lr=1e-2),
        own=KernelSpec(dims=1, layers={"layers.0.conv": CHOICES[0]}),
        price=price,
        confidence=3.0,
        objective=objective,
        generator=torch.Generator().manual_seed(0),
        on_epoch=quiet,
    )


def test_a_planted_kernel_is_seen_and_believed():
    (planted,) = [Choice.cube(7, 5, dims=1)]
    found = look(planted_task([planted], samples=2400, seed=0).train, epochs=12)
    assert found.believed
    assert found.gain > 0.5
    assert found.spec.layers["layers.0.conv"].dilation == (5,)
    assert found.to_json()["believed"] is True


@pytest.mark.parametrize(("epochs", "judged"), [(1, 400), (100, 1200)])
def test_to_ask_costs_no_more_than_to_train(epochs, judged, monkeypatch):
    asked = []

    def restrict(supernet, heldout, **_):
        asked.append(len(heldout))
        return dict.fromkeys(supernet.layers, 0), {}

    def losses(network, name, fitted, heldout, *_):
        return np.full(len(heldout), 1.0 if name == "scout" else 2.0), 0

    monkeypatch.setattr("dashzoo_search.methods.scout.restrict_in_turn", restrict)
    monkeypatch.setattr("dashzoo_search.methods.scout._losses", losses)
    split = planted_task([CHOICES[0]], samples=3600, seed=0).train
    assert look(split, epochs=epochs).believed
    assert asked == [judged]  # of 1200 held out; 2400 are fitted, and there are 6 choices


@pytest.mark.parametrize(
    ("loss", "wide", "plain", "tolerance"),
    [
        ("cross_entropy", 0.2, 1.2, 0.5),  # half of the way back, in nats
        ("mse", 0.01, 0.16, 0.01),  # a quarter, in ratios
        ("mse", 0.0, 1.0, 0.0),
        ("mse", -3.0, 1.0, 2.0),  # the user's own loss may have any sign
    ],
)
def test_what_a_layer_may_lose(loss, wide, plain, tolerance, monkeypatch):
    allowed = []

    def restrict(supernet, heldout, **options):
        allowed.append(options["tolerance"])
        return dict.fromkeys(supernet.layers, 0), {}

    def losses(network, name, fitted, heldout, *_):
        return np.full(len(heldout), wide if name == "scout" else plain), 0

    monkeypatch.setattr("dashzoo_search.methods.scout.restrict_in_turn", restrict)
    monkeypatch.setattr("dashzoo_search.methods.scout._losses", losses)
    split = planted_task([CHOICES[0]], samples=300, seed=0).train
    objective = replace(CLASSIFY, loss=LOSSES[loss])
    assert look(split, epochs=1, objective=objective).believed
    assert allowed == pytest.approx([tolerance])


@pytest.mark.parametrize(
    ("errors", "believed", "asked"), [(0.9, False, False), (2.0, False, True), (4.0, True, True)]
)
def test_one_that_is_not_believed_may_still_name_kernels(errors, believed, asked, monkeypatch):
    """A gain of so many standard errors; 100 held-out samples differ by ±1 around it."""

    def restrict(supernet, *_, **__):
        return dict.fromkeys(supernet.layers, 3), {}

    def losses(network, name, fitted, heldout, *_):
        noise = np.resize([1.0, -1.0], len(heldout))
        return (2 - errors / 10 + noise if name == "scout" else np.full(len(heldout), 2.0)), 0

    monkeypatch.setattr("dashzoo_search.methods.scout.restrict_in_turn", restrict)
    monkeypatch.setattr("dashzoo_search.methods.scout._losses", losses)
    found = look(planted_task([CHOICES[0]], samples=300, seed=0).train, epochs=1)
    assert found.believed is believed
    assert (found.spec.layers["layers.0.conv"] != CHOICES[0]) is asked


def test_without_memory_a_search_can_do_without_one(monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(Stepper, "__call__", full)
    with pytest.raises(TrainingFailed, match="or add --scout 0, or narrow --kernels"):
        look(planted_task([CHOICES[0]], samples=300, seed=0).train, epochs=1)


def test_shuffled_labels_are_not_believed():
    split = planted_task([Choice.cube(7, 5, dims=1)], samples=900, seed=0, shuffled=True).train
    assert not look(split, epochs=6).believed


def test_the_proximal_step_is_that_of_the_group_lasso():
    """Against the definition, choice by choice, and with the norm kept."""
    torch.manual_seed(0)
    layer = AggConv(3, 4, CHOICES, bias=False)
    lasso = GroupLasso({"a": layer}, price=0.3)
    norm = float(layer.weight.detach().norm())
    with torch.no_grad():
        layer.weight.add_(0.05 * torch.randn_like(layer.weight))
    kernels = [layer.choice_weight(i).detach().clone() for i in range(4)]
    lasso.shrink(0.1)
    wanted = []
    for choice, kernel in zip(CHOICES, kernels, strict=True):
        threshold = 0.1 * 0.3 * (choice.taps * 12) ** 0.5
        wanted.append(kernel * max(0.0, 1 - threshold / float(kernel.norm())))
    scale = norm / float(torch.cat([w.flatten() for w in wanted]).norm())
    for index, kernel in enumerate(wanted):
        torch.testing.assert_close(layer.choice_weight(index), scale * kernel)
    assert float(layer.weight.detach().norm()) == pytest.approx(norm)


def test_the_layer_is_the_plain_sum_of_its_choices():
    torch.manual_seed(0)
    layer = AggConv(2, 3, CHOICES, bias=False)
    GroupLasso({"a": layer}, price=0.1)
    x = torch.randn(2, 2, 40)
    wanted = sum(
        nn.functional.conv1d(x, layer.choice_weight(i), None, 1, c.padding, c.dilation)
        for i, c in enumerate(CHOICES)
    )
    torch.testing.assert_close(layer(x), wanted, atol=1e-5, rtol=1e-5)


def test_a_price_too_high_leaves_one_choice():
    layer = AggConv(2, 3, CHOICES)
    lasso = GroupLasso({"a": layer}, price=1e6)
    lasso.shrink(1.0)
    assert int((lasso.norms(layer) > 0).sum()) == 1
    assert torch.isfinite(layer.weight).all()


def test_labels_of_a_planted_task_are_the_teachers():
    task = planted_task([Choice.cube(3, 2, dims=1)], samples=400, seed=1)
    assert task.describe()["counts"] == {"train": 400, "val": 40, "test": 40}
    assert "k3 d2" in task.source
    again = planted_task([Choice.cube(3, 2, dims=1)], samples=400, seed=1)
    assert again.sha256 == task.sha256
    shuffled = planted_task([Choice.cube(3, 2, dims=1)], samples=400, seed=1, shuffled=True)
    assert np.array_equal(shuffled.train.X, task.train.X)
    assert not np.array_equal(shuffled.train.y, task.train.y)
    assert isinstance(task.train, Split)


def test_how_large_a_layer_was_drawn_does_not_decide_what_it_learns():
    """Two layers of weights 8 times apart move, and lose choices, alike relative to their size."""
    torch.manual_seed(0)
    first = AggConv(2, 4, CHOICES, bias=False)
    with torch.no_grad():
        first.set_choice_weight(0, 0.05 * first.choice_weight(0))
    large = AggConv(2, 4, CHOICES, bias=False)
    large.load_state_dict(first.state_dict())
    with torch.no_grad():
        large.weight.mul_(8)
    norms = nn.ModuleList([nn.BatchNorm1d(4, affine=False) for _ in range(2)])
    lasso = GroupLasso({"small": first, "large": large}, price=3.0)
    recipe = Recipe(epochs=1, batch_size=8, weight_decay=1e-2)
    weights = [first.weight, large.weight]
    optimizer, schedule = weight_optimizer(weights, recipe, 20, rates=lasso.rates())
    x, target = torch.randn(64, 2, 40), torch.randn(64, 4, 40)
    for step in range(20):
        optimizer.zero_grad()
        outputs = [norm(layer(x)) for norm, layer in zip(norms, (first, large), strict=True)]
        sum(((output - target) ** 2).mean() for output in outputs).backward()
        optimizer.step()
        schedule.step()
        lasso.shrink(recipe.lr, step / 20)
    assert 0 < int((lasso.norms(first) == 0).sum()) < len(CHOICES)
    torch.testing.assert_close(8 * first.weight, large.weight, rtol=0, atol=1e-2)


def test_the_price_grows_from_nothing():
    layer = AggConv(2, 3, CHOICES, bias=False)
    lasso = GroupLasso({"a": layer}, price=0.5)
    drawn = layer.weight.detach().clone()
    lasso.shrink(0.1, 0.0)
    torch.testing.assert_close(layer.weight.detach(), drawn)
    lasso.shrink(0.1, 0.5)
    assert not torch.allclose(layer.weight.detach(), drawn)
