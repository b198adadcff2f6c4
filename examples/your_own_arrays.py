"""From your own arrays to a network that classifies: search, load, predict.

    python examples/your_own_arrays.py

The made-up task: is the second of two spikes 6 or 12 samples after the first?
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import dashzoo


def spikes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``n`` noisy sequences [n, 1, 64] with two spikes, and their labels."""
    rng = np.random.default_rng(seed)
    y = np.array(["near", "far"])[np.arange(n) % 2]
    X = 0.1 * rng.standard_normal((n, 1, 64))
    at = rng.integers(12, 52, n)
    X[np.arange(n), 0, at] += 3
    X[np.arange(n), 0, at + np.where(y == "far", 12, 6) - 1] += 3
    return X, y


def main(folder: Path, **options: Any) -> float:
    """Run the whole job in ``folder``; returns the accuracy on fresh samples."""
    X_train, y_train = spikes(200, seed=0)
    X_test, y_test = spikes(100, seed=1)
    arrays = {"X_train": X_train, "y_train": y_train, "X_test": X_test, "y_test": y_test}
    bundle = dashzoo.run(arrays, folder / "spikes", backbone_args={"width": 8}, **options)
    X_new, y_new = spikes(100, seed=2)
    probabilities, labels = dashzoo.predict(bundle, X_new, runtime="onnx")
    accuracy = float((np.array(labels)[probabilities.argmax(1)] == y_new).mean())
    print(f"{accuracy:.0%} of fresh samples are right; the bundle is in {bundle}")
    return accuracy


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()))
