"""The int8 file of an export, whose layers have forms of its own."""

import numpy as np
import onnx
import torch
from onnxruntime.quantization import CalibrationMethod

import dashzoo_export.quantize as quantize
from dashzoo_export.artifact import export_onnx, model_path
from dashzoo_export.chain import Chain
from dashzoo_export.onnx import trace
from dashzoo_export.quantize import KEPT, _calibrated, _outputs, quantized
from dashzoo_export.request import Request
from dashzoo_export.serving import Served
from dashzoo_export.weights import save_weights
from dashzoo_search.networks import SearchedNet
from dashzoo_search.spec import Choice, KernelSpec


def test_int8_takes_ordinary_convolutions_where_forms_are_ours_to_choose(tmp_path):
    torch.manual_seed(0)
    dense = KernelSpec(dims=1, layers={"layers.1.conv": Choice.cube(201, 1, dims=1)})
    net = SearchedNet("chain1d", dims=1, in_chans=1, num_classes=2, kernels=dense).eval()
    save_weights(net, tmp_path / "model.safetensors")
    x = np.random.default_rng(0).standard_normal((24, 1, 256)).astype(np.float32)
    request = Request(precisions=("int8",))
    report = export_onnx(
        net,
        tmp_path,
        size=(256,),
        metadata={},
        weights=tmp_path / "model.safetensors",
        request=request,
        samples=x[:8],
        calibration=x,
    )
    assert report["lowering"]["layers.1.conv"]["form"] == "dft_matmul"
    assert report["files"][model_path("fp32")]["lowering"] == ["conv", "dft_matmul"]
    assert report["files"][model_path("int8")]["lowering"] == ["conv"]
    told = onnx.load(tmp_path / model_path("int8")).metadata_props
    assert {p.key: p.value for p in told}["lowering"] == "conv"
    asked = Request(precisions=("int8",), lowering="dft_matmul")
    chain = Chain.of(net, (256,), asked)
    assert chain.in_integers() is chain  # whoever asks for a form gets it


def test_ranges_are_those_that_suit_the_samples():
    """Heavy tails want them cut, fields whose extremes matter do not."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    spec = KernelSpec(dims=1, layers={})
    net = SearchedNet("chain1d", dims=1, in_chans=1, num_classes=2, kernels=spec).eval()
    plain = rng.uniform(-1, 1, (64, 1, 64)).astype(np.float32)
    heavy = plain.copy()
    heavy[0, 0, 0] = 1000.0
    graph = trace(Served(net), size=(64,))
    for samples, best in ((plain, "extremes"), (heavy, "inner")):
        wanted = _outputs(graph.model, samples[1:])

        def error(model, samples=samples, wanted=wanted):
            return np.abs(_outputs(model, samples[1:]) - wanted).mean()

        extremes, inner = (
            _calibrated(graph.model, samples, graph.wide, method, **options)
            for method, options in (
                (CalibrationMethod.MinMax, {}),
                (CalibrationMethod.Percentile, {"CalibPercentile": KEPT[-1]}),
            )
        )
        assert (error(extremes) < error(inner)) == (best == "extremes")
        found = error(quantized(graph.model, samples, wide=graph.wide))
        assert found <= 1.05 * min(error(extremes), error(inner))


def test_large_networks_are_calibrated_on_extremes_alone(monkeypatch):
    torch.manual_seed(0)
    spec = KernelSpec(dims=1, layers={})
    net = SearchedNet("chain1d", dims=1, in_chans=1, num_classes=2, kernels=spec).eval()
    graph = trace(Served(net), size=(64,))
    x = np.random.default_rng(0).standard_normal((40, 1, 64)).astype(np.float32)
    asked, real = [], quantize._calibrated

    def spy(model, samples, wide, method, **options):
        asked.append((method, len(samples)))
        return real(model, samples, wide, method, **options)

    monkeypatch.setattr(quantize, "_calibrated", spy)
    quantized(graph.model, x, wide=graph.wide)
    assert asked == [(CalibrationMethod.MinMax, 40), *[(CalibrationMethod.Percentile, 40)] * 2]
    one = quantize._activation_bytes(graph.model, (64,))
    assert one > 4 * 64 * net.backbone.num_features  # at least one layer's
    for room, count in ((36 * one, 36), (31 * one, None)):
        asked.clear()
        monkeypatch.setattr(quantize, "MEMORY", room)
        quantized(graph.model, x, wide=graph.wide)
        assert asked[1:] == ([(CalibrationMethod.Percentile, count)] * 2 if count else [])


def test_where_integers_err_the_first_convolutions_stay_in_float(monkeypatch):
    torch.manual_seed(0)
    spec = KernelSpec(dims=1, layers={})
    args = {"depth": 5}
    net = SearchedNet(
        "chain1d", dims=1, in_chans=1, num_classes=2, kernels=spec, backbone_args=args
    ).eval()
    graph = trace(Served(net), size=(64,))
    x = np.random.default_rng(0).standard_normal((40, 1, 64)).astype(np.float32)
    convs = [node.name for node in graph.model.graph.node if node.op_type == "Conv"]
    assert len(convs) == 5

    def in_float(enough):
        monkeypatch.setattr(quantize, "ENOUGH", enough)
        model = quantized(graph.model, x, wide=graph.wide)
        made = {out: node.op_type for node in model.graph.node for out in node.output}
        return [
            node.name
            for node in model.graph.node
            if node.op_type == "Conv" and made.get(node.input[1]) != "DequantizeLinear"
        ]

    assert in_float(1.0) == []
    real = quantize._best_ranges
    for told, first in (([3.0, 0.5], 1), ([3.0, 2.0, 1.0], 2), ([1.0, 3.0, 2.0], 0)):
        errors = iter(told)
        monkeypatch.setattr(
            quantize, "_best_ranges", lambda *a, errors=errors: (real(*a)[0], next(errors))
        )
        assert in_float(0.7) == convs[:first]
        assert next(errors, None) is None  # of five layers at most half are spared
