"""A mixture that shrinks and settles: nothing is lost, killed or changed by it."""

import copy
import os

import numpy as np
import pytest
import torch

from dashzoo_search.errors import BadBundle
from dashzoo_search.fold import fold
from dashzoo_search.methods.shrink import STRANDED, Shrinking
from dashzoo_search.networks import SearchedNet
from dashzoo_search.search import SearchOptions, search_kernels
from dashzoo_search.spec import Choice, SearchSpace
from dashzoo_search.supernet import build_supernet
from dashzoo_search.training import Recipe
from dashzoo_search.training.resume import Journal
from dashzoo_search.training.steps import Stepper

from ..training.test_world import in_processes
from .echoes import echoes

SPACE = SearchSpace(kernels=(3, 5, 7), dilations=(1, 2, 6))
# α moves fast, so that much is dropped in few steps.
FAST = {"alpha_lr": 0.5, "shrink": 0.9, "price": 1.0, "dilations_at": 0.0}


class Killed(Exception):
    """Stands for a signal."""


def fresh(width=3, weights="separate"):
    torch.manual_seed(0)
    net = SearchedNet("wrn1d", dims=1, in_chans=1, num_classes=2, backbone_args={"width": width})
    return build_supernet(net, SPACE, (64,), weights=weights)


def search(supernet, *, stop=None, epochs=8, split=None, **options):
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(1)

    def told(progress):
        if progress.epoch == stop:
            raise Killed

    split = split or echoes(48)
    return search_kernels(
        supernet, split, SearchOptions.of(
            Recipe(epochs=epochs, batch_size=16, lr=1e-2), "mixture", **{**FAST, **options}
        ), seed=0, generator=generator, on_epoch=told,
    )  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"relaxation": "gumbel", "temperature": 2.0, "temperature_end": 0.3},
        {"relaxation": "straight_through", "settle": 1},
        {"relaxation": "sparsemax", "temperature": 9.0},
        {"settle": 1, "alpha_lr": 2.0, "rule": "least_squares"},
        {"rule": "validation", "temperature": 0.5, "dilations_at": 0.5},
        {"weights": "shared", "dilations_at": 0.5},
        {"weights": "shared", "settle": 1, "alpha_lr": 2.0, "rule": "least_squares"},
    ],
    ids=lambda o: "-".join(map(str, o.values())) or "plain",
)
def test_it_leaves_a_supernet_as_it_is_built_that_folds_to_what_it_computes(options):
    weights = options.get("weights", "separate")
    supernet = fresh(weights=weights)
    sizes = []
    supernet.layers["blocks.0.conv1"].register_forward_hook(
        lambda layer, x, y: sizes.append(len(layer.choices))
    )
    result = search(supernet, epochs=5, **options)
    assert sizes[0] == 9
    assert min(sizes) < 9 or options.get("relaxation") == "sparsemax"
    assert all(len(layer.choices) == 9 for layer in supernet.layers.values())
    for row in result.history:
        for shares in row["layers"].values():
            assert len(shares) == 9
            assert sum(shares) == pytest.approx(1, abs=2e-3)
    assert set(result.lost) == set(supernet.layers)
    assert all(0 <= share <= 1 for share in result.lost.values())

    twin = fresh(weights=weights)
    twin.load_state_dict(supernet.state_dict())  # what `--init searched` does
    x = torch.randn(5, 1, 64)
    with torch.no_grad():
        torch.testing.assert_close(twin.eval()(x), supernet.eval()(x), atol=1e-5, rtol=1e-5)
        folded = fold(twin, result.spec)
        torch.testing.assert_close(folded(x), twin(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"relaxation": "gumbel", "temperature_end": 0.3, "dilations_at": 0.5},
        {"settle": 1, "alpha_lr": 2.0, "rule": "least_squares"},
        {"weights": "shared", "dilations_at": 0.5},
    ],
    ids=["gumbel", "settled", "shared"],
)
def test_a_search_killed_before_or_after_it_shrank_goes_on_bit_for_bit(tmp_path, options):
    weights = options.get("weights", "separate")
    whole = fresh(width=2, weights=weights)
    wanted = search(whole, epochs=6, **options)
    for stop in (2, 5):
        killed, resumed = (fresh(width=2, weights=weights) for _ in range(2))
        journal = {"fingerprint": "x", "every": 0.0}
        with Journal(tmp_path / str(stop), **journal).active(), pytest.raises(Killed):
            search(killed, epochs=6, stop=stop + 1, **options)
        with Journal(tmp_path / str(stop), **journal).active():
            found = search(resumed, epochs=6, **options)
        assert found.spec == wanted.spec
        assert found.history == wanted.history
        assert found.lost == wanted.lost
        for name, value in whole.state_dict().items():
            assert torch.equal(resumed.state_dict()[name], value), (stop, name)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks the processes")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_two_processes_draw_drop_and_settle_alike(tmp_path):
    def work():
        supernet = fresh(width=2)
        result = search(
            supernet, epochs=4, split=echoes(53), settle=1, alpha_lr=2.0, relaxation="gumbel"
        )
        return {
            "spec": result.spec.to_json(),
            "history": list(result.history),
            "alphas": [alpha.tolist() for alpha in supernet.architecture()],
        }

    one, other = in_processes(2, work, tmp_path)
    assert one == other
    assert {max(alphas) for alphas in one["alphas"]} == {0.0}  # it has settled
    alone = work()
    assert alone["spec"] == one["spec"]


def shrinking_of(supernet, below=0.9, epochs=10):
    optimizer = torch.optim.Adam(supernet.parameters())
    step = Stepper(supernet, supernet.parameters(), optimizer)
    return Shrinking(supernet, (step,), below=below, epochs=epochs, warm=1), step


def test_only_what_stayed_below_the_bound_is_dropped_and_never_the_leader():
    supernet = fresh()
    shrinking, _ = shrinking_of(supernet)
    layer = supernet.layers["blocks.0.conv1"]
    other = supernet.layers["blocks.0.conv2"]
    with torch.no_grad():
        layer.alpha.copy_(torch.tensor([0.0, -9, 0, -9, 0, 0, 0, 0, 0]))
        layer.weight[:] *= 0.01
        other.alpha.copy_(torch.tensor([9.0, -9, 0, 0, 0, 0, 0, 0, 0]))
    shrinking.watch(2)
    with torch.no_grad():  # choice 3 was low only for an epoch, choice 1 in both
        layer.alpha[3] = 0.0
    shrinking.watch(3)
    assert shrinking.kept["blocks.0.conv1"] == [0, 2, 3, 4, 5, 6, 7, 8]
    assert 0 in shrinking.kept["blocks.0.conv2"]
    assert len(layer.choices) == len(layer.alpha) == 8


def test_a_choice_that_alone_holds_much_is_never_dropped():
    supernet = fresh()
    shrinking, _ = shrinking_of(supernet)
    layer = supernet.layers["blocks.0.conv1"]
    far = supernet.choices("blocks.0.conv1").index(Choice.cube(7, 6, dims=1))
    with torch.no_grad():
        layer.alpha[far] = -3.0
        layer.set_choice_weight(far, 50 * torch.ones_like(layer.choice_weight(far)))
        before = layer.aggregated()
        shrinking.watch(3)
        after = dict(zip(map(tuple, layer.aggregated()[0].tolist()), layer.aggregated()[1],
                         strict=True))  # fmt: skip
    assert far in shrinking.kept["blocks.0.conv1"]
    lost = sum(
        float((tap - after.get(tuple(at), torch.zeros_like(tap))).square().sum())
        for at, tap in zip(before[0].tolist(), before[1], strict=True)
    )
    assert lost <= STRANDED * float(before[1].square().sum())


def test_shrinking_hardly_changes_what_the_supernet_computes():
    supernet = fresh().eval()
    shrinking, step = shrinking_of(supernet)
    torch.manual_seed(3)
    for alpha in supernet.architecture():
        alpha.data.normal_(std=2.0)
    x = torch.randn(4, 1, 64)
    with torch.no_grad():
        before = supernet(x)
        shrinking.watch(3)
        after = supernet(x)
    dropped = sum(9 - len(kept) for kept in shrinking.kept.values())
    assert dropped > 20
    assert (before - after).abs().max() < 0.1 * before.abs().max()
    assert {id(p) for p in step.parameters} == {id(p) for p in supernet.parameters()}
    step(x, torch.tensor([0, 1, 0, 1]))


def test_dilations_are_settled_where_a_layer_still_has_them():
    supernet = fresh()
    shrinking, step = shrinking_of(supernet)
    first, second, *rest = supernet.layers
    shrinking.keep({second: [0, 3, 6]})  # of dilation 1
    number = supernet.choices(first).index(Choice.cube(5, 6, dims=1))
    shrinking.settle_dilations(dict.fromkeys((first, second), number))
    assert [str(c) for c in supernet.choices(first)] == ["k3 d6", "k5 d6", "k7 d6"]
    assert [str(c) for c in supernet.choices(second)] == ["k3 d1", "k5 d1", "k7 d1"]
    assert all(len(supernet.choices(name)) == 9 for name in rest)
    step(torch.randn(4, 1, 64), torch.tensor([0, 1, 0, 1]))


def test_a_search_settles_dilations_when_it_is_told_to():
    for share, epoch in ((0.5, 3), (0.0, None)):
        supernet, sizes = fresh(), []
        result = search(supernet, epochs=6, shrink=0.0, dilations_at=share)
        for row in result.history:
            for name, weights in row["layers"].items():
                used = [
                    c.dilation for c, w in zip(supernet.choices(name), weights, strict=True) if w
                ]
                sizes.append((row["epoch"], len(set(used))))
        assert {e for e, count in sizes if count == 1} == (set(range(epoch, 7)) if epoch else set())


def test_it_can_settle_on_a_choice_it_has_dropped():
    supernet = fresh()
    shrinking, step = shrinking_of(supernet)
    names = list(supernet.layers)
    shrinking.keep({names[0]: [8]})  # k7 d6
    whole = shrinking.whole()
    small = whole.choices(names[0]).index(Choice.cube(3, 6, dims=1))
    wanted = whole.layers[names[0]].restricted(small).detach()
    assert wanted.any()
    shrinking.settle({names[0]: small})
    torch.testing.assert_close(supernet.layers[names[0]].choice_weight(0), wanted)
    step(torch.randn(4, 1, 64), torch.tensor([0, 1, 0, 1]))
    twin, _ = shrinking_of(other := fresh())
    twin.load_state_dict(shrinking.state_dict())
    other.load_state_dict(supernet.state_dict())
    kernel = supernet.layers[names[0]].choice_weight(0).detach().clone()
    shrinking.widen()
    torch.testing.assert_close(supernet.layers[names[0]].restricted(small), kernel)
    assert supernet.layers[names[0]].coefficients()[small] == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["kept"].update({"blocks.0.conv1": [9]}),
        lambda s: s["kept"].update({"blocks.0.conv1": []}),
        lambda s: s["kept"].update({"blocks.0.conv1": [1, 0]}),
        lambda s: s["kept"].update({"blocks.0.conv1": [True]}),
        lambda s: s["kept"].pop("blocks.0.conv1"),
        lambda s: s["peak"].update({"blocks.0.conv1": [0.0]}),
        lambda s: s["peak"].update({"blocks.0.conv1": ["0"] * 9}),
        lambda s: s.pop("peak"),
    ],
)
def test_a_damaged_state_is_refused_before_anything_changes(change):
    supernet = fresh()
    shrinking, _ = shrinking_of(supernet)
    state = copy.deepcopy(shrinking.state_dict())
    shrinking.load_state_dict(copy.deepcopy(state))
    change(state)
    with pytest.raises(BadBundle):
        shrinking.load_state_dict(state)
    assert len(supernet.layers["blocks.0.conv1"].choices) == 9


def test_a_settled_search_trains_its_network_on_and_says_when():
    supernet = fresh()
    result = search(supernet, epochs=10, settle=1, alpha_lr=2.0)
    settled = [row.get("settled") for row in result.history]
    at = settled[-1]
    assert at is not None
    assert settled == [None] * (at - 1) + [at] * (11 - at)
    for row in result.history[at:]:
        assert all(sorted(w) == [0] * 8 + [1] for w in row["layers"].values())
    for name, choice in result.spec.layers.items():
        assert np.argmax(result.history[-1]["layers"][name]) == supernet.choices(name).index(choice)
