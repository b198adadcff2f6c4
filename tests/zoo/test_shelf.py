"""The models that come along: whole, small, each with its card, and rebuilt by one command."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import dashzoo
from dashzoo.catalogue import bundles, catalogue
from dashzoo_cards.facts import load_facts
from dashzoo_cards.render import check_card
from dashzoo_export.bundle import check_bundle
from dashzoo_search.tasks import task_names

ROOT = Path(__file__).parents[2]
MEGABYTE = 10**6

sys.path.insert(0, str(ROOT / "benchmarks"))
try:
    recipes = importlib.import_module("shelf")
finally:
    sys.path.pop(0)

NAMES = sorted(recipes.MODELS)


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_every_recipe_has_its_model_and_no_more():
    assert dashzoo.list_models() == NAMES
    assert len(NAMES) >= 14
    assert sum(map(size, bundles())) <= 15 * MEGABYTE


@pytest.mark.parametrize("name", NAMES)
class TestModel:
    def test_is_whole_and_small(self, name):
        folder = dashzoo.pull(name)
        check_bundle(folder)
        assert size(folder) <= 1.5 * MEGABYTE
        assert (folder / "onnx" / "model.int8.onnx").is_file()
        assert not (folder / "search").exists()

    def test_its_card_says_what_its_files_say(self, name):
        assert check_card(dashzoo.pull(name)) == []

    def test_it_names_its_data_and_its_latency(self, name):
        (entry,) = catalogue(name)
        assert entry.task in task_names()
        assert entry.task == recipes.MODELS[name].split()[0]
        assert None not in (entry.value, entry.default, entry.parameters, entry.latency_ms)

    def test_torch_and_onnx_agree_on_noise(self, name):
        task = load_facts(dashzoo.pull(name), files=False).task
        noise = np.random.default_rng(0).normal(size=(3, task.channels, *task.size))
        torch_p, names = dashzoo.predict(name, noise)
        onnx_p, _ = dashzoo.predict(name, noise, runtime="onnx")
        assert names == task.classes
        np.testing.assert_allclose(onnx_p, torch_p, atol=2e-4 * np.abs(torch_p).max())


class TestDrift:
    @pytest.fixture
    def rebuilt(self, monkeypatch):
        """Lets a rebuilt model have another test score, given as a change of its value."""

        def make(change):
            def build(name, folder):
                shutil.copytree(recipes.SHELF / name, folder / name)
                path = folder / name / "results.json"
                results = json.loads(path.read_text())
                told = results["metrics"]
                for outcome in (told["default"], told["searched"]):
                    outcome["test"]["value"] = change(outcome["test"]["value"])
                path.write_text(json.dumps(results))

            monkeypatch.setattr(recipes, "build", build)

        return make

    def test_chance_is_no_drift(self, rebuilt):
        rebuilt(lambda value: value - 0.01)
        assert recipes.drift("wrn1d.italypowerdemand") is None
        rebuilt(lambda value: 1.05 * value)
        assert recipes.drift("wrn1d.burgers") is None

    def test_more_is(self, rebuilt):
        rebuilt(lambda value: value - 0.1)
        assert "on the shelf" in recipes.drift("wrn1d.italypowerdemand")
        rebuilt(lambda value: 1.5 * value)
        assert "rebuilt" in recipes.drift("wrn1d.burgers")

    @pytest.mark.slow
    @pytest.mark.parametrize("name", NAMES)
    def test_none_of_the_shelf_has_drifted(self, name):
        assert recipes.drift(name) is None


def test_the_table_of_the_readme_is_that_of_the_shelf():
    if "DASHZOO_TESTED_FROM" not in os.environ:
        assert recipes.table() in (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_every_metric_is_measured_again(command):
    told = command("verify", "--all", "--json")
    assert told.code == 0
    assert {row["verdict"] for row in told.json} == {"holds"}
