"""Every command that reads a bundle takes a name, says which it took, and leaves it as it was."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import dashzoo
from dashzoo.catalogue import find
from dashzoo.steps.task import task_of, trained_on
from dashzoo_search.errors import BadData, BundleExists
from dashzoo_search.tasks import DataOptions, load_task


@pytest.fixture
def shelf(tmp_path, monkeypatch, made_bundle):
    folder = tmp_path / "shelf"
    shutil.copytree(made_bundle, folder / "waves", ignore=shutil.ignore_patterns("search"))
    monkeypatch.setenv("DASHZOO_SHELF", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def samples(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 2, 30), np.float32))
    return tmp_path / "x.npy"


READ = {
    "predict": lambda x: [x],
    "verify": lambda x: [],
    "bench": lambda x: ["--seconds", "0", "--threads", "1"],
}


@pytest.mark.parametrize("step", READ)
def test_a_name_is_taken_and_told(step, shelf, samples, command, snapshot):
    before = snapshot(shelf)
    told = command(step, "waves", *READ[step](samples), "--json")
    assert (told.code, told.err) == (0, "Taking waves, from the shelf.\n")
    assert told.json
    assert command(step, shelf / "waves", *READ[step](samples)).err == ""
    assert snapshot(shelf) == before


def test_the_verbs_take_names_too(shelf, samples):
    by_name = dashzoo.predict("waves", np.load(samples))[0]
    assert (by_name == dashzoo.predict(shelf / "waves", np.load(samples))[0]).all()
    assert dashzoo.verify("waves")["files"]


def test_from_the_hub_at_its_commit(hub, made_bundle, samples, command):
    done = dashzoo.publish(made_bundle, "acme/waves")
    told = command("predict", "acme/waves", samples)
    assert told.err == f"Taking acme/waves, from the Hub at {done.commit[:12]}.\n"


def test_names_and_folders_in_python(shelf, snapshot):
    assert dashzoo.list_models() == ["waves"]
    assert dashzoo.list_models("*x*") == []
    assert dashzoo.pull("waves") == shelf / "waves"
    copy = dashzoo.pull("waves", "mine")
    assert copy.resolve() == shelf.parent / "mine"
    assert snapshot(copy) == snapshot(shelf / "waves")
    with pytest.raises(BundleExists, match="mine"):
        dashzoo.pull("waves", "mine")


def test_a_card_in_the_terminal(shelf, command, refused):
    told = command("show", "waves", "--card")
    assert told.out == (shelf / "waves" / "README.md").read_text()
    (shelf / "waves" / "README.md").write_text("\x1b[31mred")
    assert "README.md has changed" in refused("show", "waves", "--card")


class TestTasksByName:
    """A bundle whose data have a name, and no record of a search."""

    @pytest.fixture
    def named(self, shelf):
        said = DataOptions(lengths="resample", size=(30,))
        task = load_task("ucr/ItalyPowerDemand", seed=3, options=said)

        def change(results):
            results["task"] |= {"name": task.name, "sha256": task.sha256}
            results |= {"seed": 3, "data_options": said.to_json()}

        path = shelf / "waves" / "results.json"
        results = json.loads(path.read_text())
        change(results)
        path.write_text(json.dumps(results))
        return task

    def test_they_are_loaded_as_was_said(self, shelf, named):
        assert trained_on(shelf / "waves").sha256 == named.sha256

    def test_what_was_said_is_no_more_trusted_than_a_name(self, shelf, named):
        path = shelf / "waves" / "results.json"
        told = json.loads(path.read_text())
        path.write_text(json.dumps(told | {"data_options": {"lengths": "os:system"}}))
        with pytest.raises(BadData, match="lengths must be one of pad, resample"):
            trained_on(shelf / "waves")
        path.write_text(json.dumps(told | {"data_options": {}}))
        with pytest.raises(BadData, match="are not what the bundle was trained on"):
            trained_on(shelf / "waves")

    def test_their_test_samples_are_foretold(self, shelf, named, refused):
        told = refused("predict", "waves", named.name)  # one channel; the network takes two
        assert "The samples have shape [1029, 1, 30], this model takes [n, 2, 30]" in told
        assert "[465, 1, 32, 32]" in refused("predict", "waves", "textures")


class TestReadOnly:
    @pytest.mark.parametrize("words", [["export"], ["bench", "--save"]])
    def test_refused(self, shelf, refused, snapshot, words):
        before = snapshot(shelf)
        told = refused(*words, "waves")
        assert told.startswith("waves, from the shelf, is not to be changed; give export an --out")
        assert snapshot(shelf) == before

    def test_the_hubs_is_refused_too(self, hub, made_bundle):
        dashzoo.publish(made_bundle, "acme/waves")
        with pytest.raises(BadData, match="is not to be changed"):
            find("acme/waves").own()

    def test_export_into_a_folder_of_its_own(self, shelf, tmp_path, command, refused, snapshot):
        before, out = snapshot(shelf), tmp_path / "half"
        told = command("export", "waves", "--dtype", "fp16", "--out", out)
        assert (told.code, told.err) == (0, "Taking waves, from the shelf.\n")
        assert told.out.endswith(f"Next: dashzoo card {out}\n")
        assert snapshot(shelf) == before
        assert command("card", out).code == 0
        assert command("verify", out).code == 0
        assert (out / "onnx" / "model.fp16.onnx").is_file()
        assert "already holds a bundle" in refused("export", "waves", "--out", out)

    def test_a_folder_keeps_its_search(self, made_bundle, tmp_path):
        dashzoo.export(made_bundle, out=tmp_path / "copy")
        found = task_of(tmp_path / "copy")
        assert found is not None
        assert found.sha256 == task_of(made_bundle).sha256
