"""What else than convolutions lies in the space of XD-operations, set exactly."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dashzoo_search.networks.fno import SpectralConv
from dashzoo_search.ops.kaleidoscope import Kaleidoscope, bit_reversed
from dashzoo_search.ops.xd import XDConv

LAYERS = {1: nn.Conv1d, 2: nn.Conv2d}


def distance(got: Tensor, wanted: Tensor) -> float:
    assert got.shape == wanted.shape
    return float((got - wanted).detach().abs().max() / wanted.detach().abs().max().clamp(min=1e-3))


def identity(channels: int, taps: int = 1, dims: int = 1) -> Tensor:
    """A kernel that passes every channel on, by its first tap."""
    weight = torch.zeros(channels, channels, *[taps] * dims, dtype=torch.float64)
    weight[(..., *[0] * dims)] = torch.eye(channels, dtype=torch.float64)
    return weight


def scale_rows(matrix: Kaleidoscope, scale: Tensor) -> None:
    """Multiply the rows of ``matrix``, whose last butterfly must be a decreasing one."""
    with torch.no_grad():
        last = torch.view_as_complex(matrix.twiddle)[-1, 0]
        last *= scale.view(-1, 2, 1)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_average_pooling_by_architecture_alone(depth, stride) -> None:
    """A 1×1 convolution whose L is the spectrum of a box."""
    layer = XDConv(3, 3, (1,), (16,), bias=False, depth=depth, dtype=torch.float64, length=(32,))
    box = torch.zeros(32, dtype=torch.float64)
    box[-torch.arange(4) % 32] = 1 / 4
    with torch.no_grad():
        layer.weight.copy_(identity(3))
    scale_rows(layer.L[0], torch.fft.fft(box)[bit_reversed(32)])
    x = torch.randn(2, 3, 16, dtype=torch.float64)
    pooled = layer(x)[..., : 16 - 3 : stride]
    assert distance(pooled, F.avg_pool1d(x, 4, stride)) < 1e-12


def test_average_pooling_of_planes() -> None:
    pool = nn.AvgPool2d(3, 2, padding=1)
    layer = XDConv(4, 4, (3, 3), (12, 9), stride=2, padding=1, groups=4, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1 / 9)
    x = torch.randn(2, 4, 12, 9)
    assert distance(layer(x), pool(x)) < 1e-5


@pytest.mark.parametrize("depth", [1, 3])
def test_the_identity_from_any_kernel(depth) -> None:
    """K = M = 1 and L reads one tap alone: every kernel becomes that tap."""
    conv = nn.Conv1d(3, 3, 5, padding=2, dtype=torch.float64, bias=False)
    layer = XDConv.from_conv(conv, (13,), depth=depth)
    (axis,) = layer.axes
    for side in (layer.K, layer.L, layer.M):
        side[0].set_identity()
    with torch.no_grad():
        # Every row of L is that of index 0, where the tap in the middle stands.
        torch.view_as_complex(layer.L[0].twiddle)[-1] = torch.tensor(
            [[1, 0], [1, 0]], dtype=torch.complex128
        )
        layer.weight[..., axis.places.index(0)] = torch.eye(3, dtype=torch.float64)
    x = torch.randn(2, 3, 13, dtype=torch.float64)
    assert distance(layer(x), x) < 1e-12


def test_dilation_by_architecture_alone() -> None:
    conv = nn.Conv1d(2, 4, 3, padding=1, dtype=torch.float64)
    layer = XDConv.from_conv(conv, (20,))
    layer.L[0].set_fourier(step=3, reversed_spectrum=True)
    x = torch.randn(2, 2, 20, dtype=torch.float64)
    wanted = F.conv1d(x, conv.weight, conv.bias, padding=3, dilation=3)
    assert distance(layer(x), wanted) < 1e-12


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize(("stride", "kernel"), [(2, 4), (2, 3), (3, 5), (4, 2)])
def test_transposed_convolution(depth, stride, kernel) -> None:
    """M at every stride-th frequency reads a signal with zeros between its samples."""
    conv = nn.ConvTranspose1d(3, 5, kernel, stride=stride, dtype=torch.float64)
    x = torch.randn(2, 3, 11, dtype=torch.float64)
    wanted = conv(x)
    layer = XDConv(
        3, 5, (kernel,), (11,), padding=24, depth=depth, dtype=torch.float64, length=(64,)
    )
    layer.M[0].set_fourier(step=stride, norm="ortho", reversed_spectrum=True)
    # L puts tap j, which stands at p − j, at j: it turns the other way, and all of it by p.
    layer.L[0].set_fourier(step=-1, reversed_spectrum=True)
    angle = torch.arange(64).double() * layer.axes[0].places[0] * (-2 * torch.pi / 64)
    turn = torch.polar(torch.ones_like(angle), angle)
    scale_rows(layer.L[0], turn[bit_reversed(64)])
    with torch.no_grad():
        layer.weight.copy_(conv.weight.transpose(0, 1))
        layer.bias.copy_(conv.bias)
    assert distance(layer(x)[..., : wanted.shape[-1]], wanted) < 1e-11


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("size", [(1, 32), (16, 8)])
def test_the_spectral_convolution_of_fno(depth, size) -> None:
    """L drops the high frequencies of a kernel as large as the plane, whatever they are."""
    modes = 3
    fno = SpectralConv(3, 4, modes, 1 if size[0] == 1 else 2).double()
    layer = XDConv(
        3, 4, size, size, padding="same", padding_mode="circular", depth=depth, dtype=torch.float64
    )
    # Below 0 there is one row more than above, and its mirror image in the other half.
    kept = [
        torch.tensor([min(f, n - f) < modes + rows for f in range(n)])
        for n, rows in zip(size, (1, 0), strict=True)
    ]
    for matrix, low in zip(layer.L, kept, strict=True):
        if len(low) > 1:
            scale_rows(matrix, low[bit_reversed(len(low))])
    noise = torch.fft.fft2(torch.randn(4, 3, *size, dtype=torch.float64))
    noise[..., kept[0][:, None] & kept[1]] = 0
    kernel = answer_to_an_impulse(fno, size) + torch.fft.ifft2(noise).real
    for dim, axis in enumerate(layer.axes, 2):
        kernel = kernel.index_select(dim, torch.tensor(axis.places))
    with torch.no_grad():
        layer.weight.copy_(kernel)
        layer.bias.zero_()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    assert distance(layer(x), fno(x)) < 1e-10


def answer_to_an_impulse(layer: nn.Module, size: tuple[int, ...]) -> Tensor:
    """[o, i, *size] of a layer of three channels."""
    x = torch.zeros(3, 3, *size, dtype=torch.float64)
    x[range(3), range(3), 0, 0] = 1
    return layer(x).detach().transpose(0, 1)
