"""FFTConv against torch's own layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops.fftconv import FFTConv

from .reference import assert_close

LAYERS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize(
    ("padding", "stride", "dilation", "groups"),
    [(2, 2, 1, 1), ("same", 1, 2, 2), ("valid", 1, 1, 4), (0, 3, 1, 2)],
)
def test_it_is_the_layer_it_is_made_from(dims, mode, padding, stride, dilation, groups) -> None:
    torch.manual_seed(0)
    conv = LAYERS[dims](
        4,
        8,
        3,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=groups != 2,
        padding_mode=mode,
        dtype=torch.float64,
    )
    x = torch.randn(2, 4, *(9,) * dims, dtype=torch.float64, requires_grad=True)
    made = FFTConv.from_conv(conv)
    expected = conv(x)
    assert_close(made(x), expected, 1e-10)
    slope = torch.randn_like(expected)
    ours, theirs = (
        torch.autograd.grad(layer(x), (x, conv.weight), slope) for layer in (made, conv)
    )
    for got, wanted in zip(ours, theirs, strict=True):
        assert_close(got, wanted, 1e-10)


def test_state_dicts_go_either_way() -> None:
    conv = nn.Conv2d(3, 6, (5, 2), stride=(1, 2), groups=3)
    made = FFTConv(3, 6, (5, 2), stride=(1, 2), groups=3)
    made.load_state_dict(conv.state_dict())
    x = torch.randn(1, 3, 8, 8)
    assert_close(made(x), conv(x), 1e-5)
    assert {n: p.shape for n, p in made.named_parameters()} == {
        n: p.shape for n, p in conv.named_parameters()
    }


def test_it_shares_parameters_and_mode_with_its_source() -> None:
    conv = nn.Conv1d(2, 2, 3).eval()
    made = FFTConv.from_conv(conv)
    assert made.weight is conv.weight
    assert not made.training


def test_what_it_refuses() -> None:
    with pytest.raises(UnsupportedLayer, match="ConvTranspose1d"):
        FFTConv.from_conv(nn.ConvTranspose1d(2, 2, 3))
    with pytest.raises(UnsupportedLayer, match="4 axes"):
        FFTConv(1, 1, (3, 3, 3, 3))
