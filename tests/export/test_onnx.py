"""The ONNX file: its form, its metadata, and that it computes the same."""

import json

import numpy as np
import onnx
import pytest
import torch

from dashzoo import load
from dashzoo_export.bundle import sha256_file
from dashzoo_export.config import read_config
from dashzoo_export.onnx import to_onnx
from dashzoo_export.parity import compare
from dashzoo_export.session import open_session
from dashzoo_search.errors import MissingRuntime, ParityFailed, UnknownDevice
from dashzoo_search.networks import SearchedNet


@pytest.mark.parametrize("kind", ["bundle", "image_bundle"])
class TestModel:
    @pytest.fixture
    def folder(self, kind, request):
        return request.getfixturevalue(kind)

    @pytest.fixture
    def model(self, folder):
        return onnx.load(folder / "onnx" / "model.onnx")

    def test_opset_one_file_dynamic_batch(self, folder, model):
        assert {o.domain: o.version for o in model.opset_import} == {"": 18}
        assert [p.name for p in (folder / "onnx").iterdir()].count("model.onnx") == 1
        assert not any(
            t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer
        )
        shape = model.graph.input[0].type.tensor_type.shape.dim
        assert shape[0].dim_param
        config = json.loads((folder / "config.json").read_text())
        assert [d.dim_value for d in shape[1:]] == [
            config["model_args"]["in_chans"],
            *config["dashzoo"]["size"],
        ]

    def test_every_convolution_is_4d_and_searched_ones_have_their_kernel(self, folder, model):
        weights = {t.name: list(t.dims) for t in model.graph.initializer}
        convs = [n for n in model.graph.node if n.op_type == "Conv"]
        assert convs
        assert all(len(weights[n.input[1]]) == 4 for n in convs)
        layers = read_config(folder).kernels.layers.values()
        held = {
            (tuple(a.ints), tuple(weights[n.input[1]][2:]))
            for n in convs
            for a in n.attribute
            if a.name == "dilations"
        }
        for layer in layers:
            plane = layer.on_plane()
            assert (plane.dilation, plane.kernel) in held

    def test_metadata_tells_what_it_is(self, folder, model):
        held = {p.key: p.value for p in model.metadata_props}
        config = json.loads((folder / "config.json").read_text())
        assert held["weights_sha256"] == sha256_file(folder / "model.safetensors")
        assert held["backbone"] == config["model_args"]["backbone"]
        assert json.loads(held["kernels"]) == config["model_args"]["kernels"]
        assert json.loads(held["labels"]) == config["label_names"]

    def test_nothing_of_this_machine_is_left_in_it(self, folder, model):
        data = (folder / "onnx" / "model.onnx").read_bytes()
        assert b"site-packages" not in data
        assert b".py" not in data
        assert str(folder.parent.parent).encode() not in data

    def test_it_computes_the_same_on_other_batches(self, folder):
        net = load(folder)
        session = open_session(folder / "onnx" / "model.onnx", threads=1)
        shape = session.get_inputs()[0].shape[1:]
        for batch in (1, 2, 7):
            x = np.random.default_rng(batch).normal(5, 2, (batch, *shape)).astype(np.float32)
            (actual,) = session.run(None, {"input": x})
            with torch.inference_mode():
                expected = net(torch.from_numpy(x)).numpy()
            assert actual.shape == expected.shape
            compare(expected, actual, inputs="random")

    def test_export_json_certifies_batches_1_and_3_random_and_real(self, folder):
        report = json.loads((folder / "onnx" / "export.json").read_text())
        checks = report["parity"]["checks"]
        assert {(c["batch"], c["inputs"]) for c in checks} == {
            (b, i) for b in (1, 3) for i in ("random", "real")
        }
        assert all(c["relative_to_max"] <= 1e-4 and c["argmax_agree"] for c in checks)
        assert report["sha256"] == sha256_file(folder / "onnx" / "model.onnx")


def test_a_wrong_export_fails_and_leaves_nothing(bundle, monkeypatch):
    from dashzoo_export import onnx as room

    real = room.to_onnx

    def wrong(net, **kwargs):
        model = real(net, **kwargs)
        tensor = next(t for t in model.graph.initializer if list(t.dims)[2:] and len(t.dims) == 4)
        array = onnx.numpy_helper.to_array(tensor) * 1.5
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
        return model

    monkeypatch.setattr(room, "to_onnx", wrong)
    import dashzoo

    with pytest.raises(ParityFailed, match="tolerance"):
        dashzoo.export(bundle)
    assert not (bundle / "onnx").exists()
    assert not (bundle / "SHA256SUMS").exists()


@pytest.mark.parametrize(
    "other",
    [[[1.0, 3.0]], [[2.1, 1.0]], [[np.nan, 2.0]], [[1.0, 2.0, 3.0]], [[np.inf, 2.0]]],
)
def test_outputs_that_differ_fail(other):
    with pytest.raises(ParityFailed):
        compare(np.array([[1.0, 2.0]]), np.array(other), inputs="random")


def test_a_tie_within_tolerance_is_no_disagreement():
    check = compare(np.array([[1.0, 1.00001]]), np.array([[1.00001, 1.0]]), inputs="random")
    assert check.argmax_agree


def test_a_provider_that_is_not_there_is_refused_not_replaced(bundle):
    with pytest.raises(UnknownDevice, match="TensorrtExecutionProvider"):
        open_session(bundle / "onnx" / "model.onnx", provider="TensorrtExecutionProvider")


def test_a_missing_runtime_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingRuntime, match=r"dashzoo\[cpu\]"):
        open_session(b"")


def test_a_resized_network_exports(tmp_path):
    net = SearchedNet("test_resnet", dims=2, in_chans=1, num_classes=2, resize=16).eval()
    session = open_session(to_onnx(net, size=(8, 8)).SerializeToString(), threads=1)
    x = np.random.default_rng(0).standard_normal((3, 1, 8, 8)).astype(np.float32)
    with torch.inference_mode():
        expected = net(torch.from_numpy(x)).numpy()
    compare(expected, session.run(None, {"input": x})[0], inputs="random")
