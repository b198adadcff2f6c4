"""Which layers are searched, as the user said, and what is left alone."""

import pytest
import torch
from timm import create_model
from timm.layers import CondConv2d
from torch import nn

from dashzoo_search.errors import BadBackbone, UnknownLayer
from dashzoo_search.fold import fold
from dashzoo_search.networks import SearchedNet
from dashzoo_search.networks.convs import conv_layers, out_of_reach
from dashzoo_search.networks.rules import Rule
from dashzoo_search.plan import Network
from dashzoo_search.spec import KernelSpec, SearchSpace
from dashzoo_search.supernet import build_supernet

SPACE = SearchSpace(kernels=(3, 5))


def searched(rule=None, name="convnext_atto"):
    net = create_model(name)
    layers = conv_layers(net, torch.zeros(1, 3, 64, 64), dims=2, rule=rule)
    return {layer.name for layer in layers if not layer.reason}


def test_patterns_go_across_dots_and_exclusion_wins():
    everything = searched()
    assert searched(Rule(layers=("stages.*.conv_dw",))) == everything
    first = searched(Rule(layers=("stages.0.*", "stages.1.*"), exclude=("stages.1.*",)))
    assert first == {name for name in everything if name.startswith("stages.0.")}
    assert searched(Rule(exclude=("stages.0.blocks.1.conv_dw",))) == everything - {
        "stages.0.blocks.1.conv_dw"
    }


def test_patterns_can_name_layers_on_a_shortcut():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.shortcut = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return self.conv(x) + self.shortcut(x)

    def names(rule):
        layers = conv_layers(Net(), torch.zeros(1, 3, 16, 16), dims=2, rule=rule)
        return [layer.name for layer in layers if not layer.reason]

    assert names(None) == ["conv"]
    assert names(Rule(layers=("shortcut",))) == ["shortcut"]


@pytest.mark.parametrize("how", ["layers", "exclude"])
def test_a_pattern_that_matches_nothing_names_near_ones(how):
    with pytest.raises(UnknownLayer, match=r"stages\.0\.blocks\.0\.conv_dw"):
        searched(Rule(**{how: ("stages.0.blocks.0.conv_dv",)}))


def test_a_rule_that_leaves_nothing_is_refused_with_the_reason():
    net = SearchedNet("convnext_atto", dims=2, in_chans=3, num_classes=2)
    with pytest.raises(BadBackbone, match=r"even kernel size"):
        build_supernet(net, SPACE, (64, 64), rule=Rule(layers=("stem.0",)))


def test_rules_travel_with_the_network():
    network = Network(backbone="resnet18", rule=Rule(layers=("layer1.*",), exclude=("*.conv2",)))
    assert Network.from_json(network.to_json()) == network
    assert "layers" not in Network(backbone="resnet18").to_json()


class Odd(nn.Module):
    """What convolves, but is no layer that can be searched."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.routed = CondConv2d(3, 3, 3, padding=1, num_experts=2)
        self.up = nn.ConvTranspose2d(3, 3, 2, stride=2)
        self.borrowed = nn.Conv2d(3, 3, 3, padding=1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        x = self.routed(self.conv(x), torch.ones(len(x), 2))
        x = torch.conv2d(x, self.borrowed.weight, padding=1)
        return self.pool(self.up(x))


def test_whatever_else_convolves_is_listed():
    assert out_of_reach(Odd(), {"conv"}) == {
        "routed": "a CondConv2d, not an ordinary convolution",
        "up": "a ConvTranspose2d, not an ordinary convolution",
        "borrowed": "its forward pass is not called",
    }


def test_every_convolution_is_searched_or_listed():
    net = SearchedNet("mixnet_s", dims=2, in_chans=3, num_classes=2)
    convs = {n for n, m in net.backbone.named_modules() if isinstance(m, nn.Conv2d)}
    supernet = build_supernet(net, SPACE, (64, 64))
    assert set(supernet.layers) | set(supernet.kept) == convs
    assert not set(supernet.layers) & set(supernet.kept)
    mixed = {name for name in supernet.layers if name.rpartition(".")[2].isdigit()}
    assert len(mixed) > 10  # branches of a MixedConv2d, each a layer of its own


@pytest.mark.parametrize("kind", ["paths", "mixture"])
def test_a_shared_convolution_is_replaced_and_folded_in_both_places(monkeypatch, kind):
    create = create_model

    def sharing(name, **kwargs):
        net = create(name, **kwargs)
        net.layer1[0].conv2 = net.layer1[0].conv1
        return net

    monkeypatch.setattr("timm.create_model", sharing)
    torch.manual_seed(0)
    net = SearchedNet("resnet18", dims=2, in_chans=3, num_classes=2)
    supernet = build_supernet(net, SPACE, (64, 64), kind=kind).eval()
    block = net.backbone.layer1[0]
    assert block.conv1 is block.conv2 is supernet.layers["layer1.0.conv1"]
    assert "layer1.0.conv2" not in supernet.layers
    layers = {name: supernet.choices(name)[-1] for name in supernet.layers}
    folded = fold(supernet, KernelSpec(dims=2, layers=layers))
    assert folded.backbone.layer1[0].conv1 is folded.backbone.layer1[0].conv2
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(folded(x), supernet(x), atol=1e-4, rtol=1e-4)
