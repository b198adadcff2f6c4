"""Small arrays of a user's own, and a way to save them."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def good():
    """Arrays in their own splits: three classes of strings, four samples of each against two."""

    def good(shape=(2, 12), n=18):
        X = np.random.default_rng(0).standard_normal((n, *shape)).astype(np.float32)
        y = np.array(["low", "mid", "top"])[np.arange(n) % 3]
        cut = 2 * n // 3
        return {"X_train": X[:cut], "y_train": y[:cut], "X_test": X[cut:], "y_test": y[cut:]}

    return good


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        path = tmp_path / "mine.npz"
        np.savez(path, **arrays)
        return path

    return save
