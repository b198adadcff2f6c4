"""Networks for images made one-dimensional."""

import copy

import pytest
import timm
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.layers import BlurPool2d, CondConv2d, ScaledStdConv2d
from torch import nn

from dashzoo_search.errors import BadBackbone
from dashzoo_search.networks import SearchedNet, create_backbone
from dashzoo_search.networks.planar import make_planar


def planar(net, in_chans=2):
    make_planar(net, name="it", in_chans=in_chans)
    return net.eval()


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "regnetx_002"])
def test_it_is_the_2d_network_whose_kernels_have_only_a_middle_row(name):
    torch.manual_seed(0)
    images = timm.create_model(name, in_chans=2, num_classes=3).eval()
    with torch.no_grad():
        for conv in images.modules():
            if isinstance(conv, nn.Conv2d):
                rows = torch.arange(conv.kernel_size[0]) == conv.padding[0]
                conv.weight.mul_(rows[:, None])
    sequences = planar(copy.deepcopy(images))
    assert {m.kernel_size[0] for m in sequences.modules() if isinstance(m, nn.Conv2d)} == {1}
    x = torch.randn(2, 2, 1, 96)
    y = sequences(x)
    torch.testing.assert_close(y, images(x), atol=1e-5, rtol=1e-4)
    assert y.std() > 1e-4


sizes = st.integers(1, 4)


@settings(max_examples=40, deadline=None)
@given(kernel=sizes, stride=sizes, padding=st.integers(0, 1), dilation=st.integers(1, 2))
def test_windows_act_along_the_sequence_as_they_did_across(kernel, stride, padding, dilation):
    padding = padding if 2 * padding <= kernel else 0
    conv = nn.Conv2d(2, 4, kernel, stride, padding, dilation)
    line = nn.Conv1d(2, 4, kernel, stride, padding, dilation)
    line.load_state_dict({"weight": conv.weight.sum(2), "bias": conv.bias})
    x = torch.randn(2, 2, 1, 20)
    pairs = [
        (conv, line),
        (
            nn.MaxPool2d(kernel, stride, padding, dilation),
            nn.MaxPool1d(kernel, stride, padding, dilation),
        ),
        (nn.AvgPool2d(kernel, stride, padding), nn.AvgPool1d(kernel, stride, padding)),
        (nn.AdaptiveAvgPool2d(kernel), nn.AdaptiveAvgPool1d(kernel)),
        (nn.Upsample(scale_factor=stride), nn.Upsample(scale_factor=stride)),
        (nn.ZeroPad2d((kernel, stride, 3, 4)), nn.ZeroPad1d((kernel, stride))),
    ]
    for plane, wanted in pairs:
        got = planar(nn.Sequential(plane))(x)
        torch.testing.assert_close(got.squeeze(2), wanted(x.squeeze(2)))


class Functional(nn.Module):
    def forward(self, x):
        x = F.avg_pool2d(x, kernel_size=3, stride=2, padding=1)
        x = F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 2, stride=1)
        x = F.interpolate(x, scale_factor=2)
        return F.adaptive_avg_pool2d(x, (7, 8))


def test_functions_with_windows_are_made_one_row_high_too():
    net = planar(nn.Sequential(Functional(), Functional()))
    x = torch.randn(1, 2, 1, 40)
    y = x.squeeze(2)
    for _ in range(2):
        y = F.max_pool1d(F.pad(F.avg_pool1d(y, 3, 2, 1), (0, 1)), 2, stride=1)
        y = F.adaptive_avg_pool1d(F.interpolate(y, scale_factor=2), 8)
    torch.testing.assert_close(net(x).squeeze(2), y)
    assert isinstance(net[0], Functional)
    assert type(net[0]) is type(net[1])
    torch.testing.assert_close(copy.deepcopy(net)(x), net(x))


def test_blurs_keep_their_sum_and_standardised_kernels_their_scale():
    x = torch.randn(2, 4, 1, 32)
    blurred = planar(nn.Sequential(BlurPool2d(4, stride=2)), in_chans=4)(x)
    padded = F.pad(x.squeeze(2), (1, 1), mode="reflect")
    weight = torch.tensor([0.25, 0.5, 0.25]).expand(4, 1, 3)
    torch.testing.assert_close(blurred.squeeze(2), F.conv1d(padded, weight, stride=2, groups=4))
    conv = planar(nn.Sequential(ScaledStdConv2d(4, 8, 3)), in_chans=4)[0]
    assert conv.scale == pytest.approx((4 * 3) ** -0.5)


def test_kernels_that_depend_on_the_sample():
    class Routed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = CondConv2d(2, 3, 3, padding=1, num_experts=2)

        def forward(self, x):
            return self.conv(x, torch.tensor([[1.0, 0.0]]).expand(len(x), 2))

    net = Routed()
    first = net.conv.weight[0].view(3, 2, 3, 3).sum(2).detach()
    x = torch.randn(2, 2, 1, 16)
    torch.testing.assert_close(
        planar(net)(x).squeeze(2), F.conv1d(x.squeeze(2), first, padding=1), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("tresnet_m", r"body\.s2d \(SpaceToDepth\).*take another"),
        ("vit_tiny_patch16_224", r"patch_embed \(PatchEmbed\).*224"),
        ("tiny_vit_5m_224", r"TinyVitBlock\)"),
        ("volo_d1_224", "unfold rearranges square patches"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(name, why):
    with pytest.raises(BadBackbone, match=rf"{name} is for images only: its .*{why}"):
        create_backbone(name, dims=1, in_chans=2, num_classes=2)


def test_outputs_that_grew_rows_are_refused():
    class Grows(nn.Module):
        def forward(self, x):
            return x.expand(-1, -1, 2, -1)

    with pytest.raises(BadBackbone, match=r"outputs of shape \[2, 2, 2, 256\]"):
        planar(nn.Sequential(Grows()))


def test_the_mode_is_as_it_was_and_nothing_is_left_behind():
    for training in (True, False):
        net = timm.create_model("test_resnet", in_chans=2).train(training)
        before = {k: v.clone() for k, v in net.state_dict().items() if "running" in k}
        make_planar(net, name="it", in_chans=2)
        assert net.training is training
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
        assert all(torch.equal(net.state_dict()[k], v) for k, v in before.items())


def test_names_stay_and_users_pass_sequences():
    images = timm.create_model("test_resnet", in_chans=2, num_classes=3)
    net = SearchedNet("test_resnet", dims=1, in_chans=2, num_classes=3).eval()
    assert list(net.backbone.state_dict()) == list(images.state_dict())
    for length in (16, 33, 200):
        assert net(torch.randn(2, 2, length)).shape == (2, 3)
    dense = SearchedNet("test_resnet", dims=1, in_chans=2, num_classes=3, dense=True).eval()
    for length in (16, 33, 200):
        assert dense(torch.randn(2, 2, length)).shape == (2, 3, length)


def test_initial_variance_is_that_of_the_smaller_fan():
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, 7)
    planar(nn.Sequential(conv), in_chans=64)
    own = nn.Conv2d(64, 64, (1, 7))
    assert conv.weight.std().item() == pytest.approx(own.weight.std().item(), rel=0.05)
