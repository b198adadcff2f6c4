"""XD-operations: a convolution at the start, and what else lies in their space."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.networks.fno import SpectralConv
from dashzoo_search.ops.circulant import Circulant
from dashzoo_search.ops.kaleidoscope import Kaleidoscope, bit_reversed
from dashzoo_search.ops.xd import XDConv

LAYERS = {1: nn.Conv1d, 2: nn.Conv2d}


def distance(got: Tensor, wanted: Tensor) -> float:
    assert got.shape == wanted.shape
    return float((got - wanted).detach().abs().max() / wanted.detach().abs().max().clamp(min=1e-3))


def reference(layer: XDConv, x: Tensor) -> Tensor:
    """Real(K Σ diag(L w) M x) by dense matrices, from the equation."""
    before = [axis.wrap for axis in reversed(layer.axes)]
    ends = [samples for pair in before for samples in pair]
    x = F.pad(x, ends, mode="circular") if any(ends) else x
    matrices = {}
    for name in "KLM":
        whole = torch.ones(1, 1, dtype=torch.complex128)
        for matrix in getattr(layer, name):
            whole = torch.kron(whole, matrix.dense().to(torch.complex128))
        matrices[name] = whole
    lengths = [axis.length for axis in layer.axes]
    signal = x.new_zeros(*x.shape[:2], *lengths)
    signal[(..., *(slice(n) for n in x.shape[2:]))] = x
    kernel = x.new_zeros(*layer.weight.shape[:2], *lengths)
    grid = torch.meshgrid(*(torch.tensor(a.places) for a in layer.axes), indexing="ij")
    kernel[(..., *grid)] = layer.weight
    spectrum = kernel.flatten(2).to(torch.complex128) @ matrices["L"].mT
    z = signal.flatten(2).to(torch.complex128) @ matrices["M"].mT
    out, fan = layer.weight.shape[:2]
    each = out // layer.groups
    y = torch.stack(
        [(spectrum[o] * z[:, o // each * fan : (o // each + 1) * fan]).sum(1) for o in range(out)],
        1,
    )
    y = (y @ matrices["K"].mT).real.unflatten(2, lengths)
    kept = (slice(0, a.reach, a.stride) for a in layer.axes)
    y = y[(..., *kept)]
    return y if layer.bias is None else y + layer.bias.view(-1, *[1] * len(lengths))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@settings(max_examples=50, deadline=None)
@given(
    data=st.data(),
    dims=st.sampled_from((1, 2)),
    groups=st.sampled_from((1, 2, 4)),
    outs=st.sampled_from((4, 8)),
    mode=st.sampled_from(("zeros", "circular")),
    depth=st.integers(1, 4),
)
def test_it_starts_as_the_convolution(data, dims, groups, outs, mode, depth) -> None:
    def axes(low: int, high: int) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(low, high)) for _ in range(dims))

    size, kernel, dilation, stride = axes(3, 18), axes(1, 5), axes(1, 3), axes(1, 3)
    named = data.draw(st.sampled_from(("same", "valid", None)))
    padding = named or axes(0, 6)
    stride = (1,) * dims if named == "same" else stride
    spans = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if named is None:
        assume(mode == "zeros" or all(p <= n for p, n in zip(padding, size, strict=True)))
        assume(all(n + 2 * p > e for n, p, e in zip(size, padding, spans, strict=True)))
    else:
        assume(all(n > e for n, e in zip(size, spans, strict=True)))
    conv = LAYERS[dims](
        4,
        outs,
        kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=mode,
        bias=data.draw(st.booleans()),
    )
    x = torch.randn(2, 4, *size)
    layer = XDConv.from_conv(conv, size, depth=depth)
    assert distance(layer(x), conv(x)) < 1e-5
    layer = XDConv.from_conv(conv.double(), size, depth=depth)
    assert distance(layer(x.double()), conv(x.double())) < 1e-11


@pytest.mark.parametrize("size", [(1, 46), (1, 1000), (32, 32), (85, 85)])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_at_sizes_of_tasks(size, depth, mode) -> None:
    kernel = (1, 15) if size[0] == 1 else (13, 13)
    conv = nn.Conv2d(2, 3, kernel, padding="same", dilation=2, padding_mode=mode)
    x = torch.randn(1, 2, *size)
    assert distance(XDConv.from_conv(conv, size, depth=depth)(x), conv(x)) < 1e-5


def perturbed(layer: XDConv) -> XDConv:
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in layer.architecture():
            p.add_(torch.randn(p.shape, generator=chance, dtype=torch.float64), alpha=0.3)
    return layer


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize(("dims", "groups", "stride"), [(1, 1, 1), (1, 4, 2), (2, 2, 1), (2, 1, 2)])
def test_anywhere_it_is_its_equation(depth, mode, dims, groups, stride) -> None:
    size = (8, 5)[:dims]
    conv = LAYERS[dims](4, 8, 3, padding=1, stride=stride, groups=groups, padding_mode=mode)
    layer = perturbed(XDConv.from_conv(conv.double(), size, depth=depth))
    x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    y, wanted = layer(x), reference(layer, x)
    assert distance(y, wanted) < 1e-11
    slope = torch.randn_like(y)
    inputs = (x, *layer.parameters())
    ours, theirs = (torch.autograd.grad(out, inputs, slope) for out in (y, wanted))
    for got, right in zip(ours, theirs, strict=True):
        assert distance(got, right) < 1e-10


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


def test_weights_and_architecture_are_apart_and_travel() -> None:
    conv = nn.Conv2d(4, 8, 3, padding=1, groups=2)
    layer = perturbed(XDConv.from_conv(conv, (6, 9), depth=3))
    weights, twiddles = list(layer.weights()), list(layer.architecture())
    assert {id(p) for p in weights} == {id(layer.weight), id(layer.bias)}
    assert {id(p) for p in weights + twiddles} == {id(p) for p in layer.parameters()}
    assert len(twiddles) == 6
    assert not any(p.is_complex() for p in layer.parameters())
    other = XDConv.from_conv(nn.Conv2d(4, 8, 3, padding=1, groups=2), (6, 9), depth=3)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(2, 4, 6, 9)
    assert torch.equal(layer(x), other(x))
    layer.reset_architecture()
    assert distance(layer(x), conv(x)) < 1e-5


def test_under_autocast_it_computes_in_single_precision() -> None:
    conv = nn.Conv1d(3, 3, 3, padding=1)
    layer, x = XDConv.from_conv(conv, (20,)), torch.randn(2, 3, 20).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    assert distance(y.float(), conv(x.float())) < 1e-2


@pytest.mark.parametrize(
    ("n", "settings", "length", "wrap"),
    [
        (32, {"taps": 1}, 32, (0, 0)),
        (32, {"taps": 3, "padding": 1}, 64, (0, 0)),
        (30, {"taps": 5, "padding": 2}, 32, (0, 0)),
        (3, {"taps": 1, "padding": 1}, 8, (0, 0)),
        (30, {"taps": 7, "padding": "same", "dilation": 2}, 64, (0, 0)),
        (32, {"taps": 13, "padding": "same", "circular": True}, 32, (0, 0)),
        (85, {"taps": 13, "padding": "same", "circular": True}, 128, (6, 6)),
        (1, {"taps": 1}, 1, (0, 0)),
    ],
)
def test_sizes_are_padded_as_documented(n, settings, length, wrap) -> None:
    axis = Circulant.of(n, **settings)
    assert (axis.length, axis.wrap) == (length, wrap)


def test_what_it_refuses() -> None:
    for mode in ("reflect", "replicate"):
        with pytest.raises(UnsupportedLayer, match="use zeros or circular"):
            XDConv.from_conv(nn.Conv1d(2, 2, 3, padding=1, padding_mode=mode), (8,))
    for depth in (0, 5):
        with pytest.raises(UnsupportedLayer, match="take 1 to 4"):
            XDConv(2, 2, (3,), (8,), depth=depth)
    for length, next_step in ((8, "take 16 or more"), (24, "power of two")):
        with pytest.raises(UnsupportedLayer, match=next_step):
            XDConv(2, 2, (3,), (8,), padding=1, length=(length,))
    with pytest.raises(UnsupportedLayer, match="ConvTranspose2d"):
        XDConv.from_conv(nn.ConvTranspose2d(2, 2, 3), (8, 8))
    with pytest.raises(UnsupportedLayer, match="use 1 or 2"):
        XDConv.from_conv(nn.Conv3d(2, 2, 3), (8, 8, 8))
    with pytest.raises(ValueError, match="does not fit"):
        XDConv(2, 2, (9,), (8,))
    layer = XDConv(2, 2, (3,), (8,), padding=1)
    with pytest.raises(UnsupportedLayer, match="for inputs of 8, not 9"):
        layer(torch.zeros(1, 2, 9))
    with pytest.raises(ValueError, match="expected"):
        layer(torch.zeros(1, 3, 8))
