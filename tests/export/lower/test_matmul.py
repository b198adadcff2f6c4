"""Convolutions by transform matrices and by ONNX's DFT, against torch's convolution."""

import dataclasses
import itertools

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from dashzoo_export.lower import DFTMatmulConv, FrequencyConv
from dashzoo_export.lower.dft_op import DFTOpConv
from dashzoo_export.lower.plan import SPECTRUM_LIMIT, plans, spectrum_bytes
from dashzoo_export.lower.plane import PlaneConv
from dashzoo_export.lower.timing import conv_model, layer_model
from dashzoo_export.session import open_session
from dashzoo_search.errors import UnsupportedLayer

# What the CPU, CUDA and TensorRT providers all have.
EVERYWHERE = {"Add", "Concat", "MatMul", "Mul", "Pad", "Reshape", "Slice", "Sub", "Transpose"}


def row(n=40, k=9, d=1, s=1, groups=1, channels=4):
    """A sequence's convolution, padded to keep its centre."""
    span = d * (k - 1)
    out = (1, (n + 2 * (span // 2) - span - 1) // s + 1)
    return PlaneConv(
        ins=channels,
        outs=channels,
        size=(1, n),
        out=out,
        kernel=(1, k),
        dilation=(1, d),
        stride=(1, s),
        before=(0, span // 2),
        groups=groups,
    )


def weight_of(conv):
    shape = (conv.outs, conv.ins // conv.groups, *conv.kernel)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def relative(got, wanted):
    assert got.shape == wanted.shape
    return float((got - wanted).abs().max() / wanted.abs().max().clamp(min=1e-3))


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    flat=st.booleans(),
    groups=st.sampled_from((1, 2, 4)),
    outs=st.sampled_from((4, 8)),
    batch=st.integers(1, 3),
    seed=st.integers(0, 999),
)
def test_every_plan_is_the_convolution(data, flat, groups, outs, batch, seed):
    def pair(low, high, high_flat):
        if flat:
            return (0 if low == 0 else 1, data.draw(st.integers(low, high_flat)))
        return tuple(data.draw(st.integers(low, high)) for _ in range(2))

    size, kernel, dilation = pair(5, 20, 80), pair(1, 7, 40), pair(1, 3, 5)
    stride, padding = pair(1, 3, 3), pair(0, 8, 50)
    size = (1, size[1]) if flat else size
    spans = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    assume(all(n + 2 * p > e for n, p, e in zip(size, padding, spans, strict=True)))
    torch.manual_seed(seed)
    layer = nn.Conv2d(
        4, outs, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    x = torch.randn(batch, 4, *size)
    with torch.no_grad():
        wanted = layer.double()(x.double())
        layer.float()
        conv = PlaneConv.of(layer, size, tuple(wanted.shape[2:]))
        every = list(plans(conv))
        assert every
        some = data.draw(st.lists(st.sampled_from(every), min_size=1, max_size=3))
        forms = [DFTMatmulConv(layer.weight, layer.bias, conv, plan) for plan in some]
        for made in (*forms, DFTOpConv(layer.weight, layer.bias, conv)):
            assert relative(made(x), wanted) < 3e-6, made


@pytest.mark.parametrize("padding", ["same", "valid", "timm"])
def test_padding_by_name(padding):
    torch.manual_seed(0)
    made = {"stride": 2, "dilation": 2} if padding == "timm" else {"padding": padding}
    kernel = (4 if padding == "timm" else 3, 5)
    layer = (Conv2dSame if padding == "timm" else nn.Conv2d)(3, 5, kernel, **made).eval()
    x = torch.randn(2, 3, 13, 16)
    with torch.no_grad():
        wanted = layer(x)
        conv = PlaneConv.of(layer, (13, 16), tuple(wanted.shape[2:]))
        for plan in itertools.islice(plans(conv), 4):
            assert relative(DFTMatmulConv(layer.weight, layer.bias, conv, plan)(x), wanted) < 3e-6


def test_a_long_sequence_is_as_exact_as_a_short_one():
    conv = row(n=6000, k=1501, channels=1)
    x, weight = torch.randn(1, 1, 1, 6000), weight_of(conv)
    wanted = F.conv2d(x.double(), weight.double(), padding=conv.before)
    plan = next(p for p in plans(conv) if p.tiles == 1)
    assert plan.factors is not None
    assert relative(DFTMatmulConv(weight, None, conv, plan)(x), wanted) < 3e-6


def test_only_half_the_spectrum_and_no_rows_for_padding():
    conv = row(n=100, k=21)
    made = DFTMatmulConv(weight_of(conv), None, conv, next(plans(conv)))
    assert made.plan.width.length == 110  # not 120
    assert made.first_in.shape == (2 * 56, 100)
    assert made.spectrum.shape == (56, 4, 8)


def test_spectra_stay_below_the_limit():
    conv = row(n=8192, k=1001, channels=64)
    sizes = [spectrum_bytes(conv, plan) for plan in plans(conv)]
    assert sizes
    assert max(sizes) <= SPECTRUM_LIMIT
    made = DFTMatmulConv(weight_of(row()), None, row(), next(plans(row())))
    assert made.spectrum.nbytes == spectrum_bytes(row(), made.plan)
    assert min(p.tiles for p in plans(conv)) > 1
    assert not list(plans(row(n=4096, k=2047, channels=512)))


@pytest.mark.parametrize(("groups", "tiled"), [(1, True), (2, False), (4, True)])
def test_the_graph_has_only_what_every_provider_has(groups, tiled):
    conv = row(n=120, k=21, s=2 if groups == 2 else 1, groups=groups)
    plan = next(p for p in plans(conv) if (p.tiles > 1) == tiled and p.factors)
    made = DFTMatmulConv(weight_of(conv), torch.ones(4), conv, plan)
    data = layer_model(made, conv)
    graph = onnx.load_from_string(data).graph
    assert {node.op_type for node in graph.node} <= EVERYWHERE
    session = open_session(data, threads=1)
    for batch in (1, 3):
        x = torch.randn(batch, 4, 1, 120)
        (got,) = session.run(None, {"x": x.numpy()})
        assert relative(torch.from_numpy(got), made(x)) < 1e-6


def test_the_dft_operator_runs_in_the_runtime():
    conv = row(n=50, k=9)
    made = DFTOpConv(weight_of(conv), None, conv)
    data = layer_model(made, conv)
    assert "DFT" in {node.op_type for node in onnx.load_from_string(data).graph.node}
    x = torch.randn(2, 4, 1, 50)
    (got,) = open_session(data, threads=1).run(None, {"x": x.numpy()})
    assert relative(torch.from_numpy(got), made(x)) < 3e-6


def test_the_model_that_is_timed_as_conv_is_one():
    conv = row(n=50, k=9, d=3, s=2)
    data = conv_model(conv)
    model = onnx.load_from_string(data)
    weight = torch.from_numpy(onnx.numpy_helper.to_array(model.graph.initializer[0]).copy())
    x = torch.randn(2, 4, 1, 50)
    (got,) = open_session(data, threads=1).run(None, {"x": x.numpy()})
    plan = next(plans(conv))
    assert relative(torch.from_numpy(got), DFTMatmulConv(weight, None, conv, plan)(x)) < 1e-5


def test_constants_stay_float32_whatever_the_module_is_cast_to():
    conv = row()
    made = DFTMatmulConv(weight_of(conv), None, conv, next(plans(conv)))
    x = torch.randn(1, 4, 1, 40)
    before = made(x)
    y = made.half()(x.half())
    assert {b.dtype for b in made.buffers()} == {torch.float32}
    assert y.dtype == torch.float16
    assert relative(y.float(), before) < 2e-3


def test_another_size_is_refused():
    conv = row()
    made = DFTMatmulConv(weight_of(conv), None, conv, next(plans(conv)))
    assert isinstance(made, FrequencyConv)
    with pytest.raises(UnsupportedLayer, match="lower the network for that size"):
        made(torch.zeros(1, 4, 1, 41))


def test_a_large_signal_does_not_outgrow_half_precision_in_the_spectrum():
    conv = row(n=8192, k=3)
    plan = next(p for p in plans(conv) if p.tiles == 1)
    made = DFTMatmulConv(torch.ones(4, 4, 1, 3), None, conv, plan)
    scale = conv.ins * 3 * 2 / (plan.factors[0] * plan.factors[1])
    assert float(made.spectrum.abs().max()) <= scale
    assert dataclasses.replace(plan).grid == plan.grid
    assert np.isfinite(made(torch.full((1, 4, 1, 8192), 1e3)).numpy()).all()
