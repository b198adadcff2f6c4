"""A cache of its own for every test, and the sparse reference that the benchmark runs too."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DASHZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def sparse(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[4] / "benchmarks")
    return importlib.import_module("darcy_sparse")
