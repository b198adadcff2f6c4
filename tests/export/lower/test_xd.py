"""XD-operations as they are exported, against the layer and in ONNX Runtime."""

from __future__ import annotations

import onnx
import pytest
import torch
from torch import Tensor, nn

from dashzoo_export.lower.plane import PlaneConv
from dashzoo_export.lower.timing import layer_model
from dashzoo_export.lower.xd import DenseXD, FactoredXD, lower_xd
from dashzoo_export.session import open_session
from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops.xd import XDConv

ALLOWED = {"MatMul", "Mul", "Add", "Transpose", "Reshape"}

CONVS = [
    ({"kernel_size": (1, 7), "padding": (0, 3)}, (1, 20)),
    ({"kernel_size": 3, "padding": 1, "stride": 2, "groups": 2}, (9, 12)),
    ({"kernel_size": 3, "padding": "same", "dilation": 2, "padding_mode": "circular"}, (8, 10)),
    ({"kernel_size": (2, 5), "padding": "valid", "stride": (1, 3), "groups": 4}, (7, 16)),
]


def searched(settings, size, *, depth=1, by=0.2) -> XDConv:
    torch.manual_seed(0)
    layer = XDConv.from_conv(nn.Conv2d(4, 8, **settings), size, depth=depth)
    with torch.no_grad():
        for p in layer.architecture():
            p.add_(torch.randn_like(p), alpha=by)
    return layer


def relative(got: Tensor, wanted: Tensor) -> float:
    assert got.shape == wanted.shape
    return float((got - wanted).detach().abs().max() / wanted.detach().abs().max())


@pytest.mark.parametrize(("settings", "size"), CONVS)
@pytest.mark.parametrize(("form", "limit"), [(DenseXD, 10**9), (FactoredXD, 0)])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_searched_layer_computes_the_same(settings, size, form, limit, depth) -> None:
    layer = searched(settings, size, depth=depth)
    made = lower_xd(layer, dense_limit=limit)
    assert type(made) is form
    x = torch.randn(3, 4, *size)
    assert relative(made(x), layer(x)) < 3e-6


@pytest.mark.parametrize(
    ("settings", "size", "limit"),
    [(*CONVS[0], 10**9), (*CONVS[1], 10**9), (*CONVS[2], 0), (*CONVS[3], 0)],
)
def test_in_the_runtime_it_is_products_sums_and_reshapes(settings, size, limit) -> None:
    layer = searched(settings, size)
    made = lower_xd(layer, dense_limit=limit)
    out = tuple(axis.outputs for axis in layer.axes)
    data = layer_model(made, PlaneConv(ins=4, outs=8, size=size, out=out, kernel=(1, 1)))
    assert {node.op_type for node in onnx.load_from_string(data).graph.node} <= ALLOWED
    session = open_session(data, threads=1)
    for batch in (1, 3):
        x = torch.randn(batch, 4, *size)
        (got,) = session.run(None, {"x": x.numpy()})
        assert relative(torch.from_numpy(got), layer(x)) < 3e-6


@pytest.mark.parametrize(("settings", "size"), CONVS)
@pytest.mark.parametrize("depth", [1, 3])
def test_what_still_is_a_convolution_becomes_it(settings, size, depth) -> None:
    layer = searched(settings, size, depth=depth, by=1e-7)
    made = lower_xd(layer)
    assert isinstance(made, nn.Conv2d)
    assert made.weight.shape == layer.weight.shape
    assert relative(made.weight, layer.weight) < 1e-4
    x = torch.randn(3, 4, *size)
    assert relative(made(x), layer(x)) < 1e-5


def test_a_convolution_with_another_kernel_is_found() -> None:
    """L alone can dilate a kernel; the layer then is a convolution, though not its own."""
    conv = nn.Conv2d(2, 3, (1, 3), padding="same")
    layer = XDConv.from_conv(conv, (1, 20))
    layer.L[1].set_fourier(step=4, reversed_spectrum=True)
    made = lower_xd(layer)
    assert isinstance(made, nn.Conv2d)
    assert (made.kernel_size, made.dilation) == ((1, 3), (1, 4))
    x = torch.randn(2, 2, 1, 20)
    assert relative(made(x), layer(x)) < 1e-5


def test_a_layer_just_beyond_the_tolerance_is_no_convolution() -> None:
    layer = searched(*CONVS[0], by=1e-3)
    assert isinstance(lower_xd(layer, tolerance=1e-4), DenseXD)
    assert isinstance(lower_xd(layer, tolerance=1e-1), nn.Conv2d)


def test_one_channel_alone_can_be_no_convolution() -> None:
    """Weights that nobody hears at the corners are heard by random signals."""
    layer = XDConv.from_conv(nn.Conv2d(1, 1, 1), (1, 8))
    with torch.no_grad():
        layer.M[1].set_identity()
        layer.K[1].set_identity()
        # Only the sample in the middle differs: no impulse in a corner tells.
        layer.L[1].set_identity()
        layer.L[1].twiddle.zero_()
        layer.L[1].twiddle[..., 0, 0] = 1
        layer.L[1].twiddle[:, :, :, 1, 0, 0] = 1
        layer.L[1].twiddle[0, 0, 2, 1, 0, 0] = 3
    assert isinstance(lower_xd(layer), DenseXD)


def test_constants_stay_float32_and_other_sizes_are_refused() -> None:
    layer = searched(*CONVS[0])
    for limit in (10**9, 0):
        made = lower_xd(layer, dense_limit=limit)
        x = torch.randn(1, 4, 1, 20)
        wanted = made(x)
        assert relative(made.half()(x.half()).float(), wanted) < 5e-3
        assert {b.dtype for b in made.buffers()} == {torch.float32}
        with pytest.raises(UnsupportedLayer, match="lower the network for that size"):
            made(torch.zeros(1, 4, 1, 21))


def test_sequences_are_lowered_as_planes() -> None:
    with pytest.raises(UnsupportedLayer, match="height 1"):
        lower_xd(XDConv(2, 2, (3,), (8,), padding=1))
