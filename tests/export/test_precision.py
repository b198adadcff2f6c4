"""Graphs in fp16, bf16 and int8: what is narrow, what stays wide, and how far they are."""

from functools import cache

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from dashzoo_export.graph import check_graph
from dashzoo_export.lower import lower
from dashzoo_export.onnx import trace
from dashzoo_export.parity import TOLERANCES, compare
from dashzoo_export.precision import HALVES, carried_in_float32, narrowed
from dashzoo_export.quantize import quantized
from dashzoo_export.serving import Served
from dashzoo_export.session import open_session
from dashzoo_search.networks import SearchedNet

TYPES = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}


@cache
def traced(name):
    """A small network of a kind: norms folded or standing alone, FFT blocks, layer norms."""
    torch.manual_seed(0)
    if name == "test_convnext":
        net, size = SearchedNet(name, dims=2, in_chans=3, num_classes=2), (32, 32)
    elif name == "fft":
        net, size = SearchedNet("chain1d", dims=1, in_chans=2, num_classes=3), (40,)
    else:
        args = {"width": 8}
        net = SearchedNet("wrn1d", dims=1, in_chans=2, num_classes=3, backbone_args=args)
        size = (40,)
    net.preprocess.fit(np.random.default_rng(1).normal(3, 2, (20, net.in_chans, *size)))
    net.eval()
    served = Served(net)
    if name == "fft":
        network = lower(net, size, lowering="dft_matmul").network
        return served, size, trace(Served(network), size=size)
    return served, size, trace(served, size=size)


def samples(served, size, count=3, seed=0):
    noise = np.random.default_rng(seed).normal(3, 2, (count, served.network.in_chans, *size))
    return noise.astype(np.float32)


def run(model, x):
    return open_session(model.SerializeToString(), threads=1).run(None, {"input": x})[0]


def types(model):
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    graph = model.graph
    found = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.output)}
    return found | {t.name: t.data_type for t in graph.initializer}


@pytest.mark.parametrize("to", ["fp16", "bf16"])
@pytest.mark.parametrize("name", ["wrn1d", "fft", "test_convnext"])
def test_narrow_graphs_compute_what_they_may(name, to):
    served, size, graph = traced(name)
    before = graph.model.SerializeToString()
    model = narrowed(graph.model, to, wide=graph.wide)
    assert graph.model.SerializeToString() == before
    check_graph(model, HALVES[to].opset)
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    x = samples(served, size)
    with torch.inference_mode():
        expected = served(torch.from_numpy(x)).numpy()
    actual = run(carried_in_float32(model) if to == "bf16" else model, x)
    found = compare(expected, actual, TOLERANCES[to], what=to)
    assert found.relative_to_max > 1e-5  # or nothing was narrow


@pytest.mark.parametrize("name", ["wrn1d", "fft", "test_convnext"])
def test_norms_and_transforms_stay_wide_and_convolutions_do_not(name):
    _, _, graph = traced(name)
    model = narrowed(graph.model, "fp16", wide=graph.wide)
    held = types(model)
    for node in model.graph.node:
        got = {held.get(i) for i in node.input} & {TensorProto.FLOAT, TensorProto.FLOAT16}
        if node.op_type in ("BatchNormalization", "LayerNormalization"):
            assert got == {TensorProto.FLOAT}
        elif node.op_type in ("Conv", "Gemm"):
            assert got == {TensorProto.FLOAT16}
    wide = [node for node in model.graph.node if node.name in graph.wide]
    assert len(wide) == len(graph.wide) > 1
    if name == "fft":
        assert any(node.op_type == "MatMul" for node in wide)
    for node in wide:
        assert TensorProto.FLOAT16 not in {held.get(name) for name in (*node.input, *node.output)}


def test_half_the_bytes():
    _, _, graph = traced("test_convnext")
    whole = len(graph.model.SerializeToString())
    assert len(narrowed(graph.model, "fp16", wide=graph.wide).SerializeToString()) < 0.6 * whole


def test_float32_that_an_operator_demands_is_left_to_it():
    """Scales of a Resize are float32 whatever it resizes."""
    nodes = [
        helper.make_node("Resize", ["input", "", "scales"], ["big"], "resize", mode="nearest"),
        helper.make_node("Cast", ["big"], ["whole"], "round", to=TensorProto.INT64),
        helper.make_node("Cast", ["whole"], ["y"], "back", to=TensorProto.FLOAT),
        helper.make_node("Add", ["y", "big"], ["output"], "sum"),
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, n, 4])
        for name, n in (("input", 3), ("output", 6))
    ]
    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1.0, 1.0, 2.0, 1.0])
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [scales])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    half = narrowed(model, "fp16", wide=())
    held = types(half)
    by_name = {node.name: node for node in half.graph.node}
    assert held[by_name["resize"].input[2]] == TensorProto.FLOAT
    assert held[by_name["resize"].input[0]] == TensorProto.FLOAT16
    assert held[by_name["sum"].input[0]] == TensorProto.FLOAT16
    x = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    assert np.array_equal(run(half, x), run(model, x))


def test_bfloat16_is_carried_with_its_roundings():
    """Sums of 1 and 2⁻⁹, which bfloat16 does not hold, are lost at every step."""
    nodes = [
        helper.make_node("Add", ["input", "small"], ["a"], "first"),
        helper.make_node("Add", ["a", "small"], ["output"], "second"),
    ]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in ("input", "output")]
    small = helper.make_tensor("small", TensorProto.FLOAT, [1], [2.0**-9])
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [small])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    half = carried_in_float32(narrowed(model, "bf16", wide=()))
    x = np.array([1.0, 2.0**-9], np.float32)
    assert run(half, x).tolist() == [1.0, 3 * 2.0**-9]
    by_torch = torch.from_numpy(x).bfloat16() + torch.tensor(2.0**-9).bfloat16()
    by_torch = by_torch + torch.tensor(2.0**-9).bfloat16()
    assert run(half, x).tolist() == by_torch.float().tolist()


class TestInt8:
    @pytest.mark.parametrize("name", ["wrn1d", "fft", "test_convnext"])
    def test_it_computes_what_it_may(self, name):
        served, size, graph = traced(name)
        before = graph.model.SerializeToString()
        model = quantized(graph.model, samples(served, size, 32, seed=1), wide=graph.wide)
        assert graph.model.SerializeToString() == before
        check_graph(model, 18)
        x = samples(served, size)
        with torch.inference_mode():
            expected = served(torch.from_numpy(x)).numpy()
        found = compare(expected, run(model, x), TOLERANCES["int8"], what="int8")
        assert found.relative_to_max > 1e-4

    def test_weights_are_per_channel_symmetric_and_transforms_are_not_quantised(self):
        served, size, graph = traced("test_convnext")
        model = quantized(graph.model, samples(served, size, 32, seed=1), wide=graph.wide)
        held = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        made = {name: node for node in model.graph.node for name in node.output}
        convs = [node for node in model.graph.node if node.op_type == "Conv"]
        assert convs
        for node in convs:
            pair = made[node.input[1]]
            assert pair.op_type == "DequantizeLinear"
            weight, scale, zero = (held[name] for name in pair.input)
            assert weight.dtype == np.int8
            assert scale.shape == weight.shape[:1]
            assert not zero.any()
            assert all(held[bias].dtype == np.float32 for bias in node.input[2:])
        for node in model.graph.node:
            if node.op_type == "QuantizeLinear":
                assert held[node.input[2]].dtype == np.uint8
            if node.name in graph.wide:
                assert not any(
                    made[name].op_type == "DequantizeLinear" and made[name].input[0] in held
                    for name in node.input
                    if name in made
                )
