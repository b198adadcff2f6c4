"""`--start-from`: a search that begins at a model's kernels, and what that spares."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import dashzoo
from dashzoo.steps.search_plan import plan_search
from dashzoo.workfiles import SearchRecord
from dashzoo_search.errors import BadData
from dashzoo_search.spec import Choice

from ..conftest import images, sequences

SPACE = {"kernels": (3, 5), "dilations": (1, 2), "threads": 1, "batch_size": 16}


def like(folder, name, made_bundle, **changes):
    """A bundle of the shelf whose results tell of another task, or of other kernels."""
    shutil.copytree(made_bundle, folder / name, ignore=shutil.ignore_patterns("search"))
    path = folder / name / "results.json"
    results = json.loads(path.read_text())
    results["task"].update(changes.pop("task", {}))
    results["backbone"].update(changes.pop("backbone", {}))
    results["selection"] = None
    for layer in results["layers"]:
        layer.update(changes)
    path.write_text(json.dumps(results))


@pytest.fixture
def shelf(tmp_path, monkeypatch, made_bundle):
    """Of sequences: one of length 30, one of 300, one with another backbone; a damaged one."""
    folder = tmp_path / "shelf"
    like(folder, "short", made_bundle, kernel=[5], dilation=[2])
    like(folder, "long", made_bundle, kernel=[5], dilation=[1], task={"size": [300]})
    like(folder, "other", made_bundle, backbone={"name": "tcn1d"})
    like(folder, "odd", made_bundle, kernel=[5], dilation=[2], task={"kind": "regression"})
    like(folder, "wreck", made_bundle)
    (folder / "wreck" / "results.json").write_text("{}")
    monkeypatch.setenv("DASHZOO_SHELF", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def plan(tmp_path, sequence_file):
    def make(data=sequence_file, **options):
        options = {"backbone_args": {"width": 2}, "epochs": 10, **SPACE, **options}
        return plan_search(data, tmp_path / "out", **options)

    return make


class TestStart:
    def test_at_another_width_without_a_scout(self, shelf, plan):
        made = plan(start_from="short")
        how = made.options.how
        assert (how.scout, set(how.start.layers.values())) == (0.0, {Choice((5,), (2,))})
        assert made.started == {
            "model": "short, from the shelf",
            "layers": len(how.start.layers),
            "of": len(how.start.layers),
            "saved_epochs": 20,
        }

    def test_the_start_is_part_of_what_is_gone_on_from(self, shelf, plan):
        ours = [plan(start_from=name).identity("search") for name in ("short", "long")]
        assert ours[0] != ours[1] != plan().identity("search")

    def test_a_choice_that_is_not_searched_starts_at_the_layers_own(self, shelf, plan):
        path = shelf / "short" / "results.json"
        results = json.loads(path.read_text())
        results["layers"][0].update(kernel=[11], dilation=[1])
        path.write_text(json.dumps(results))
        started = plan(start_from="short").started
        assert started["layers"] == started["of"] - 1

    @pytest.mark.parametrize(("length", "name"), [(40, "short"), (200, "long")])
    def test_nearest_by_kind_then_length(self, shelf, plan, arrays, length, name):
        X, y = sequences(length=length)
        made = plan({"X": X, "y": y}, start_from="nearest")
        assert made.started["model"] == f"{name}, from the shelf"
        numbers = np.arange(len(y)) + np.float32(0.5)
        made = plan({"X": X, "y": numbers}, start_from="nearest")
        assert made.started["model"] == "odd, from the shelf"

    def test_a_folder(self, shelf, plan, made_bundle):
        assert plan(start_from=made_bundle).started["model"].endswith("a folder")


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("other", "has the backbone tcn1d, and this search wrn1d; add --backbone tcn1d"),
            ("wreck", "schema_version"),
            ("nothing", "dashzoo list"),
        ],
    )
    def test_what_does_not_fit(self, shelf, refused, sequence_file, tiny, name, said):
        told = refused("search", sequence_file, "--out", "out", *tiny, "--start-from", name)
        assert said in told

    def test_images_and_sequences(self, shelf, plan):
        X, y = images()
        wanted = "is of sequences, and these are images"
        with pytest.raises(BadData, match=wanted):
            plan({"X": X, "y": y}, start_from="short", backbone="test_resnet", backbone_args={})
        with pytest.raises(BadData, match="No model of the shelf has kernels for test_resnet on i"):
            plan({"X": X, "y": y}, start_from="nearest", backbone="test_resnet", backbone_args={})

    def test_another_depth(self, shelf, plan):
        path = shelf / "short" / "results.json"
        results = json.loads(path.read_text())
        results["layers"][0]["name"] = "block9.conv1"
        path.write_text(json.dumps(results))
        with pytest.raises(BadData, match=r"has a layer block9\.conv1, and this wrn1d has none"):
            plan(start_from="short")

    def test_no_kernel_that_is_searched(self, shelf, plan):
        with pytest.raises(BadData, match="has no kernel that is searched here"):
            plan(start_from="short", dilations=(1,))

    @pytest.mark.parametrize(
        ("options", "said"),
        [({"method": "mixture"}, "Only --method paths"), ({"scout": 0.5}, "leave --scout out")],
    )
    def test_options_that_do_not_go_with_it(self, shelf, plan, options, said):
        with pytest.raises(BadData, match=said):
            plan(start_from="short", **options)
        assert plan(start_from="short", scout=0.0).started


def test_a_run_tells_what_was_saved(shelf, command, sequence_file, tmp_path):
    stages = set()
    options = {"backbone_args": {"width": 2}, "epochs": 2, **SPACE}
    out = tmp_path / "out"
    dashzoo.search(
        sequence_file,
        out,
        start_from="short",
        on_epoch=lambda epoch: stages.add(epoch.stage),
        **options,
    )
    assert stages == {"search"}
    record = SearchRecord.read(out)
    assert record.started["saved_epochs"] == 4
    assert record.options["start"]["layers"]
    dashzoo.train(out, epochs=1, baseline=False)
    told = json.loads((out / "results.json").read_text())["search"]
    assert (told["epochs"], told["started"]) == (2, record.started)
    assert "Started from the kernels of short, from the shelf in" in command("show", out).out
