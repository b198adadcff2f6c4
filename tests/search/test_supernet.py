"""Supernets: what is swapped, and that folding keeps what they compute."""

import copy
import pickle

import pytest
import torch

from dashzoo_search.derive import derive, explained
from dashzoo_search.errors import BadBackbone, BadSpec
from dashzoo_search.fold import fold
from dashzoo_search.networks import SearchedNet
from dashzoo_search.ops import AggConv
from dashzoo_search.spec import Choice, KernelSpec, SearchSpace
from dashzoo_search.supernet import build_supernet

SPACE = SearchSpace(kernels=(3, 5, 7), dilations=(1, 2, 4))


def sequence_supernet(space=SPACE, size=(40,)):
    torch.manual_seed(0)
    net = SearchedNet("wrn1d", dims=1, in_chans=2, num_classes=3, backbone_args={"width": 4})
    return build_supernet(net, space, size)


def image_supernet(name="test_resnet", space=SPACE, side=32, **args):
    torch.manual_seed(0)
    net = SearchedNet(name, dims=2, in_chans=3, num_classes=2, **args)
    return build_supernet(net, space, (side, side))


def shake(supernet):
    """Random α and batch statistics, as training leaves them."""
    generator = torch.Generator().manual_seed(1)
    for module in supernet.modules():
        if isinstance(module, AggConv):
            module.alpha.data.normal_(generator=generator)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return supernet.eval()


def test_every_searchable_layer_is_swapped_and_named():
    supernet = sequence_supernet()
    assert list(supernet.layers) == [f"blocks.{b}.conv{c}" for b in range(3) for c in (1, 2, 3)]
    assert supernet.kept["blocks.0.shortcut.0"] == "kernel size 1"
    assert len(supernet.choices("blocks.0.conv1")) == 9


def test_choices_that_only_touch_padding_are_left_out():
    supernet = sequence_supernet(size=(9,))
    assert Choice.cube(7, 4, dims=1) not in supernet.choices("blocks.0.conv1")
    assert Choice.cube(5, 4, dims=1) in supernet.choices("blocks.0.conv1")


def test_weights_and_architecture_are_all_parameters_once():
    supernet = sequence_supernet()
    weights, alphas = list(supernet.weights()), list(supernet.architecture())
    assert len(alphas) == 9
    assert {id(p) for p in weights + alphas} == {id(p) for p in supernet.parameters()}
    assert len(weights) + len(alphas) == len(list(supernet.parameters()))


def test_nothing_to_search_is_said():
    with pytest.raises(BadBackbone, match="no convolution to search"):
        sequence_supernet(space=SearchSpace(kernels=(3,), dilations=(1,)))


@pytest.mark.parametrize("rule", ["argmax", "energy", "explained"])
@pytest.mark.parametrize(
    "make",
    [
        sequence_supernet,
        image_supernet,
        lambda: image_supernet("test_convnext"),
        lambda: image_supernet("test_byobnet"),
        lambda: image_supernet("resnet10t", side=16, resize=32),
    ],
    ids=["wrn1d", "resnet", "convnext", "byobnet", "resized"],
)
def test_the_folded_network_is_the_one_hot_supernet(make, rule):
    supernet = shake(make())
    net = supernet.network
    size = (40,) if net.dims == 1 else (32, 32)
    spec = derive(supernet, rule, torch.randn(4, net.in_chans, *size))
    folded = fold(supernet, spec)
    assert not any(isinstance(m, AggConv) for m in folded.modules())
    x = torch.randn(3, supernet.network.in_chans, *size)
    with torch.inference_mode():
        expected, actual = supernet(x), folded(x)
    assert (expected - actual).abs().max() <= 1e-5 * expected.abs().max()


def test_folding_keeps_what_the_aggregate_computed_on_the_support():
    supernet = shake(sequence_supernet())
    spec = derive(supernet)
    name, choice = next(iter(spec.layers.items()))
    index = supernet.choices(name).index(choice)
    expected = supernet.layers[name].restricted(index).detach().clone()
    folded = fold(supernet, spec)
    torch.testing.assert_close(folded.backbone.get_submodule(name).weight, expected)


def test_a_one_hot_alpha_folds_without_loss():
    supernet = shake(sequence_supernet())
    spec = derive(supernet)
    for name, choice in spec.layers.items():
        alpha = supernet.layers[name].alpha.data
        alpha.fill_(-1e4)[supernet.choices(name).index(choice)] = 0
    x = torch.randn(4, 2, 40)
    with torch.inference_mode():
        before = supernet(x)
        after = fold(supernet, spec)(x)
    assert (before - after).abs().max() <= 1e-5 * before.abs().max()


def test_a_spec_that_does_not_fit_is_refused_by_layer():
    supernet = sequence_supernet()
    spec = derive(supernet)
    short = KernelSpec(dims=1, layers=dict(list(spec.layers.items())[1:]))
    with pytest.raises(BadSpec, match=r"blocks\.0\.conv1"):
        fold(supernet, short)
    foreign = {**spec.layers, "blocks.0.conv1": Choice.cube(9, 1, dims=1)}
    with pytest.raises(BadSpec, match="no choice"):
        fold(supernet, KernelSpec(dims=1, layers=foreign))


@pytest.mark.parametrize("rule", ["energy", "explained"])
def test_the_smallest_kernel_that_holds_what_was_learned_is_taken(rule):
    supernet = sequence_supernet()
    layer = supernet.layers["blocks.0.conv1"]
    truth = supernet.choices("blocks.0.conv1").index(Choice.cube(3, 2, dims=1))
    with torch.no_grad():
        layer.weight.mul_(1e-3)
        layer.set_choice_weight(truth, torch.ones_like(layer.choice_weight(truth)))
        layer.alpha.zero_()
    assert derive(supernet, rule, torch.randn(8, 2, 40)).layers["blocks.0.conv1"] == Choice.cube(
        3, 2, dims=1
    )


def test_taps_that_hardly_touch_the_signal_do_not_count():
    """A heavy tap that reads padding almost everywhere fools energy, not what it explains."""
    supernet = sequence_supernet(space=SearchSpace(kernels=(3, 7), dilations=(1, 9)), size=(10,))
    layer = supernet.layers["blocks.0.conv1"]
    choices = supernet.choices("blocks.0.conv1")
    near, far = (choices.index(Choice.cube(3, d, dims=1)) for d in (1, 9))
    with torch.no_grad():
        layer.weight.zero_()
        layer.set_choice_weight(near, torch.ones_like(layer.choice_weight(near)))
        edges = torch.ones_like(layer.choice_weight(far)) * 3
        edges[..., 1] = 0
        layer.set_choice_weight(far, edges)
    x = torch.randn(64, 2, 10)
    assert derive(supernet, "energy").layers["blocks.0.conv1"] == choices[far]
    assert derive(supernet, "explained", x).layers["blocks.0.conv1"] == choices[near]


def test_explained_shares_lie_between_0_and_1_and_the_whole_support_explains_all():
    supernet = shake(sequence_supernet(space=SearchSpace(kernels=(3, 7), dilations=(1,))))
    for name, shares in explained(supernet, torch.randn(16, 2, 40)).items():
        assert all(0 <= share <= 1 + 1e-6 for share in shares)
        assert shares[supernet.choices(name).index(Choice.cube(7, 1, dims=1))] > 0.9999


def test_networks_and_supernets_can_be_copied_and_specs_pickled():
    supernet = shake(sequence_supernet())
    x = torch.randn(2, 2, 40)
    twin = copy.deepcopy(supernet)
    with torch.inference_mode():
        assert torch.equal(twin(x), supernet(x))
    spec = derive(twin)
    folded = fold(twin, spec)
    assert torch.equal(copy.deepcopy(folded)(x), folded(x))
    assert supernet.layers["blocks.0.conv1"].selected is None
    assert pickle.loads(pickle.dumps(spec)) == spec
