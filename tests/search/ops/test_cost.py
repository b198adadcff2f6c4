"""The cost model: what it counts, what it picks, and the tables it reads."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dashzoo_search.choice import Kernel
from dashzoo_search.errors import BadCosts
from dashzoo_search.ops import AggConv, costs
from dashzoo_search.ops.cost import cheapest, seconds, work
from dashzoo_search.ops.costs import Costs, costs_for, load_costs, reset_costs
from dashzoo_search.ops.geometry import Geometry
from dashzoo_search.ops.paths import Setting
from dashzoo_search.spec import SearchSpace

ZERO = {field.name: 0.0 for field in dataclasses.fields(Costs)}
PLAIN = Setting((1,), 1, "zeros")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("DASHZOO_COSTS", raising=False)
    reset_costs()
    yield
    reset_costs()


def written(path: Path, **changed: Any) -> Path:
    found = {"costs_version": 1, "devices": {"cpu": ZERO | {"start": 1.0}}} | changed
    path.write_text(json.dumps(found))
    return path


def wide(**settings: Any) -> Geometry:
    return Geometry.of(SearchSpace(kernels=(3, 5), dilations=(1, 7)).choices(dims=1), **settings)


def test_counts_of_a_plain_convolution() -> None:
    geometry = Geometry.of([Kernel((7,), (3,))])
    found = work("mixed_weights", geometry, None, (2, 32, 100), 48, PLAIN)
    assert found["mac"] == 2 * 100 * 7 * 32 * 48
    assert found["value"] == 2 * 100 * (32 + 48)
    assert found["layout"] == 7 * 32 * 48
    assert found["add"] == 0
    channels = dataclasses.replace(PLAIN, groups=32)
    assert work("mixed_weights", geometry, None, (2, 32, 100), 32, channels) == {
        "start": 1,
        "value": 2 * 100 * 64,
        "channel_mac_dilated": 2 * 100 * 7 * 32,
        "layout": 7 * 32,
        "add": 0,
    }


def test_counts_of_the_paths_over_dilations() -> None:
    geometry = wide()
    dense = work("mixed_weights", geometry, None, (1, 16, 100), 16, PLAIN)
    each = work("per_dilation", geometry, None, (1, 16, 100), 16, PLAIN)
    assert dense["mac_wide"] == 100 * 29 * 256
    assert each["mac"] == 100 * (5 + 5) * 256
    assert (each["start"], each["add"]) == (2, 100 * 16)
    one = Geometry.of([Kernel((3,), (1,)), Kernel((5,), (1,))])
    assert math.isinf(work("per_dilation", one, None, (1, 16, 100), 16, PLAIN)["start"])


def test_counts_in_frequency() -> None:
    shape = (2, 16, 100)
    separate = work("fourier", wide(), None, shape, 16, PLAIN)
    shared = work("fourier", wide(shared=True), None, shape, 16, PLAIN)
    frequencies = 120 // 2 + 1  # 100 + 14 samples, rounded up to 120
    assert separate["fourier_mac"] == frequencies * 2 * 256
    assert separate["spectrum_mac"] == frequencies * 9 * 256
    assert shared["spectrum_mac"] == frequencies * 5 * 256
    point = Geometry.of([Kernel((1,), (1,))])
    assert math.isinf(work("fourier", point, None, shape, 16, PLAIN)["fourier_start"])


def test_small_kernels_run_directly_and_wide_sparse_ones_in_frequency() -> None:
    setting = Setting((1, 1), 1, "zeros")
    x = torch.empty(32, 64, 1, 1000)
    near = Geometry.of([Kernel((1, 3), (1, 1))])
    far = Geometry.of([Kernel((1, k), (1, d)) for k in (3, 15) for d in (1, 31)])
    assert cheapest(x, 64, near, None, setting) == "mixed_weights"
    assert cheapest(x, 64, far, None, setting) == "fourier"
    assert cheapest(x, 64, far, 0, setting) == "mixed_weights"


def test_auto_goes_by_a_loaded_table(tmp_path: Path) -> None:
    layer = AggConv(4, 4, SearchSpace(kernels=(3, 5), dilations=(1, 7)).choices(dims=1))
    x = torch.randn(2, 4, 50)

    def picked() -> str:
        return cheapest(x, 4, layer.geometry, None, layer.setting)

    dear = {"direct": ("mac", "mac_wide"), "frequency": ("fourier_start",), "adding": ("add",)}
    tables = {
        name: written(
            tmp_path / f"{name}.json",
            devices={"cpu": ZERO | dict.fromkeys(constants, 1.0) | {"start": 1e-3}},
        )
        for name, constants in dear.items()
    }
    expected = layer(x)
    for name, path in {"direct": "fourier", "frequency": "mixed_weights"}.items():
        load_costs(tables[name])
        assert picked() == path
        assert torch.allclose(layer(x), expected, atol=1e-5)
    weights = ZERO | {"mac_wide": 1.0, "fourier_start": 1.0}
    load_costs(written(tmp_path / "wide.json", devices={"cpu": weights}))
    assert picked() == "per_dilation"
    assert torch.allclose(layer(x), expected, atol=1e-5)


def test_the_environment_names_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHZOO_COSTS", str(written(tmp_path / "costs.json")))
    assert costs_for("cpu").start == 1.0
    assert costs_for("cuda").start == 1.0  # none of its own
    reset_costs()
    monkeypatch.setenv("DASHZOO_COSTS", str(tmp_path / "none.json"))
    with pytest.raises(OSError, match=r"none\.json"):
        costs_for("cpu")


def test_without_a_table_the_defaults_hold() -> None:
    assert costs_for("cpu") == costs_for("meta") == Costs()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"costs_version": 2}, "version 1"),
        ({"devices": None}, "must give add, "),
        ({"devices": {"cpu": {"start": 1.0}}}, "must give add, "),
        ({"devices": {"cpu": ZERO | {"mac": -1.0}}}, "cost mac must be a number"),
        ({"devices": {"cpu": ZERO | {"mac": "fast"}}}, "cost mac must be a number"),
        ({"devices": {"cpu": ZERO | {"mac": math.inf}}}, "cost mac must be a number"),
        ({"devices": {"cpu": ZERO | {"mac": True}}}, "cost mac must be a number"),
    ],
)
def test_a_table_that_is_none(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    with pytest.raises(BadCosts, match=told):
        load_costs(written(tmp_path / "costs.json", **changed))
    assert costs._loaded == {}


def test_what_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    path.write_text("[" * 100_000)
    with pytest.raises(BadCosts, match="not JSON"):
        load_costs(path)


def test_seconds_are_counts_times_constants() -> None:
    assert seconds({"start": 2, "mac": 10}, Costs(**ZERO | {"start": 1.0, "mac": 0.5})) == 7
