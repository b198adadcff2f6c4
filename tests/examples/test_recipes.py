"""The recipes for other runtimes compute what torch computes."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import dashzoo

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outputs(bundle, X):
    with torch.inference_mode():
        return dashzoo.load(bundle)(torch.from_numpy(X)).numpy()


@pytest.fixture
def samples():
    return np.random.default_rng(0).normal(5, 2, (5, 2, 30)).astype(np.float32)


@pytest.fixture
def pictures():
    return np.random.default_rng(0).normal(0, 1, (3, 3, 24, 24)).astype(np.float32)


def test_openvino(made_bundle, made_image_bundle, samples, pictures):
    pytest.importorskip("openvino", reason="pip install 'dashzoo[openvino]'")
    recipe = load("openvino_runtime")
    for bundle, X in ((made_bundle, samples), (made_image_bundle, pictures)):
        expected = outputs(bundle, X)
        told = recipe.outputs(bundle, X)
        assert np.abs(told - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_torch_program_runs_without_dashzoo(made_bundle, samples, tmp_path):
    load("torch_program").save(made_bundle, tmp_path / "network.pt2")
    np.save(tmp_path / "X.npy", samples)
    code = (
        "import sys, torch, numpy as np\n"
        "net = torch.export.load('network.pt2').module()\n"
        "np.save('y.npy', net(torch.from_numpy(np.load('X.npy'))).detach().numpy())\n"
        "assert not any(name.startswith('dashzoo') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    expected = outputs(made_bundle, samples)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore")  # of its own imports
def test_executorch(made_bundle, samples, tmp_path):
    pytest.importorskip("executorch.runtime", reason="pip install 'dashzoo[executorch]'")
    recipe = load("executorch_program")
    recipe.lower(made_bundle, tmp_path / "network.pte")
    expected = outputs(made_bundle, samples)
    for sample, wanted in zip(torch.from_numpy(samples), expected, strict=True):
        told = recipe.run(tmp_path / "network.pte", sample[None]).numpy()
        np.testing.assert_allclose(told[0], wanted, rtol=1e-4, atol=1e-5)
