"""`dashzoo doctor` without data: what is installed, and what of it really runs."""

import sys

import torch

from dashzoo import environment as room


def test_what_is_here(command):
    found = command("doctor", "--json").json
    assert found["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert found["versions"]["dashzoo"]
    assert found["providers"]["cpu"] is None
    assert set(found["providers"]) == {"cpu", "cuda", "tensorrt"}
    lines = command("doctor").out.splitlines()
    assert any(line.split() == ["cpu", "runs"] for line in lines)


def test_two_wheels(command, monkeypatch):
    monkeypatch.setattr(room, "wheels", lambda: {"onnxruntime": "1.30", "onnxruntime-gpu": "1.31"})
    told = command("doctor").out
    assert "fault: onnxruntime 1.30 and onnxruntime-gpu 1.31 are both installed" in told
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in told
    assert "Nothing amiss" not in told


def test_a_gpu_that_onnx_runtime_does_not_use(monkeypatch):
    monkeypatch.setattr(room, "_cuda", lambda: {"torch_built_for": "13.0", "gpu": "A GPU"})
    monkeypatch.setattr(room, "trouble", lambda provider: None if provider == "cpu" else "broken")
    (finding,) = room.environment()["findings"]
    assert finding["what"] == "torch sees A GPU, ONNX Runtime does not run on it"
    monkeypatch.setattr(room, "trouble", lambda provider: None)
    assert room.environment()["findings"] == []


def test_no_runtime(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(room, "wheels", dict)
    found = room.environment()
    assert found["providers"] == {}
    assert found["versions"]["onnxruntime"] is None
    assert found["findings"][0]["what"] == "onnxruntime is not installed"
    assert "dashzoo[cpu]" in command("doctor").out
