"""The int8 file of an export, whose layers have forms of its own."""

import numpy as np
import onnx
import torch

from dashzoo_export.artifact import export_onnx, model_path
from dashzoo_export.chain import Chain
from dashzoo_export.request import Request
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
