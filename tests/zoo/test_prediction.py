"""Predicting with a bundle: torch and ONNX agree, and bad samples get one sentence."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

import dashzoo
from dashzoo_search.errors import BadBundle, BadData, MissingProvider, MissingRuntime, UnknownDevice


@pytest.fixture
def samples(arrays, tmp_path):
    np.save(tmp_path / "X.npy", arrays["X_test"])
    return tmp_path / "X.npy"


def test_torch_and_onnx_agree(made_bundle, arrays):
    X = np.tile(arrays["X_test"], (30, 1, 1))  # more than one batch of 256
    torch_p, labels = dashzoo.predict(made_bundle, X)
    onnx_p, _ = dashzoo.predict(made_bundle, X, runtime="onnx")
    assert labels == ("fast", "middle", "slow")
    assert torch_p.shape == onnx_p.shape == (len(X), 3)
    np.testing.assert_allclose(torch_p, onnx_p, atol=1e-5)
    np.testing.assert_allclose(torch_p.sum(1), 1)


def test_other_number_types_and_lists(made_bundle, arrays):
    X = arrays["X_test"].round()
    expected, _ = dashzoo.predict(made_bundle, X)
    for same in (X.astype(np.float64), X.astype(np.int64), X.tolist(), np.asfortranarray(X)):
        np.testing.assert_array_equal(dashzoo.predict(made_bundle, same)[0], expected)


def test_command(command, made_bundle, samples, arrays):
    probabilities, labels = dashzoo.predict(made_bundle, arrays["X_test"])
    expected = [labels[i] for i in probabilities.argmax(1)]
    lines = command("predict", made_bundle, samples).out.splitlines()
    assert [line.split("\t")[0] for line in lines] == expected
    rows = command("predict", made_bundle, samples, "--json", "--runtime", "onnx").json
    assert [row["label"] for row in rows] == expected
    assert set(rows[0]["probabilities"]) == set(labels)


def test_a_label_stays_on_its_line(command, bundle, samples):
    config = json.loads((bundle / "config.json").read_text())
    config["label_names"] = ["a\nb", "c\td", "\x1b[2Jé"]
    (bundle / "config.json").write_text(json.dumps(config))
    told = command("predict", bundle, samples).out
    assert {line.split("\t")[0] for line in told.splitlines()} <= {r"a\nb", r"c\td", r"\x1b[2Jé"}


FAULTS = {
    "length": (np.zeros((1, 2, 29)), "shape [1, 2, 29], this model takes [n, 2, 30]"),
    "channels": (np.zeros((1, 1, 30)), "this model takes [n, 2, 30]"),
    "one sample": (np.zeros((2, 30)), "add a batch axis: X[None]"),
    "none": (np.zeros((0, 2, 30)), "shape [0, 2, 30]"),
    "0-d": (np.float32(1), "shape []"),
    "NaN": (np.full((1, 2, 30), np.nan), "NaN"),
    "overflow": (np.full((1, 2, 30), 1e300), "beyond float32"),
    "complex": (np.zeros((1, 2, 30), complex), "complex128"),
    "strings": (np.zeros((1, 2, 30), "U1"), "<U1"),
}


@pytest.mark.parametrize(("X", "told"), FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_bad_samples(made_bundle, X, told, runtime):
    with pytest.raises(BadData) as caught:
        dashzoo.predict(made_bundle, X, runtime=runtime)
    assert told in str(caught.value)


def test_bad_files(refused, made_bundle, samples, tmp_path):
    assert "does not exist" in refused("predict", made_bundle, tmp_path / "none.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], object))
    assert "never loaded" in refused("predict", made_bundle, tmp_path / "objects.npy")
    (tmp_path / "text.npy").write_text("1,2")
    assert "no plain .npy array" in refused("predict", made_bundle, tmp_path / "text.npy")
    assert "is no folder" in refused("predict", tmp_path / "none", samples)
    assert "Invalid value for '--runtime'" in refused(
        "predict", made_bundle, samples, "--runtime", "tensorrt"
    )


def test_without_onnx(bundle, arrays, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(MissingRuntime, match=r"dashzoo\[cpu\]"):
            dashzoo.predict(bundle, arrays["X_test"], runtime="onnx")
    (bundle / "onnx" / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(BadBundle, match="does not load"):
        dashzoo.predict(bundle, arrays["X_test"], runtime="onnx")
    (bundle / "onnx" / "model.onnx").unlink()
    with pytest.raises(BadBundle, match="run 'dashzoo export"):
        dashzoo.predict(bundle, arrays["X_test"], runtime="onnx")


def test_free_lengths(free_bundle, arrays):
    X = arrays["X_test"]
    longer = np.concatenate([X, X], 2)
    told, _ = dashzoo.predict(free_bundle, longer, runtime="onnx")
    with torch.inference_mode():
        expected = dashzoo.load(free_bundle)(torch.from_numpy(longer)).softmax(1).numpy()
    np.testing.assert_allclose(told, expected, atol=1e-5)
    with pytest.raises(BadData, match=r"have a length of 1, this model needs \d+ at least"):
        dashzoo.predict(free_bundle, X[..., :1], runtime="onnx")
    with pytest.raises(BadData, match=r"takes \[n, 2, length\]"):
        dashzoo.predict(free_bundle, X[:, :1], runtime="onnx")


def test_probabilities_in_the_graph_are_told_once(bundle, arrays):
    expected, _ = dashzoo.predict(bundle, arrays["X_test"])
    dashzoo.export(bundle, softmax=True)
    told, _ = dashzoo.predict(bundle, arrays["X_test"], runtime="onnx")
    np.testing.assert_allclose(told, expected, atol=1e-5)


def test_precisions(made_bundle, free_bundle, arrays, command, samples):
    expected, _ = dashzoo.predict(made_bundle, arrays["X_test"], runtime="onnx")
    with pytest.raises(BadBundle, match="--dtype fp16' first"):
        dashzoo.predict(made_bundle, arrays["X_test"], runtime="onnx", dtype="fp16")
    told, _ = dashzoo.predict(free_bundle, arrays["X_test"], runtime="onnx", dtype="fp16")
    assert 0 < np.abs(told - expected).max() < 0.01
    words = ["--runtime", "onnx", "--dtype", "fp16", "--json"]
    row = command("predict", free_bundle, samples, *words).json[0]["probabilities"]
    np.testing.assert_allclose(list(row.values()), told[0])


def test_providers(made_bundle, arrays, refused, samples, monkeypatch):
    X = arrays["X_test"]
    with pytest.raises(BadData, match="add --runtime onnx"):
        dashzoo.predict(made_bundle, X, provider="tensorrt")
    with pytest.raises(BadData, match="add --runtime onnx"):
        dashzoo.predict(made_bundle, X, dtype="int8")
    with pytest.raises(BadData, match="take one of fp32"):
        dashzoo.predict(made_bundle, X, runtime="onnx", dtype="fp8")
    if not torch.cuda.is_available():
        with pytest.raises(UnknownDevice, match="This machine has: cpu"):
            dashzoo.predict(made_bundle, X, provider="cuda")
        with pytest.raises(MissingProvider, match="dashzoo"):
            dashzoo.predict(made_bundle, X, runtime="onnx", provider="cuda")
        words = ["--runtime", "onnx", "--provider", "tensorrt"]
        assert "cpu" in refused("predict", made_bundle, samples, *words)
