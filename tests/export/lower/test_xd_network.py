"""Networks with XD-operations on their way to ONNX: forms, certificate, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch

from dashzoo_export.artifact import export_onnx
from dashzoo_export.bundle import CONFIG, WEIGHTS, write_json
from dashzoo_export.config import network_config, read_config
from dashzoo_export.lower import lower
from dashzoo_export.request import Request
from dashzoo_export.weights import load_weights, save_weights
from dashzoo_search.errors import BadBundle, BadSpec, UnsupportedLayer
from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.ops import XDConv
from dashzoo_search.spec import Choice, KernelSpec, XDChoice

SIZE = (8, 6)
SPEC = KernelSpec(
    dims=2,
    layers={"layers.2.conv": Choice.cube(5, 1, dims=2)},
    xd={
        "layers.0.conv": XDChoice(3, SIZE),
        "layers.1.conv": XDChoice(1, SIZE),
        "layers.2.conv": XDChoice(1, SIZE),
    },
)


@pytest.fixture
def net() -> SearchedNet:
    """Of its three XD-operations the second is still a convolution."""
    torch.manual_seed(0)
    args = {"depth": 3, "width": 4}
    made = SearchedNet(
        "chain2d", dims=2, in_chans=1, num_classes=3, kernels=SPEC, backbone_args=args
    )
    with torch.no_grad():
        for number in (0, 2):
            for p in made.backbone.layers[number].conv.architecture():
                p.add_(torch.randn_like(p), alpha=0.1)
    return made.eval()


def test_each_layer_has_its_form(net, monkeypatch) -> None:
    monkeypatch.setattr("dashzoo_export.lower.xd.DENSE_LIMIT", 0)
    for lowering in ("auto", "conv"):
        found = lower(net, SIZE, lowering=lowering)
        forms = {name: layer.form for name, layer in found.layers.items()}
        assert forms["layers.1.conv"] == "conv"
        assert forms["layers.0.conv"] == forms["layers.2.conv"] == "xd_dense"
        assert set(found.fixed) == {"layers.0.conv", "layers.2.conv"}
        assert not any(isinstance(layer, XDConv) for layer in found.network.modules())
        x = torch.randn(3, 1, *SIZE)
        with torch.no_grad():
            assert (found.network(x) - net(x)).abs().max() < 1e-4 * net(x).abs().max()


def test_it_is_exported_with_a_certificate_and_rebuilt_from_its_config(net, tmp_path) -> None:
    save_weights(net, tmp_path / WEIGHTS)
    names = ["a", "b", "c"]
    write_json(tmp_path / CONFIG, network_config(net, label_names=names, size=SIZE, provenance={}))
    report = export_onnx(
        net,
        tmp_path,
        size=SIZE,
        metadata={},
        weights=tmp_path / WEIGHTS,
        request=Request(),
        samples=np.random.default_rng(0).standard_normal((4, 1, *SIZE)).astype(np.float32),
    )
    layers = report["certificate"]["layers"]
    assert set(layers["layers.0.conv"]) == {"folded", "lowered"}
    assert all(form["relative_to_max"] < 1e-5 for form in layers["layers.0.conv"].values())
    operators = {n.op_type for n in onnx.load(tmp_path / "onnx" / "model.onnx").graph.node}
    assert "MatMul" in operators or "Gemm" in operators
    assert report["files"]["onnx/model.onnx"]["portable"]

    config = read_config(tmp_path)
    assert config.kernels == SPEC
    again = config.build()
    load_weights(again, tmp_path / WEIGHTS)
    x = torch.randn(2, 1, *SIZE)
    assert torch.equal(again.eval()(x), net(x))

    held = json.loads((tmp_path / CONFIG).read_text())
    held["model_args"]["kernels"]["xd"]["layers.0.conv"]["depth"] = 9
    write_json(tmp_path / CONFIG, held)
    with pytest.raises(BadBundle, match="depth") as caught:
        read_config(tmp_path)
    assert caught.value.field == "model_args.kernels.xd.layers.0.conv.depth"


def test_sizes_cannot_be_free(net) -> None:
    with pytest.raises(UnsupportedLayer, match=r"XD-operations.*leave --dynamic out"):
        from dashzoo_export.chain import Chain

        Chain.of(net, SIZE, Request(dynamic=("height",)))


@pytest.mark.parametrize(
    ("name", "match"),
    [("layers.9.conv", "no convolution"), ("layers.0.bn", "no convolution")],
)
def test_a_spec_that_does_not_fit(name, match) -> None:
    spec = KernelSpec(dims=2, layers={}, xd={name: XDChoice(1, SIZE)})
    with pytest.raises(BadSpec, match=match) as caught:
        SearchedNet("chain2d", dims=2, in_chans=1, num_classes=3, kernels=spec)
    assert caught.value.field == f"xd.{name}"


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"depth": 3}, "xd.a"),
        ({"depth": 3, "size": 8}, "xd.a.size"),
        ({"depth": 3, "size": [8]}, "xd.a.size"),
        ({"depth": 3, "size": [8, 0]}, "xd.a.size"),
        ({"depth": 3, "size": [8, 10**9]}, "xd.a.size"),
        ({"depth": "3", "size": [8, 8]}, "xd.a.depth"),
        (3, "xd.a"),
    ],
)
def test_foreign_json(value, field) -> None:
    with pytest.raises(BadSpec) as caught:
        KernelSpec.from_json({"spec_version": 1, "dims": 2, "layers": {}, "xd": {"a": value}})
    assert caught.value.field == field


def test_json_round_trip() -> None:
    assert KernelSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC
    assert "xd" not in KernelSpec(dims=2, layers={}).to_json()
