"""XD-operations: a convolution at the start, and what else lies in their space."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops.circulant import Circulant
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
