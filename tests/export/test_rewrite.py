"""Rewritten graphs compute the same, with what runtimes recognise."""

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from torch import nn

from dashzoo_export.onnx import to_onnx
from dashzoo_export.rewrite import global_means, plain_attention, reorder_gelus
from dashzoo_export.session import open_session
from dashzoo_search.networks import SearchedNet


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    args = {"act_layer": "gelu"}
    return SearchedNet(
        "test_convnext", dims=2, in_chans=3, num_classes=5, backbone_args=args
    ).eval()


@pytest.fixture(scope="module")
def model(net):
    return to_onnx(net, size=(32, 32))


def test_no_operator_is_left_that_computes_shapes(net, model):
    assert any(isinstance(module, nn.AdaptiveAvgPool2d) for module in net.modules())
    found = {node.op_type for node in model.graph.node}
    assert not found & {"Shape", "Range", "Gather", "Expand", "ConstantOfShape"}
    assert "Erf" in found  # standard operators still


def test_the_runtime_fuses_every_gelu(model, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    gelus = sum(node.op_type == "Erf" for node in model.graph.node)
    assert gelus > 1
    assert kinds.count("Gelu") + kinds.count("BiasGelu") == gelus
    assert "Erf" not in kinds


def test_it_computes_the_same(net, model):
    x = np.random.default_rng(0).standard_normal((3, 3, 32, 32)).astype(np.float32)
    with torch.inference_mode():
        expected = net(torch.from_numpy(x)).numpy()
    (told,) = open_session(model.SerializeToString(), threads=1).run(None, {"input": x})
    assert np.abs(told - expected).max() <= 1e-5 * np.abs(expected).max()


def graph(half, *, uses_twice=False):
    text = f"""
    <ir_version: 8, opset_import: ["" : 18]>
    g (float[3] x) => (float[3] y{", float[3] z" if uses_twice else ""})
    <float half = {{{half}}}, float one = {{1.0}}, float root = {{1.4142135}}>
    {{
      a = Div (x, root)
      e = Erf (a)
      s = Add (e, one)
      h = Mul (half, s)
      y = Mul (x, h)
      {"z = Neg (h)" if uses_twice else ""}
    }}
    """
    return onnx.parser.parse_model(text)


def run(model):
    x = np.array([-1.0, 0.0, 2.0], np.float32)
    return open_session(model.SerializeToString(), threads=1).run(None, {"x": x})


def test_only_gelus_are_touched():
    expected = run(graph(0.5))[0]
    torch.testing.assert_close(
        torch.from_numpy(expected), nn.functional.gelu(torch.tensor([-1.0, 0.0, 2.0]))
    )
    gelu = graph(0.5)
    assert reorder_gelus(gelu) == 1
    onnx.checker.check_model(gelu, full_check=True)
    np.testing.assert_allclose(run(gelu)[0], expected, atol=1e-7)
    for other in (graph(0.25), graph(0.5, uses_twice=True)):
        before = run(other)
        assert reorder_gelus(other) == 0
        for told, wanted in zip(run(other), before, strict=True):
            np.testing.assert_array_equal(told, wanted)


def test_the_network_is_itself_again(net):
    pools = [m for m in net.modules() if isinstance(m, nn.AdaptiveAvgPool2d)]
    with pytest.raises(KeyboardInterrupt), global_means(net):
        assert not any(isinstance(m, nn.AdaptiveAvgPool2d) for m in net.modules())
        raise KeyboardInterrupt
    assert [m for m in net.modules() if isinstance(m, nn.AdaptiveAvgPool2d)] == pools


def test_attention_is_fused_again():
    attention = timm.layers.Attention(8, num_heads=2).eval()
    x = torch.randn(2, 5, 8)
    fused = attention(x)
    with plain_attention(attention):
        assert not attention.fused_attn
        torch.testing.assert_close(attention(x), fused)
    assert attention.fused_attn
