"""The certificate: what it compares, that a fault anywhere fails it, and what is written."""

import copy
import json

import numpy as np
import onnx
import pytest
import torch

from dashzoo_export.artifact import export_onnx, model_path
from dashzoo_export.bundle import EXPORT, sha256_file
from dashzoo_export.certificate import fitted
from dashzoo_export.chain import Chain, certify
from dashzoo_export.onehot import as_supernet, one_hot
from dashzoo_export.request import Request
from dashzoo_export.serving import Served
from dashzoo_export.weights import save_weights
from dashzoo_search.choice import Kernel
from dashzoo_search.errors import BadBundle, BadData, MissingRuntime, ParityFailed
from dashzoo_search.networks import SearchedNet
from dashzoo_search.ops import AggConv
from dashzoo_search.spec import Choice, KernelSpec
from dashzoo_search.tasks.load import load_file
from dashzoo_search.tasks.options import DataOptions

SIZE = (32,)
SPEC = KernelSpec(
    dims=1,
    layers={
        "layers.0.conv": Choice.cube(7, 3, dims=1),
        "layers.1.conv": Choice.cube(3, 5, dims=1),
    },
)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = SearchedNet("chain1d", dims=1, in_chans=2, num_classes=3, kernels=SPEC)
    net.preprocess.fit(samples(40))
    net.train()
    for _ in range(3):  # running statistics of norms that are not those they start with
        net(torch.from_numpy(samples(16)))
    return net.eval()


def samples(n, seed=1):
    return np.random.default_rng(seed).normal(3, 2, (n, 2, *SIZE)).astype(np.float32)


@pytest.fixture
def folder(net, tmp_path):
    save_weights(net, tmp_path / "model.safetensors")
    return tmp_path


def export(net, folder, **more):
    given = {"samples": samples(20, 2), "calibration": samples(32, 3), **more}
    return export_onnx(
        net, folder, size=SIZE, metadata={}, weights=folder / "model.safetensors", **given
    )


@pytest.fixture(scope="module")
def everything(net, tmp_path_factory):
    """An export in all precisions, its folder and report; read only."""
    folder = tmp_path_factory.mktemp("everything")
    save_weights(net, folder / "model.safetensors")
    request = Request(precisions=("int8", "bf16", "fp16"), dynamic=("length",), outputs="softmax")
    return folder, export(net, folder, request=request)


class TestReport:
    def test_every_file_is_described_by_its_hash(self, everything):
        folder, report = everything
        assert report == json.loads((folder / EXPORT).read_text())
        assert list(report["files"]) == [model_path(p) for p in ("fp32", "fp16", "bf16", "int8")]
        for name, told in report["files"].items():
            assert sha256_file(folder / name) == told["sha256"]
            assert (folder / name).stat().st_size == told["bytes"]
            model = onnx.load(folder / name)
            assert {e.version for e in model.opset_import if not e.domain} == {told["opset"]}
            assert told["opset"] == (22 if told["precision"] == "bf16" else 18)
            assert told["portable"]
            held = {entry.key: entry.value for entry in model.metadata_props}
            assert held["precision"] == told["precision"]
            assert held["outputs"] == "softmax"
            assert held["weights_sha256"] == report["weights_sha256"]
            assert not [n for n in model.graph.node if n.metadata_props or n.doc_string]
        assert {path.name for path in (folder / "onnx").iterdir()} == {
            "export.json", *(name.rpartition("/")[2] for name in report["files"]),
        }  # fmt: skip

    def test_every_link_is_compared_on_batches_lengths_and_real_samples(self, everything):
        _, report = everything
        rows = report["certificate"]["network"]
        forms = ["supernet", "folded", "lowered", "fp32", "fp16", "bf16", "int8"]
        assert report["input"]["shape"] == ["batch", 2, "length"]
        assert (least := report["input"]["shortest"]["length"]) == 10  # offsets up to 9 of k7 d3
        for form in forms:
            mine = [row for row in rows if row["form"] == form]
            assert {(r["inputs"], *r["size"], r["batch"], r["samples"]) for r in mine} == {
                (kind, length, batch, count)
                for kind, most in (("random", 16), ("real", 20))
                if (kind, form) != ("random", "int8")
                for length, batches in (
                    (32, ((1, 1), (3, 3), (16, most))),
                    (least, ((1, 1), (3, 3))),
                    (49, ((1, 1), (3, 3))),
                )
                for batch, count in batches
            }
        assert {row["form"] for row in rows} == set(forms)
        assert all(row["of"] == row["samples"] for row in rows)
        worst = {f: max(r["relative_to_max"] for r in rows if r["form"] == f) for f in forms}
        assert max(worst[f] for f in forms[:4]) < 1e-5 < worst["fp16"]
        assert worst["fp16"] < min(worst["bf16"], worst["int8"])

    def test_every_searched_layer_is_compared_by_itself(self, everything):
        layers = everything[1]["certificate"]["layers"]
        assert list(layers) == list(SPEC.layers)
        for forms in layers.values():
            assert list(forms) == ["supernet", "folded", "lowered"]
            assert all(0 < row["relative_to_max"] < 1e-5 for row in forms.values())

    def test_how_a_precision_was_computed_is_told(self, everything):
        computed = everything[1]["certificate"]["computed"]
        assert computed["fp32"] == computed["fp16"] == computed["int8"] == "as it is"
        assert "no bfloat16" in computed["bf16"]

    def test_it_is_repeated_from_its_request_alone(self, net, everything):
        folder, report = everything
        request = Request.from_json(json.loads((folder / EXPORT).read_text())["request"])
        models = {p: (folder / model_path(p)).read_bytes() for p in request.precisions}
        chain = Chain.of(net, SIZE, request)
        assert certify(chain, models, real=samples(20, 2), classes=True) == report["certificate"]


def test_transforms_are_compared_with_what_they_stand_for(net, folder):
    report = export(net, folder, request=Request(lowering="dft_matmul"))
    assert {layer["form"] for layer in report["lowering"].values()} == {"dft_matmul"}
    layers = report["certificate"]["layers"]
    assert set(layers) == set(report["lowering"])
    assert all(forms["lowered"] != forms["folded"] for forms in layers.values())
    assert onnx_op_types(folder) >= {"MatMul"}


def onnx_op_types(folder):
    return {node.op_type for node in onnx.load(folder / model_path("fp32")).graph.node}


class TestFaults:
    """Whatever is wrong, nothing that looks whole is left."""

    def test_a_weight_that_changes_on_the_way_to_onnx(self, net, folder, monkeypatch):
        from dashzoo_export import artifact

        real = artifact.trace

        def wrong(served, **kwargs):
            traced = real(served, **kwargs)
            tensor = next(t for t in traced.model.graph.initializer if len(t.dims) == 4)
            array = onnx.numpy_helper.to_array(tensor) * 1.5
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
            return traced

        monkeypatch.setattr(artifact, "trace", wrong)
        with pytest.raises(ParityFailed, match="in fp32 on random inputs"):
            export(net, folder)
        assert not (folder / "onnx").exists()

    def test_a_layer_that_is_lowered_wrongly(self, net, folder, monkeypatch):
        from dashzoo_export import chain

        real = chain.lower

        def wrong(net, size, **kwargs):
            lowered = real(net, size, **kwargs)
            with torch.no_grad():
                lowered.network.backbone.layers[1].conv.weight[0, 0] += 1
            return lowered

        monkeypatch.setattr(chain, "lower", wrong)
        with pytest.raises(ParityFailed, match=r"layer layers\.1\.conv, lowered"):
            export(net, folder)
        assert not (folder / "onnx").exists()

    def test_a_supernet_that_computes_something_else(self, net, folder, monkeypatch):
        def other(self, index, weight="choice"):
            self.picked.fill_(index)
            self.weight.data.mul_(1.01)

        monkeypatch.setattr(AggConv, "select", other)
        with pytest.raises(ParityFailed, match="supernet"):
            export(net, folder)

    def test_a_precision_too_low(self, net, folder, monkeypatch):
        from dashzoo_export import chain
        from dashzoo_export.parity import TOLERANCES, Tolerance

        tight = Tolerance(largest=1e-6, mean=1e-6, agreement=1.0)
        monkeypatch.setattr(chain, "TOLERANCES", {**TOLERANCES, "fp16": tight})
        with pytest.raises(ParityFailed, match="in fp16 on random"):
            export(net, folder, request=Request(precisions=("fp16",)))
        assert not (folder / "onnx").exists()

    def test_a_disk_that_is_full(self, net, folder, monkeypatch):
        def full(path, data):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("dashzoo_export.artifact.write_json", full)
        with pytest.raises(OSError, match="No space"):
            export(net, folder)
        assert not (folder / "onnx").exists()

    def test_int8_without_data_is_refused_before_anything_is_made(self, net, folder):
        with pytest.raises(BadData, match="leave int8 out"):
            export(net, folder, request=Request(precisions=("int8",)), calibration=None)

    def test_a_missing_runtime_names_the_extra(self, net, folder, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
        with pytest.raises(MissingRuntime, match=r"dashzoo\[cpu\]"):
            export(net, folder)

    @pytest.mark.parametrize("value", [None, [], {"costs": 1}, {"speed": 3, "costs": {}}])
    def test_a_request_that_is_none(self, value):
        with pytest.raises(BadBundle, match="export again"):
            Request.from_json(value)

    def test_a_precision_nobody_knows(self):
        with pytest.raises(BadData, match="'fp8'; take fp32, fp16, bf16, int8"):
            Request(precisions=("fp8",))


class TestOneHot:
    @pytest.mark.parametrize("groups", [1, 4])
    @pytest.mark.parametrize("stride", [1, 2])
    def test_a_convolution_among_others_is_itself(self, groups, stride):
        conv = torch.nn.Conv2d(
            4, 8, (1, 5), stride=(1, stride), padding=(0, 6), dilation=(1, 3), groups=groups
        )
        kernels = [Kernel((1, 5), (1, 3)), Kernel((1, 3), (1, 1)), Kernel((1, 9), (1, 7))]
        before = torch.random.get_rng_state()
        layer = one_hot(conv, kernels)
        assert torch.equal(before, torch.random.get_rng_state())
        assert len(layer.choices) == 3
        x = torch.randn(2, 4, 1, 31)
        torch.testing.assert_close(layer(x), conv(x), atol=1e-5, rtol=1e-5)

    def test_the_network_is_left_as_it_is(self, net):
        before = copy.deepcopy(net.state_dict())
        supernet = as_supernet(net)
        assert all(isinstance(supernet.backbone.get_submodule(n), AggConv) for n in SPEC.layers)
        assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())


class TestServed:
    def test_sequences_of_any_length_become_the_tasks_own(self, tmp_path):
        """Against what ``--lengths pad`` makes of the same sequences."""
        rng = np.random.default_rng(0)
        lengths = [9, 14, 12, 20, 15, 8, 11, 10]
        X = np.full((8, 2, 20), np.nan, np.float32)
        for row, n in zip(X, lengths, strict=True):
            row[:, :n] = rng.normal(3, 2, (2, n))
        y = np.arange(8) % 2
        np.savez(tmp_path / "data.npz", X_train=X, y_train=y, X_test=X, y_test=y)
        options = DataOptions(lengths="pad", size=16)
        task = load_file(tmp_path / "data.npz", seed=0, options=options)
        made = task.test.open().X
        network = SearchedNet("chain1d", dims=1, in_chans=3, num_classes=2).eval()
        served, seen = Served(network, pad=16), []
        network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        for row, n in zip(X, lengths, strict=True):
            served(torch.from_numpy(row[None, :, :n]))
        assert np.array_equal(torch.cat(seen).numpy(), made)

    @pytest.mark.parametrize("outputs", ["softmax", "sigmoid"])
    def test_probabilities(self, net, outputs):
        x = torch.from_numpy(samples(4))
        raw, told = net(x), Served(net, outputs=outputs)(x)
        expected = raw.softmax(1) if outputs == "softmax" else raw.sigmoid()
        assert torch.equal(told, expected)


def test_padding_is_in_the_graph(tmp_path):
    net = SearchedNet("chain1d", dims=1, in_chans=3, num_classes=2).eval()
    save_weights(net, tmp_path / "model.safetensors")
    real = np.random.default_rng(0).standard_normal((4, 3, *SIZE)).astype(np.float32)
    report = export(net, tmp_path, request=Request(pad=True), samples=real)
    assert report["input"]["shape"] == ["batch", 2, "length"]
    assert report["input"]["shortest"] == {"length": 1}
    sizes = {tuple(row["size"]) for row in report["certificate"]["network"]}
    assert sizes == {(1,), (32,), (49,)}
    assert onnx_op_types(tmp_path).isdisjoint({"Shape", "Expand", "Concat"})


def test_samples_are_cut_or_repeated_to_a_size():
    x = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    assert fitted(x, (1, 5)).tolist() == [[[[0, 1, 2, 0, 1]]]]
