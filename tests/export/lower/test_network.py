"""A network is lowered layer by layer, and what it computes stays."""

import copy
import dataclasses
import json

import pytest
import torch
from torch import nn

from dashzoo_export.lower import DFTMatmulConv, LoweringCosts, lower
from dashzoo_export.lower.dft_op import DFTOpConv
from dashzoo_export.lower.timing import measure
from dashzoo_search.errors import BadBackbone, UnsupportedLayer
from dashzoo_search.networks import SearchedNet
from dashzoo_search.ops import AggConv
from dashzoo_search.ops.fftconv import FFTConv
from dashzoo_search.space import SearchSpace
from dashzoo_search.supernet import build_supernet

SIZE = (60,)
# Direct work so dear, or transforms so dear, that the choice is clear.
FOURIER = dataclasses.replace(LoweringCosts(), row_mac=1.0)
DIRECT = dataclasses.replace(LoweringCosts(), dft_start=1.0)


def chain(width=4):
    torch.manual_seed(0)
    args = {"width": width}
    net = SearchedNet("wrn1d", dims=1, in_chans=2, num_classes=3, backbone_args=args)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
    return net.eval()


def mixture():
    net = chain()
    supernet = build_supernet(net, SearchSpace(kernels=(3, 5), dilations=(1, 7)), SIZE)
    for alpha in supernet.architecture():
        nn.init.normal_(alpha)
    return net.eval()


def assert_same(net, lowered, tolerance=1e-5):
    x = torch.randn(3, 2, *SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, got = net(x), lowered.network(x)
    assert float((got - expected).abs().max() / expected.abs().max()) < tolerance


def kinds(lowered):
    return {name: type(lowered.network.backbone.get_submodule(name)) for name in lowered.layers}


@pytest.mark.parametrize("make", [chain, mixture])
@pytest.mark.parametrize(
    ("lowering", "module"),
    [("conv", nn.Conv2d), ("dft_matmul", DFTMatmulConv), ("dft_op", DFTOpConv)],
)
def test_one_form_for_all(make, lowering, module):
    net = make()
    lowered = lower(net, SIZE, lowering=lowering)
    assert_same(net, lowered)
    for name, layer in lowered.layers.items():
        taps = max(layer.conv.kernel)
        assert layer.form == (lowering if taps > 1 else "conv")
        assert kinds(lowered)[name] is (module if taps > 1 else nn.Conv2d)
    assert lowered.fixed == tuple(n for n, k in kinds(lowered).items() if k is not nn.Conv2d)


def test_auto_goes_by_the_costs():
    net = mixture()
    forms = [
        {
            layer.form
            for layer in lower(net, SIZE, costs=costs).layers.values()
            if max(layer.conv.kernel) > 1
        }
        for costs in (FOURIER, DIRECT)
    ]
    assert forms == [{"dft_matmul"}, {"conv"}]
    assert_same(net, lower(net, SIZE, costs=FOURIER))


def test_what_dash_published_stays_direct():
    net = SearchedNet(
        "wrn1d",
        dims=1,
        in_chans=1,
        num_classes=2,
        kernels={
            "spec_version": 1,
            "dims": 1,
            "layers": {"blocks.0.conv2": {"kernel": 11, "dilation": 127}},
        },
    )
    layers = lower(net, (1000,)).layers
    assert layers["blocks.0.conv2"].conv.dilation == (1, 127)
    assert {layer.form for layer in layers.values()} == {"conv"}


def test_the_network_is_left_as_it_is():
    net = mixture()
    net.train()
    before = copy.deepcopy(net.state_dict())
    lower(net, SIZE, lowering="dft_matmul")
    assert net.training
    assert any(isinstance(m, AggConv) for m in net.modules())
    assert not any(isinstance(m, DFTMatmulConv) for m in net.modules())
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_record_is_json_and_tells_why():
    layers = lower(mixture(), SIZE, costs=FOURIER).layers
    told = json.loads(json.dumps({name: layer.to_json() for name, layer in layers.items()}))
    record = told["blocks.0.conv2"]
    assert record["form"] == "dft_matmul"
    assert record["reason"] == "cheaper"
    assert record["conv"]["kernel"] == [1, 29]
    assert set(record["predicted_ms"]) == {"conv", "dft_matmul"}
    assert record["plan"].startswith(("dense", "two-step"))
    assert (
        told["blocks.0.shortcut.0"]["reason"] == "one tap"
        if ("blocks.0.shortcut.0" in told)
        else True
    )


def test_lengths_that_vary_leave_convolutions():
    layers = lower(mixture(), SIZE, costs=FOURIER, dynamic=True).layers
    assert {layer.form for layer in layers.values()} == {"conv"}
    with pytest.raises(UnsupportedLayer, match="samples of one size"):
        lower(mixture(), SIZE, lowering="dft_matmul", dynamic=True)


class Standardised(nn.Conv2d):
    """A convolution that computes something of its own."""

    def forward(self, x):
        return super().forward(x) * 2


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda c: Standardised(c, c, (1, 3), padding="same"), "a Standardised computes"),
        (
            lambda c: nn.Conv2d(c, c, (1, 3), padding="same", padding_mode="circular"),
            "padding circular",
        ),
    ],
)
def test_a_layer_without_the_form_stays_or_is_refused(make, reason):
    net = chain()
    block = net.backbone.get_submodule("blocks.1")
    block.conv2 = make(block.conv2.in_channels)
    lowered = lower(net, SIZE, costs=FOURIER)
    assert lowered.layers["blocks.1.conv2"].form == "conv"
    assert reason in lowered.layers["blocks.1.conv2"].reason
    assert_same(net, lowered)
    with pytest.raises(
        UnsupportedLayer, match=rf"blocks\.1\.conv2 has no form dft_matmul: {reason}"
    ):
        lower(net, SIZE, lowering="dft_matmul")


def test_a_layer_by_fourier_transform_is_a_convolution_again():
    net = chain()
    block = net.backbone.get_submodule("blocks.1")
    expected = copy.deepcopy(net)
    block.conv2 = FFTConv.from_conv(block.conv2)
    lowered = lower(net, SIZE, lowering="conv")
    assert kinds(lowered)["blocks.1.conv2"] is nn.Conv2d
    assert_same(expected, lowered)


def test_bad_requests():
    with pytest.raises(ValueError, match="lowering must be"):
        lower(chain(), SIZE, lowering="winograd")
    with pytest.raises(BadBackbone, match="does not take inputs"):
        lower(SearchedNet("test_resnet", dims=2, in_chans=1, num_classes=2), (0, 0))


def test_layers_are_timed_on_request():
    lowered = lower(chain(), SIZE, lowering="conv")
    timed = measure(lowered, budget=0.001)
    assert all(set(layer.measured_ms) == {"conv"} for layer in timed.layers.values())
    assert all(layer.measured_ms["conv"] > 0 for layer in timed.layers.values())
    assert timed.network is lowered.network
