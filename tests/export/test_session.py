"""A session runs on the provider it was asked for, or not at all."""

import types
import warnings

import onnx
import pytest
from onnx import TensorProto, helper

from dashzoo_export import providers
from dashzoo_export.providers import PROVIDERS, short_name, start, trouble, wheels
from dashzoo_export.session import open_session
from dashzoo_search.errors import BadBundle, MissingProvider, MissingRuntime


def model(op="Relu"):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"])], "one", ports[:1], ports[1:])
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


class FallsBack:
    """ONNX Runtime as it is with CUDA listed and no GPU: it takes the CPU without a word."""

    __version__ = "1.0"
    SessionOptions = staticmethod(providers.require_runtime().SessionOptions)

    def __init__(self, listed=("TensorrtExecutionProvider", "CUDAExecutionProvider")):
        self.listed = [*listed, "CPUExecutionProvider"]
        self.asked = []

    def get_available_providers(self):
        return self.listed

    def set_default_logger_severity(self, level):
        pass

    def InferenceSession(self, model, options, providers, enable_fallback):  # noqa: N802
        self.asked.append((providers, enable_fallback, options))
        return types.SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])


@pytest.fixture
def falls_back(monkeypatch):
    runtime = FallsBack()
    monkeypatch.setattr(providers, "require_runtime", lambda: runtime)
    return runtime


def test_the_cpu_works():
    assert trouble("cpu") is None
    session = open_session(model(), threads=1)
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert open_session(model(), provider="cpu").run(None, {"x": [-2.0]})[0].tolist() == [0.0]


@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "CUDAExecutionProvider"])
def test_a_provider_that_is_not_built_in_is_refused(provider):
    if PROVIDERS[short_name(provider)][0] in providers.require_runtime().get_available_providers():
        pytest.skip("it is built in")
    with warnings.catch_warnings(), pytest.raises(MissingProvider) as caught:
        warnings.simplefilter("error")
        open_session(model(), provider=provider)
    assert "is built without" in str(caught.value)
    assert "dashzoo[gpu]" in str(caught.value)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_listed_provider_that_falls_back_is_refused(falls_back, provider):
    with pytest.raises(MissingProvider, match="took CPUExecutionProvider"):
        start(model(), provider)
    chain, fallback, options = falls_back.asked[0]
    assert "CPUExecutionProvider" not in chain
    assert fallback is False
    assert options.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
    with pytest.raises(MissingProvider, match=r"lists .* but it does not start.*nvidia-smi"):
        open_session(model(), provider=provider)


def test_a_graph_the_gpu_cannot_run_is_not_blamed_on_the_gpu(monkeypatch):
    monkeypatch.setattr("dashzoo_export.session.trouble", lambda provider: None)
    with pytest.raises(BadBundle, match="does not load on cuda"):
        open_session(b"no model", provider="cuda")


def test_unknown_names_and_missing_files(tmp_path):
    with pytest.raises(MissingProvider, match="take one of cpu, cuda, tensorrt"):
        open_session(model(), provider="rocm")
    with pytest.raises(BadBundle, match="is not there"):
        open_session(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_bytes(onnx.ModelProto().SerializeToString())
    with pytest.raises(BadBundle, match="does not load on cpu"):
        open_session(tmp_path / "model.onnx")


def test_no_runtime(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingRuntime, match=r"dashzoo\[cpu\]"):
        open_session(model())
    with pytest.raises(MissingRuntime):
        trouble("cpu")


def test_wheels_are_found_by_their_metadata(monkeypatch):
    def both(name):
        return {"onnxruntime": "1.30", "onnxruntime-gpu": "1.31"}[name]

    assert wheels()
    monkeypatch.setattr(providers, "version", both)
    assert wheels() == {"onnxruntime": "1.30", "onnxruntime-gpu": "1.31"}


@pytest.mark.gpu
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_on_a_gpu(provider):
    if reason := trouble(provider):
        pytest.skip(reason)
    session = open_session(model(), provider=provider)
    assert session.get_providers()[0] == PROVIDERS[provider][0]
