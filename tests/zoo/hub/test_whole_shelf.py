"""The shelf as a whole: listed from its JSON, verified from its files, published in one go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import dashzoo
from dashzoo.catalogue import catalogue, find
from dashzoo.releases import read_releases, write_releases
from dashzoo.steps import task as trained
from dashzoo.steps.verify_all import verify_all
from dashzoo_export.bundle import CONFIG, EXPORT, RESULTS, seal, sha256_file
from dashzoo_search.errors import BadBundle
from dashzoo_search.tasks.arrays import arrays_task
from dashzoo_search.tasks.load import load_file

from .server.faults import Fault
from .server.replies import Reply


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.fixture
def shelf(tmp_path, monkeypatch, made_bundle):
    """A shelf of two models of one kind."""
    folder = tmp_path / "shelf"
    for name in ("ripples", "waves"):
        shutil.copytree(made_bundle, folder / name, ignore=shutil.ignore_patterns("search"))
    monkeypatch.setenv("DASHZOO_SHELF", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def named(monkeypatch, sequence_file):
    """Let the bundles' task have a name."""

    def load(name, *, seed, options):
        assert name == "waves"
        return load_file(sequence_file, seed=seed, options=options)

    monkeypatch.setattr(trained, "task_names", lambda: ("waves",))
    monkeypatch.setattr(trained, "load_task", load)


class TestList:
    def test_what_is_told(self, shelf, command):
        def best(results):
            rows = [("Old", 0.5), ("New", 0.75)]
            results["published"] = [
                {"method": m, "metric": "accuracy", "value": v, "source": "s"} for m, v in rows
            ]
            results["published"].append({**results["published"][0], "metric": "f1", "value": 1.0})

        def times(export):
            row = {"engine": "onnxruntime", "provider": "cpu", "dtype": "fp32", "shape": [1, 2, 30]}
            row["p95_ms"] = 9.5
            slow = {**row, "shape": [8, 2, 30], "median_ms": 9.0}
            rows = [slow, {**row, "engine": "torch", "median_ms": 8.0}, {**row, "median_ms": 0.125}]
            machine = {"processor": "a chip", "gpu": None, "threads": 1}
            export["latency"] = {"machine": machine, "rows": rows, "aside": {}}

        edit(shelf / "waves" / RESULTS, best)
        edit(shelf / "waves" / EXPORT, times)
        results = json.loads((shelf / "waves" / RESULTS).read_text())
        ripples, waves = command("list", "--json").json
        assert (waves["best"], waves["best_by"], waves["latency_ms"]) == (0.75, "New", 0.125)
        assert (ripples["best"], ripples["latency_ms"]) == (None, None)
        assert waves["default"] == results["metrics"]["default"]["test"]["value"]
        assert (waves["kind"], waves["dims"], waves["size"]) == ("classification", 1, [30])
        text = command("list", "wa*").out
        assert "75.0% New" in text
        assert "0.125" in text
        assert "ripples" not in text

    def test_only_json_is_read(self, shelf):
        whole = catalogue()
        for path in shelf.rglob("*"):
            if path.is_file() and path.suffix != ".json":
                path.unlink()
        assert catalogue() == whole

    def test_an_unfinished_run_is_no_model(self, shelf):
        whole = catalogue()
        (shelf / "waves").rename(shelf / "waves.partial")
        assert [entry.name for entry in catalogue()] == [
            entry.name for entry in whole if entry.name != "waves"
        ]

    def test_a_damaged_one_says_so(self, shelf, command):
        (shelf / "ripples" / RESULTS).write_text("{}")
        told = command("list")
        assert told.code == 0
        assert "ripples is damaged: results.json: schema_version is missing" in told.out

    def test_without_torch(self, shelf):
        code = "import sys; from dashzoo.cli import cli; cli(['list'], standalone_mode=False); "
        code += "assert 'torch' not in sys.modules"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)


class TestVerifyAll:
    def test_the_metric_is_measured_again(self, shelf, named, command, snapshot):
        before = snapshot(shelf)
        told = command("verify", "--all", "--json")
        assert told.code == 0
        assert [(row["name"], row["verdict"]) for row in told.json] == [
            ("ripples", "holds"),
            ("waves", "holds"),
        ]
        for row in told.json:
            assert row["measured"] == pytest.approx(row["recorded"])
            assert row["error"] < 1e-4
        assert snapshot(shelf) == before

    def test_a_task_that_is_not_here(self, shelf, command):
        told = command("verify", "--all")
        assert told.code == 0
        assert told.out.count("  no data  ") == 2
        assert "waves is no task that has a name here" in told.out

    def test_other_data_of_that_name(self, shelf, monkeypatch, named, arrays):
        def other(name, *, seed, options):
            return arrays_task(
                {**arrays, "X_test": arrays["X_test"] + np.float32(1)},
                name="waves",
                origin="",
                seed=seed,
                options=options,
            )

        monkeypatch.setattr(trained, "load_task", other)
        assert {each.verdict for each in verify_all()} == {"no data"}

    def test_each_failure_is_told_and_ends_in_2(self, shelf, named, command):
        (shelf / "ripples" / "README.md").write_text("mine")

        def boast(results):
            for told in results["metrics"].values():
                told["test"]["value"] = 1 - told["test"]["value"]

        edit(shelf / "waves" / RESULTS, boast)
        seal(shelf / "waves")
        told = command("verify", "--all", "--json")
        assert told.code == 2
        ripples, waves = told.json
        assert (ripples["verdict"], waves["verdict"]) == ("fails", "fails")
        assert "README.md has changed" in ripples["reason"]
        assert "accuracy on test is" in waves["reason"]
        assert command("verify", "--all").code == 2

    def test_no_shelf(self, monkeypatch, tmp_path, command):
        monkeypatch.setenv("DASHZOO_SHELF", str(tmp_path / "none"))
        assert command("verify", "--all").out == "There is no model on the shelf.\n"

    @pytest.mark.parametrize("words", [[], ["waves", "--all"]])
    def test_one_or_all(self, shelf, refused, words):
        refused("verify", *words)


class TestPublishAll:
    def test_all_of_it_and_a_record(self, hub, shelf, command):
        told = command("publish-all", "acme", "--json")
        assert told.code == 0
        assert [row["outcome"] for row in told.json] == ["published", "published"]
        releases = read_releases(shelf)
        assert list(releases) == ["ripples", "waves"]
        for name, release in releases.items():
            assert release.commit == hub.repositories[f"acme/{name}"].at("main").oid
            assert release.sums == sha256_file(shelf / name / "SHA256SUMS")

    def test_names_lead_to_the_same_bytes_in_both_places(self, hub, shelf, snapshot, command):
        command("publish-all", "acme")
        before = snapshot(shelf / "waves")
        assert find("waves").where == "shelf"
        shutil.rmtree(shelf / "waves")
        found = find("waves")
        assert (found.where, found.commit) == ("hub", read_releases(shelf)["waves"].commit)
        assert {name: (found.folder / name).read_bytes() for name in before} == before
        assert [entry.name for entry in catalogue()] == ["ripples", "waves"]
        assert command("list", "waves").code == 0
        assert dashzoo.load("waves")

    def test_other_bytes_are_refused(self, hub, shelf, command):
        command("publish-all", "acme")
        releases = read_releases(shelf)
        mixed = {**releases, "waves": replace(releases["waves"], sums="0" * 64)}
        write_releases(shelf / "published.json", mixed)
        shutil.rmtree(shelf / "waves")
        with pytest.raises(BadBundle, match="is not what the shelf's published"):
            find("waves")

    def test_again_sends_nothing(self, hub, shelf, command):
        first = command("publish-all", "acme", "--json").json
        before = len(hub.asked(path="/commit"))
        again = command("publish-all", "acme", "--json")
        assert [row["outcome"] for row in again.json] == ["unchanged", "unchanged"]
        assert [row["commit"] for row in again.json] == [row["commit"] for row in first]
        assert not [one for one in hub.asked(path="/commit")[before:] if one.startswith("POST")]

    def test_a_failure_is_told_and_the_rest_goes_on(self, hub, shelf, command):
        edit(shelf / "ripples" / CONFIG, lambda c: c["pretrained_cfg"].update(license="mine"))
        told = command("publish-all", "acme")
        assert told.code == 2
        assert told.err == "1 of 2 models failed.\n"
        assert "ripples failed: config.json has changed" in told.out
        assert list(read_releases(shelf)) == ["waves"]

    def test_it_goes_on_where_it_was_stopped(self, hub, shelf, command):
        hub.faults.waiting.append(Fault("POST", "/acme/waves/commit", Reply(500), times=9))
        assert command("publish-all", "acme").code == 2
        assert list(read_releases(shelf)) == ["ripples"]
        hub.faults.waiting.clear()
        told = command("publish-all", "acme", "--json")
        assert [row["outcome"] for row in told.json] == ["unchanged", "published"]
        assert list(read_releases(shelf)) == ["ripples", "waves"]

    def test_dry_run_writes_nothing(self, hub, shelf, command, snapshot):
        before = snapshot(shelf)
        told = command("publish-all", "acme", "--dry-run")
        assert told.code == 0
        assert told.out.count("would go to acme/") == 2
        assert hub.repositories == {}
        assert snapshot(shelf) == before

    def test_a_record_elsewhere_and_private(self, hub, shelf, tmp_path, command):
        record = tmp_path / "record.json"
        assert command("publish-all", "acme", "--private", "--record", record).code == 0
        assert hub.repositories["acme/waves"].private
        assert set(json.loads(record.read_text())["models"]) == {"ripples", "waves"}
        assert not (shelf / "published.json").exists()

    @pytest.mark.parametrize("org", ["acme/waves", "a b", "", "acme@v1", "./acme"])
    def test_what_is_no_organisation(self, shelf, refused, org):
        assert "cannot be the name of an organisation" in refused("publish-all", org)

    def test_an_empty_shelf(self, monkeypatch, tmp_path, refused):
        monkeypatch.setenv("DASHZOO_SHELF", str(tmp_path / "none"))
        assert "set DASHZOO_SHELF" in refused("publish-all", "acme")


class TestGallery:
    def test_of_the_shelf_and_of_a_folder(self, shelf, tmp_path, command):
        told = command("gallery", "--out", tmp_path / "site", "--json")
        assert told.code == 0
        assert told.json["models"] == ["ripples", "waves"]
        assert "index.html" in told.json["files"]
        out = command("gallery", shelf, "--out", tmp_path / "other", "--title", "Ours").out
        assert out == f"A gallery of 2 models is in {tmp_path / 'other' / 'index.html'}.\n"
        assert "<h1>Ours</h1>" in (tmp_path / "other" / "index.html").read_text()

    def test_what_is_on_the_hub_with_the_same_bytes_is_loaded_from_there(
        self, hub, shelf, tmp_path, command
    ):
        command("publish-all", "acme")
        (shelf / "ripples" / "README.md").write_text("# Another\n")
        seal(shelf / "ripples")
        command("gallery", "--out", tmp_path / "site")
        page = (tmp_path / "site" / "waves" / "index.html").read_text()
        assert "dashzoo.load(&#34;acme/waves&#34;)" in page
        page = (tmp_path / "site" / "ripples" / "index.html").read_text()
        assert "dashzoo.load(&#34;ripples&#34;)" in page

    def test_refused(self, shelf, tmp_path, refused):
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "mine").touch()
        assert "holds other files" in refused("gallery", "--out", tmp_path / "site")
        assert "no bundle in" in refused("gallery", tmp_path / "site", "--out", tmp_path / "new")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[]", "published.json"),
        ('{"version": 2, "models": {}}', "published.json:version"),
        ('{"version": 1, "models": {"a": {}}}', "published.json:models.a.repo"),
    ],
)
def test_a_damaged_record_is_named(shelf, text, field):
    (shelf / "published.json").write_text(text)
    with pytest.raises(BadBundle) as caught:
        read_releases(shelf)
    assert caught.value.field == field
