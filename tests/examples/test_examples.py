"""The examples run, with tiny settings."""

import importlib.util
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_your_own_arrays(tmp_path):
    accuracy = load("your_own_arrays").main(tmp_path, search_epochs=4, epochs=6, threads=1)
    assert accuracy > 0.8
    assert (tmp_path / "spikes" / "SHA256SUMS").exists()
