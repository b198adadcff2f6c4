"""Shared fixtures: tiny tasks and bundles, made once a session and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import dashzoo

torch.set_num_threads(1)

TINY = {"search_epochs": 2, "epochs": 2, "batch_size": 16, "threads": 1, "seed": 3}


def sequences(n: int = 48, length: int = 30, channels: int = 2, classes: int = 3, seed: int = 0):
    """Sines whose frequency is the class, with noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    t = np.arange(length) / length
    phase = rng.uniform(0, 2 * np.pi, (n, channels, 1))
    X = np.sin(2 * np.pi * 3 * (y[:, None, None] + 1) * t + phase)
    X = 5 + 2 * (X + 0.1 * rng.standard_normal(X.shape))
    return X.astype(np.float32), np.array(["slow", "middle", "fast"])[y % 3]


def images(n: int = 40, side: int = 24, seed: int = 0):
    """Bright left or right halves, with noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = rng.standard_normal((n, 3, side, side)).astype(np.float32)
    X[y == 1, :, :, side // 2 :] += 1
    return X, y


def _npz(path: Path, X, y) -> Path:
    cut = 3 * len(y) // 4
    np.savez(path, X_train=X[:cut], y_train=y[:cut], X_test=X[cut:], y_test=y[cut:])
    return path


@pytest.fixture(scope="session")
def sequence_file(tmp_path_factory) -> Path:
    return _npz(tmp_path_factory.mktemp("data") / "waves.npz", *sequences())


@pytest.fixture(scope="session")
def image_file(tmp_path_factory) -> Path:
    return _npz(tmp_path_factory.mktemp("data") / "halves.npz", *images())


@pytest.fixture(scope="session")
def made_bundle(tmp_path_factory, sequence_file) -> Path:
    """A complete bundle of sequences; read only."""
    out = tmp_path_factory.mktemp("bundles") / "waves"
    args = {"width": 4}
    return dashzoo.run(
        sequence_file, out, backbone_args=args, kernels=(3, 5), dilations=(1, 2), **TINY
    )


@pytest.fixture(scope="session")
def made_image_bundle(tmp_path_factory, image_file) -> Path:
    """A complete bundle of images with a timm backbone; read only."""
    out = tmp_path_factory.mktemp("bundles") / "halves"
    return dashzoo.run(
        image_file, out, backbone="test_resnet", kernels=(3, 5), dilations=(1, 2), **TINY
    )


@pytest.fixture
def bundle(made_bundle, tmp_path) -> Path:
    """A copy of the bundle of sequences, to be changed at will."""
    return Path(shutil.copytree(made_bundle, tmp_path / "waves"))


@pytest.fixture
def image_bundle(made_image_bundle, tmp_path) -> Path:
    """A copy of the bundle of images, to be changed at will."""
    return Path(shutil.copytree(made_image_bundle, tmp_path / "halves"))
