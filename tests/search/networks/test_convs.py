"""Which convolutions are searched, and putting chosen kernels in place."""

import pytest
import torch
from timm import create_model
from torch import nn

from dashzoo_search.errors import BadBackbone, BadSpec, UnknownBackbone
from dashzoo_search.networks import SearchedNet, create_backbone
from dashzoo_search.networks.convs import apply_spec, conv_layers, make_conv, trace_sizes
from dashzoo_search.spec import Choice, KernelSpec


def layers_of(net, x, dims=2):
    return {layer.name: layer for layer in conv_layers(net, x, dims=dims)}


def spec(dims=2, **layers):
    return KernelSpec(dims=dims, layers=layers)


def test_resnet_searches_all_but_its_downsample_path():
    layers = layers_of(create_model("resnet18"), torch.zeros(2, 3, 64, 64))
    searched = {name for name, layer in layers.items() if not layer.reason}
    assert "conv1" in searched
    assert "layer2.0.conv1" in searched
    assert len(searched) == 17
    kept = {name: layer.reason for name, layer in layers.items() if layer.reason}
    assert kept == dict.fromkeys(kept, "kernel size 1")
    assert set(kept) == {f"layer{i}.0.downsample.0" for i in (2, 3, 4)}


def test_convnext_searches_its_depthwise_convs_and_keeps_the_patchify_stem():
    layers = layers_of(create_model("convnext_atto"), torch.zeros(1, 3, 64, 64))
    assert layers["stem.0"].reason == "even kernel size"
    assert layers["stages.0.blocks.0.conv_dw"].reason == ""
    assert layers["stages.0.blocks.0.conv_dw"].choice == Choice.cube(7, 1, dims=2)
    assert layers["stages.1.downsample.1"].reason == "even kernel size"


def test_every_odd_case_is_kept_with_its_reason():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.valid = nn.Conv2d(3, 3, 3)
            self.even = nn.Conv2d(3, 3, 4, padding=2)
            self.circular = nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular")
            self.oblong = nn.Conv2d(3, 3, (1, 5), padding=(0, 2))
            self.shortcut = nn.Conv2d(3, 3, 3, padding=1)
            self.same = nn.Conv2d(3, 3, 3, padding="same")
            self.point = nn.Conv2d(3, 3, 1)
            self.unused = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            for name, module in self.named_children():
                if name != "unused":
                    x = module(x)
            return x

    layers = layers_of(Odd(), torch.zeros(1, 3, 16, 16))
    assert {name: layer.reason for name, layer in layers.items()} == {
        "valid": "outputs are not centred on inputs",
        "even": "even kernel size",
        "circular": "padding circular",
        "oblong": "kernel is not square",
        "shortcut": "on a shortcut path",
        "same": "",
        "point": "kernel size 1",
    }


def test_same_padding_is_searched_where_it_is_centred():
    layers = layers_of(create_model("tf_efficientnet_b0"), torch.zeros(1, 3, 64, 64))
    assert "strided Conv2dSame" in layers["conv_stem"].reason
    assert layers["blocks.0.0.conv_dw"].reason == ""


def test_weight_standardised_convs_are_left_alone():
    layers = layers_of(create_model("test_nfnet"), torch.zeros(1, 3, 64, 64))
    reasons = {layer.reason for layer in layers.values()}
    assert reasons == {"kernel size 1", "a ScaledStdConv2d, not an ordinary convolution"}


def test_trace_leaves_mode_and_hooks_as_they_were():
    net = create_backbone("wrn1d", dims=1, in_chans=1, num_classes=2, args={"width": 4}).train()
    sizes = trace_sizes(net, torch.zeros(2, 1, 1, 20))
    assert net.training
    assert sizes["blocks.2.conv3"] == ((1, 20), (1, 20))
    assert not any(m._forward_hooks for m in net.modules())


def test_macs_agree_with_torchs_counter():
    from torch.utils.flop_counter import FlopCounterMode

    conv = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)
    net = nn.Sequential(conv)
    layer = layers_of(net, torch.zeros(1, 4, 11, 9))["0"]
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, 4, 11, 9))
    assert layer.macs == counter.get_total_flops() // 2
    other = make_conv(conv, Choice.cube(5, 2, dims=2))
    parameters, macs = layer.with_choice(Choice.cube(5, 2, dims=2))
    assert parameters == sum(p.numel() for p in other.parameters())
    assert macs == layer.macs * 25 // 9


def test_apply_spec_changes_just_what_it_names():
    net = create_model("resnet10t", in_chans=1, num_classes=3)
    before = net.state_dict()
    apply_spec(net, spec(**{"layer1.0.conv1": Choice.cube(7, 3, dims=2)}))
    conv = net.layer1[0].conv1
    assert (conv.kernel_size, conv.dilation, conv.padding) == ((7, 7), (3, 3), (9, 9))
    after = net.state_dict()
    changed = {k for k in before if before[k].shape != after[k].shape}
    assert changed == {"layer1.0.conv1.weight"}
    assert net(torch.zeros(2, 1, 40, 40)).shape == (2, 3)


def test_apply_spec_keeps_weights_of_an_unchanged_kernel():
    net = create_model("resnet10t")
    conv = net.layer1[0].conv1
    apply_spec(net, spec(**{"layer1.0.conv1": Choice.cube(3, 1, dims=2)}))
    assert net.layer1[0].conv1 is conv


@pytest.mark.parametrize("name", ["layer9.conv", "bn1", "layer2.0.downsample.0", "fc"])
def test_apply_spec_refuses_what_is_no_searchable_conv(name):
    with pytest.raises(BadSpec) as caught:
        apply_spec(create_model("resnet18"), spec(**{name: Choice.cube(3, 1, dims=2)}))
    assert caught.value.field == f"layers.{name}"


def test_unknown_backbones_name_the_nearest():
    with pytest.raises(UnknownBackbone, match="resnet18"):
        create_backbone("resnet_18", dims=2, in_chans=3, num_classes=2)
    with pytest.raises(UnknownBackbone, match=r"wrn1d.*are for sequences"):
        create_backbone("wrn1", dims=1, in_chans=3, num_classes=2)
    with pytest.raises(UnknownBackbone, match="take fno1d"):
        create_backbone("fno2d", dims=1, in_chans=3, num_classes=2)
    with pytest.raises(UnknownBackbone, match="sequences"):
        create_backbone("wrn1d", dims=2, in_chans=3, num_classes=2)


@pytest.mark.parametrize(
    "args",
    [{"checkpoint_path": "/etc/passwd"}, {"pretrained": True}, {"nonsense": 1}, {"width": "x"}],
)
def test_backbone_arguments_that_fetch_files_or_make_no_sense_are_refused(args):
    with pytest.raises(BadBackbone):
        create_backbone("wrn1d", dims=1, in_chans=1, num_classes=2, args=args)


def test_inputs_too_small_for_a_backbone_are_refused():
    net = SearchedNet("inception_v3", dims=2, in_chans=1, num_classes=2)
    with pytest.raises(BadBackbone, match="--resize"):
        list(conv_layers(net.backbone, torch.zeros(1, 1, 8, 8), dims=2))
