"""Supernets: what is swapped, and that folding keeps what they compute."""

import copy
import pickle

import pytest
import torch

from dashzoo_search.derive import derive
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


@pytest.mark.parametrize("kind", ["mixture", "paths"])
def test_the_own_kernel_is_a_choice_where_it_is_asked_for(kind):
    net = SearchedNet("wrn1d", dims=1, in_chans=2, num_classes=3, backbone_args={"width": 4})
    supernet = build_supernet(net, SPACE, (40,), kind=kind, own=True)
    assert Choice.cube(9, 1, dims=1) in supernet.choices("blocks.0.conv1")
    assert Choice.cube(9, 1, dims=1) not in sequence_supernet().choices("blocks.0.conv1")


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
    spec = derive(supernet, rule, torch.randn(4, net.in_chans, *size)).spec
    folded = fold(supernet, spec)
    assert not any(isinstance(m, AggConv) for m in folded.modules())
    x = torch.randn(3, supernet.network.in_chans, *size)
    with torch.inference_mode():
        expected, actual = supernet(x), folded(x)
    assert (expected - actual).abs().max() <= 1e-5 * expected.abs().max()


def test_folding_keeps_what_the_aggregate_computed_on_the_support():
    supernet = shake(sequence_supernet())
    spec = derive(supernet).spec
    name, choice = next(iter(spec.layers.items()))
    index = supernet.choices(name).index(choice)
    expected = supernet.layers[name].restricted(index).detach().clone()
    folded = fold(supernet, spec)
    torch.testing.assert_close(folded.backbone.get_submodule(name).weight, expected)


def test_a_one_hot_alpha_folds_without_loss():
    supernet = shake(sequence_supernet())
    spec = derive(supernet).spec
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
    spec = derive(supernet).spec
    short = KernelSpec(dims=1, layers=dict(list(spec.layers.items())[1:]))
    with pytest.raises(BadSpec, match=r"blocks\.0\.conv1"):
        fold(supernet, short)
    foreign = {**spec.layers, "blocks.0.conv1": Choice.cube(9, 1, dims=1)}
    with pytest.raises(BadSpec, match="no choice"):
        fold(supernet, KernelSpec(dims=1, layers=foreign))


def test_networks_and_supernets_can_be_copied_and_specs_pickled():
    supernet = shake(sequence_supernet())
    x = torch.randn(2, 2, 40)
    twin = copy.deepcopy(supernet)
    with torch.inference_mode():
        assert torch.equal(twin(x), supernet(x))
    spec = derive(twin).spec
    folded = fold(twin, spec)
    assert torch.equal(copy.deepcopy(folded)(x), folded(x))
    assert supernet.layers["blocks.0.conv1"].selected is None
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_planes_are_those_the_layers_see():
    net = SearchedNet("resnet18", dims=2, in_chans=1, num_classes=2)
    supernet = build_supernet(net, SearchSpace(kernels=(3, 5)), (32, 24)).eval()
    seen = {}
    for name, layer in supernet.layers.items():
        layer.register_forward_pre_hook(
            lambda _, inputs, name=name: seen.update({name: tuple(inputs[0].shape[2:])})
        )
    supernet(torch.zeros(1, 1, 32, 24))
    assert seen == supernet.planes
