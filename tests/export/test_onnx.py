"""The ONNX file: its form, its metadata, and that it computes the same."""

import json

import numpy as np
import onnx
import pytest
import torch

from dashzoo import load
from dashzoo_export.bundle import sha256_file
from dashzoo_export.config import read_config
from dashzoo_export.graph import PORTABLE, op_types
from dashzoo_export.lower import lower
from dashzoo_export.onnx import to_onnx, trace
from dashzoo_export.parity import TOLERANCES, compare
from dashzoo_export.serving import Served
from dashzoo_export.session import open_session
from dashzoo_export.sizes import require_free, shortest
from dashzoo_search.errors import BadData, DashzooError, UnsupportedLayer
from dashzoo_search.networks import SearchedNet
from dashzoo_search.spec import Choice, KernelSpec

FP32 = TOLERANCES["fp32"]


@pytest.mark.parametrize("kind", ["bundle", "image_bundle"])
class TestModel:
    @pytest.fixture
    def folder(self, kind, request):
        return request.getfixturevalue(f"made_{kind}")

    @pytest.fixture
    def model(self, folder):
        return onnx.load(folder / "onnx" / "model.onnx")

    def test_opset_one_file_dynamic_batch(self, folder, model):
        assert {o.domain: o.version for o in model.opset_import} == {"": 18}
        assert {p.name for p in (folder / "onnx").iterdir()} == {"model.onnx", "export.json"}
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
        assert held["architecture"] == config["architecture"]
        assert held["backbone"] == config["model_args"]["backbone"]
        assert json.loads(held["kernels"]) == config["model_args"]["kernels"]
        assert json.loads(held["labels"]) == config["label_names"]
        assert (held["precision"], held["lowering"], held["outputs"]) == ("fp32", "conv", "raw")

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
            compare(expected, actual, FP32, what="onnx")


NETWORKS = {
    "wrn1d": ({"dims": 1, "in_chans": 2, "backbone_args": {"width": 4}}, (40,)),
    "fno1d": ({"dims": 1, "in_chans": 1, "dense": True, "coords": True}, (32,)),
    "test_resnet": ({"dims": 2, "in_chans": 3, "resize": 32}, (24, 24)),
    "test_convnext": ({"dims": 2, "in_chans": 3}, (32, 32)),
}


SLOW = [pytest.param(n, marks=pytest.mark.slow) for n in ("tcn", "test_efficientnet", "resnet18")]
MORE = {
    "tcn": ({"dims": 1, "in_chans": 2}, (40,)),
    "test_efficientnet": ({"dims": 2, "in_chans": 3}, (32, 32)),
    "resnet18": ({"dims": 2, "in_chans": 3, "dense": True}, (32, 32)),
}


@pytest.mark.parametrize("name", [*NETWORKS, *SLOW])
def test_every_operator_is_one_that_all_providers_have(name):
    kwargs, size = {**NETWORKS, **MORE}[name]
    net = SearchedNet(name, num_classes=2, **kwargs).eval()
    served = Served(net, outputs="raw" if net.dense else "softmax")
    model = trace(served, size=size).model
    assert set(op_types(model)) <= PORTABLE
    session = open_session(model.SerializeToString(), threads=1)
    x = np.random.default_rng(0).standard_normal((3, net.in_chans, *size)).astype(np.float32)
    with torch.inference_mode():
        expected = served(torch.from_numpy(x)).numpy()
    compare(expected, session.run(None, {"input": x})[0], FP32, what=name)


@pytest.mark.parametrize("lowering", ["dft_matmul", "dft_op"])
def test_a_transform_is_portable_where_it_is_no_dft_operator(lowering):
    net = SearchedNet("chain1d", dims=1, in_chans=1, num_classes=2).eval()
    network = lower(net, (32,), lowering=lowering).network
    found = op_types(trace(Served(network), size=(32,)).model)
    assert PORTABLE.issuperset(found) is (lowering == "dft_matmul")


class TestFreeAxes:
    @staticmethod
    def net(kernel, dilation, **more):
        spec = KernelSpec(dims=1, layers={"blocks.1.conv2": Choice.cube(kernel, dilation, dims=1)})
        args = {"dims": 1, "in_chans": 1, "num_classes": 2, "backbone_args": {"width": 2}}
        return SearchedNet("wrn1d", kernels=spec, **{**args, **more}).eval()

    def test_length_is_free_down_to_what_kernels_reach(self):
        net = self.net(7, 5)
        least = shortest(net, (40,), "length")
        assert least == 16  # offsets of up to 15, no strides
        model = trace(Served(net), size=(40,), free={"length": least}).model
        session = open_session(model.SerializeToString(), threads=1)
        assert session.get_inputs()[0].shape == ["batch", 1, "length"]
        for length in (16, 33, 100):
            x = np.random.default_rng(0).standard_normal((2, 1, length)).astype(np.float32)
            with torch.inference_mode():
                expected = net(torch.from_numpy(x)).numpy()
            compare(expected, session.run(None, {"input": x})[0], FP32, what=str(length))

    def test_samples_shorter_than_kernels_reach_are_refused(self):
        with pytest.raises(UnsupportedLayer, match="reach past samples"):
            shortest(self.net(7, 15), (40,), "length")

    @pytest.mark.parametrize(
        ("more", "axis", "error", "words"),
        [
            ({}, "height", BadData, "--dynamic length"),
            (
                {"input_norm": "position", "size": (40,)},
                "length",
                UnsupportedLayer,
                "its own moments",
            ),
        ],
    )
    def test_a_part_for_one_size_is_named(self, more, axis, error, words):
        with pytest.raises(error, match=words):
            require_free(self.net(3, 1, **more), [axis])

    def test_resized_images_are_of_one_size(self):
        net = SearchedNet("test_resnet", dims=2, in_chans=1, num_classes=2, resize=16)
        with pytest.raises(UnsupportedLayer, match="resizes images to 16×16"):
            require_free(net, ["height"])

    def test_spectral_convolutions_are_for_one_size(self):
        net = SearchedNet("fno1d", dims=1, in_chans=1, num_classes=1, dense=True)
        with pytest.raises(UnsupportedLayer, match="spectral convolutions"):
            require_free(net, ["length"])

    def test_what_the_exporter_fixes_without_a_word_is_refused(self):
        net = SearchedNet("chain1d", dims=1, in_chans=1, num_classes=1, coords=True).eval()
        with pytest.raises(UnsupportedLayer, match="length cannot be free"):
            trace(Served(net), size=(32,), free={"length": 8})


def test_weights_beyond_one_file_are_refused(monkeypatch):
    monkeypatch.setattr("dashzoo_export.onnx._ONE_FILE", 10)
    net = SearchedNet("chain1d", dims=1, in_chans=1, num_classes=2)
    with pytest.raises(DashzooError, match="do not fit one ONNX file"):
        to_onnx(net, size=(32,))
