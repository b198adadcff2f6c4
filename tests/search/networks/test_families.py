"""Our own families: WRN's parameters, what a TCN sees, FNO against circular convolution."""

import itertools

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F

from dashzoo_search.networks import SearchedNet, create_backbone
from dashzoo_search.networks.convs import conv_layers
from dashzoo_search.networks.fno import SpectralConv


def searched(net, x, dims=2):
    return [layer.name for layer in conv_layers(net, x, dims=dims) if not layer.reason]


@pytest.mark.parametrize(("name", "widen"), [("wrn_16_1", 1), ("wrn_16_4", 4)])
def test_wide_resnets_have_the_papers_parameters(name, widen):
    wide = [16, 16 * widen, 32 * widen, 64 * widen]
    convs = 9 * 3 * 16
    for i, o in itertools.pairwise(wide):
        convs += 9 * (i * o + 3 * o * o) + (i * o if i != o else 0)
    norms = 2 * sum(i + 3 * o for i, o in itertools.pairwise(wide)) + 2 * wide[-1]
    net = timm.create_model(name)
    count = sum(p.numel() for p in net.parameters())
    assert count == convs + norms + 10 * (wide[-1] + 1)
    assert count == {"wrn_16_1": 175_066, "wrn_16_4": 2_748_890}[name]  # the paper: 0.2 M, 2.7 M


@pytest.mark.parametrize(("width", "widen"), [(12, 1), (8, 4)])
def test_wide_resnets_of_other_widths(width, widen):
    net = timm.create_model("wrn_16_1", width=width, widen=widen, in_chans=1)
    features = [width * widen * 2**group for group in range(3)]
    assert [level["num_chs"] for level in net.feature_info] == features
    assert (net.conv1.out_channels, net.num_features) == (width, features[-1])
    assert net(torch.randn(2, 1, 9, 9)).shape == (2, 10)


def test_wide_resnets_search_their_13_convolutions_and_stride_twice():
    net = timm.create_model("wrn_16_1")
    x = torch.randn(2, 3, 32, 32)
    assert len(searched(net, x)) == 13
    assert net.forward_features(x).shape == (2, 64, 8, 8)
    assert net(x).shape == (2, 10)


def tcn(**args):
    torch.manual_seed(0)
    args = {"width": 4, "depth": 3, **args}
    return SearchedNet(
        "tcn", dims=1, in_chans=1, num_classes=2, dense=True, backbone_args=args
    ).eval()


@pytest.mark.parametrize("causal", [False, True])
def test_a_tcn_sees_just_its_receptive_field(causal):
    net, length, at = tcn(causal=causal), 101, 50
    for module in net.modules():  # no ReLU may hide a path
        if isinstance(module, torch.nn.BatchNorm2d):
            module.bias.data.fill_(10)
    x = torch.randn(1, 1, length, requires_grad=True)
    net(x)[0, 0, at].backward()
    seen = x.grad[0, 0].nonzero().flatten()
    reach = 2 * 2 * (2**3 - 1)
    first, last = (at - reach, at) if causal else (at - reach // 2, at + reach // 2)
    assert (int(seen.min()), int(seen.max())) == (first, last)


def test_a_causal_tcn_is_not_searched_and_reads_its_last_sample():
    x = torch.randn(1, 1, 40)
    assert len(searched(tcn().backbone, tcn().preprocess(x), dims=1)) == 6
    assert searched(tcn(causal=True).backbone, x.unsqueeze(2), dims=1) == []
    net = create_backbone("tcn", dims=1, in_chans=1, num_classes=2, args={"causal": True}).eval()
    features = net.forward_features(x.unsqueeze(2))
    assert torch.equal(net(x.unsqueeze(2)), net.fc(features[..., 0, -1]))


def kernel_of(conv, h, w):
    """The real kernel [out, in, h, w] that ``conv`` circularly convolves a plane of h × w with."""
    weight = torch.view_as_complex(conv.weight.detach().double())
    rows = [*range(conv.rows[0]), *range(-conv.rows[1], 0)]
    y, x = torch.arange(h).double(), torch.arange(w).double()
    kernel = torch.zeros(*weight.shape[:2], h, w, dtype=torch.float64)
    for i, row in enumerate(rows):
        if not -(h // 2) <= row < h - h // 2:
            continue
        for column in range(min(weight.shape[3], w // 2 + 1)):
            phase = 2 * np.pi * (row * y[:, None] / h + column * x / w)
            wave = torch.complex(phase.cos(), phase.sin())
            share = 1 if 2 * column in (0, w) else 2
            kernel += share * (weight[:, :, i, column, None, None] * wave).real / (h * w)
    return kernel.transpose(0, 1)


def circular(x, kernel):
    """Σ_q x[q] kernel[p − q], positions modulo the plane."""
    h, w = x.shape[-2:]
    padded = F.pad(x, (w - 1, 0, h - 1, 0), mode="circular")
    return F.conv2d(padded, kernel.flip(-1, -2))


@pytest.mark.parametrize(
    ("dims", "modes", "size"),
    [
        (2, 3, (9, 11)),
        (2, 3, (8, 12)),
        (2, 4, (6, 6)),
        (2, 3, (4, 5)),
        (1, 4, (1, 13)),
        (1, 9, (1, 8)),
    ],
)
def test_a_spectral_convolution_is_a_circular_one(dims, modes, size):
    torch.manual_seed(0)
    conv = SpectralConv(2, 3, modes, dims).double()
    with torch.no_grad():
        conv.weight.normal_()
    kernel = kernel_of(conv, *size)
    x = torch.randn(2, 2, *size, dtype=torch.float64, requires_grad=True)
    out, expected = conv(x), circular(x, kernel)
    torch.testing.assert_close(out, expected, atol=1e-10, rtol=1e-10)
    seed = torch.randn_like(out)
    (found,), (wanted,) = (torch.autograd.grad(y, x, seed) for y in (out, expected))
    torch.testing.assert_close(found, wanted, atol=1e-10, rtol=1e-10)
    assert torch.autograd.gradcheck(
        lambda weight: torch.func.functional_call(conv, {"weight": weight}, (x.detach(),)),
        (conv.weight,),
    )


def test_a_spectral_convolution_is_that_of_an_fft():
    conv = SpectralConv(2, 3, 3, 2)
    x = torch.randn(2, 2, 10, 11)
    spectrum, weight = torch.fft.rfft2(x), torch.view_as_complex(conv.weight.detach())
    kept = torch.zeros(2, 3, 10, 6, dtype=torch.complex64)
    for rows, ours in ((slice(0, 3), slice(0, 3)), (slice(-3, None), slice(3, 6))):
        kept[:, :, rows, :3] = torch.einsum(
            "bixy,ioxy->boxy", spectrum[:, :, rows, :3], weight[:, :, ours]
        )
    torch.testing.assert_close(conv(x), torch.fft.irfft2(kept, s=(10, 11)), atol=1e-5, rtol=1e-4)


def test_spectral_convolutions_stay_in_float32_under_amp():
    conv, x = SpectralConv(2, 2, 3, 2), torch.randn(1, 2, 9, 9)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(conv(x), conv(x.float()))
        assert conv(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(("name", "dims"), [("fno1d", 1), ("fno2d", 2)])
def test_fno_has_nothing_to_search_and_the_papers_size(name, dims):
    net = create_backbone(name, dims=dims, in_chans=3, num_classes=1, dense=True)
    assert searched(net, torch.zeros(1, 3, *((1, 20) if dims == 1 else (20, 20))), dims=dims) == []
    modes = 16 if dims == 1 else 12 * 24
    spectral = 4 * (32 * 32 * modes * 2 + 32 * 33)
    assert sum(p.numel() for p in net.parameters()) == spectral + 32 * 4 + 128 * 33 + 129
    assert not any(p.is_complex() for p in net.parameters())
