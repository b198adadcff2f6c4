"""The steps one by one: the same as a run, each repeatable, each naming the one before it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import dashzoo
from dashzoo.workfiles import SearchRecord
from dashzoo_export.bundle import check_bundle
from dashzoo_search.errors import (
    BadBackbone,
    BadBundle,
    BadData,
    BadSpace,
    BundleExists,
    DashzooError,
)

TINY = {
    "backbone_args": {"width": 2},
    "kernels": (3, 5),
    "dilations": (1,),
    "batch_size": 16,
    "threads": 1,
}


@pytest.fixture(scope="module")
def made_search(tmp_path_factory, sequence_file):
    """A folder in which only the search was done, on a copy of the data; read only."""
    folder = tmp_path_factory.mktemp("steps")
    shutil.copy(sequence_file, folder / "data.npz")
    dashzoo.search(folder / "data.npz", folder / "work", epochs=1, seed=3, **TINY)
    return folder / "work"


@pytest.fixture
def searched(made_search, tmp_path):
    """A copy of it, with its own copy of the data."""
    shutil.copy(made_search.parent / "data.npz", tmp_path / "data.npz")
    shutil.copytree(made_search, tmp_path / "work")
    record = json.loads((tmp_path / "work/search/search.json").read_text())
    record["data"] = str(tmp_path / "data.npz")
    (tmp_path / "work/search/search.json").write_text(json.dumps(record))
    return tmp_path / "work"


def train(folder, **options):
    return dashzoo.train(folder, **{"epochs": 1, "baseline": False, "threads": 1, **options})


def timeless(value):
    """Without what differs between two runs of the same: clocks, and the state of the checkout."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in ("git_commit", "created")}
        return {k: timeless(v) for k, v in kept.items() if not k.endswith("seconds")}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def test_steps_are_a_run(made_bundle, sequence_file, tmp_path, snapshot, command):
    out = tmp_path / "waves"
    one, more = ["--threads", 1, "--json"], ["--batch-size", 16, "--seed", 3]
    more += ["--backbone-arg", "width=4", "--kernels", "3,5", "--dilations", "1,2"]
    spec = command("search", sequence_file, "--out", out, "--epochs", 2, *more, *one).json
    results = command("train", out, "--epochs", 2, *one).json
    assert spec.pop("tradeoff") == SearchRecord.read(out).tradeoff
    assert spec.pop("started") == {}
    report = command("export", out, "--json").json
    card = command("card", out, "--json").json
    ours, theirs = snapshot(out), snapshot(made_bundle)
    assert card == {"bundle": str(out), "files": check_bundle(made_bundle)}
    for name in ("config.json", "model.safetensors", "onnx/model.onnx"):
        assert ours[name] == theirs[name], name
    run_results, run_report = (json.loads(theirs[n]) for n in ("results.json", "onnx/export.json"))
    assert timeless(results) == timeless(run_results)
    assert report == run_report == json.loads(ours["onnx/export.json"])
    assert spec == SearchRecord.read(out).spec
    assert set(spec["layers"]) == {layer["name"] for layer in results["layers"]}
    again = command("card", out)  # may be repeated, and changes nothing
    assert again.out.startswith(f"The bundle is whole: {len(card['files'])} files")
    assert snapshot(out) == ours


class TestSearch:
    def test_a_search_in_use(self, searched, sequence_file, snapshot):
        before = snapshot(searched)
        with pytest.raises(BundleExists, match="--force"):
            dashzoo.search(sequence_file, searched, epochs=1, **TINY)
        faults = [
            ({"kernels": (4,)}, BadSpace),
            ({"backbone_args": {"width": [1]}}, BadBackbone),
            ({"backbone": "nothing"}, DashzooError),
            ({"device": "tpu"}, DashzooError),
            ({"lr": 0.0}, DashzooError),
        ]
        for fault, error in faults:
            with pytest.raises(error):
                dashzoo.search(sequence_file, searched, force=True, **{**TINY, **fault})
        with pytest.raises(BadData):
            dashzoo.search({"X": [1], "y": [1]}, searched, force=True, **TINY)
        assert snapshot(searched) == before

    def test_force_makes_the_old_bundle_go(self, bundle, sequence_file, snapshot):
        dashzoo.search(sequence_file, bundle, epochs=1, force=True, **TINY)
        assert set(snapshot(bundle)) == {"search/search.json", "search/supernet.safetensors"}

    def test_bad_arrays_leave_nothing(self, arrays, tmp_path):
        with pytest.raises(BadData, match="lacks y_test"):
            dashzoo.search(
                {k: v for k, v in arrays.items() if k != "y_test"}, tmp_path / "out", **TINY
            )
        assert not (tmp_path / "out").exists()

    def test_arrays_are_kept_for_training(self, arrays, tmp_path):
        dashzoo.search(arrays, tmp_path / "out", epochs=1, **TINY)
        assert train(tmp_path / "out")["task"]["name"] == "data"

    def test_a_file_with_the_name_of_a_task(self, tmp_path, monkeypatch):
        pytest.importorskip("sklearn")
        monkeypatch.chdir(tmp_path)
        (tmp_path / "digits").write_text("no data")
        from dashzoo.workfiles import resolve_data
        from dashzoo_search.tasks import DataOptions

        reference, task = resolve_data("digits", seed=0, options=DataOptions())
        assert (reference, task.name) == ("digits", "digits")

    def test_a_relative_path_is_found_again(self, sequence_file, tmp_path, monkeypatch):
        monkeypatch.chdir(sequence_file.parent)
        dashzoo.search(sequence_file.name, tmp_path / "out", epochs=1, **TINY)
        monkeypatch.chdir(tmp_path)
        train(tmp_path / "out")

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"dilations": (1,)}, (3, 7, 11, 15, 19)),
            ({"kernels": (3,)}, (3,)),
        ],
    )
    def test_defaults_are_not_blamed_on_short_samples(self, tmp_path, options, told):
        X = np.random.default_rng(0).standard_normal((20, 1, 6))
        out = tmp_path / "out"
        more = {"backbone_args": {"width": 2}, "threads": 1, "epochs": 1}
        dashzoo.search({"X": X, "y": np.arange(20) % 2}, out, **more, **options)
        assert SearchRecord.read(out).search_space().kernels == told


class TestTrain:
    def test_twice_needs_force(self, searched, snapshot):
        train(searched)
        before = snapshot(searched)
        with pytest.raises(BundleExists, match="--force"):
            train(searched)
        assert snapshot(searched) == before
        train(searched, force=True)

    def test_from_scratch_is_other_weights_and_the_same_kernels(self, searched):
        one = train(searched, init="searched")
        weights = (searched / "model.safetensors").read_bytes()
        (searched / "search" / "supernet.safetensors").unlink()
        other = train(searched, force=True, init="scratch")
        assert one["layers"] == other["layers"]
        assert (one["recipe"]["init"], other["recipe"]["init"]) == ("searched", "scratch")
        assert weights != (searched / "model.safetensors").read_bytes()

    def test_from_both_is_each_of_them(self, searched, command):
        alone = {init: train(searched, init=init, force=True) for init in ("searched", "scratch")}
        words = ["--init", "both", "--epochs", 1, "--no-baseline", "--threads", 1, "--force"]
        told = command("train", searched, *words)
        assert told.code == 0
        assert told.out.count("(kept)") == 1
        both = json.loads((searched / "results.json").read_text())["metrics"]["searched"]
        for init, results in alone.items():
            one = results["metrics"]["searched"]
            assert one["init"] == init
            assert timeless(both["inits"][init]) == timeless(
                {k: v for k, v in one.items() if k not in ("init", "parameters", "macs")}
            )
        kept = alone[both["init"]]["metrics"]["searched"]
        assert timeless({k: v for k, v in both.items() if k != "inits"}) == timeless(kept)

    def test_a_mixture_of_shared_weights_is_read_back_as_one(self, sequence_file, tmp_path):
        out = tmp_path / "out"
        dashzoo.search(
            sequence_file, out, epochs=2, method="mixture", weights="shared", rule="explained",
            **TINY,
        )  # fmt: skip
        told = train(out, init="searched")
        assert told["search"]["weights"] == "shared"
        assert told["metrics"]["searched"]["init"] == "searched"
        path = out / "search" / "search.json"
        path.write_text(path.read_text().replace('"shared"', '"stolen"'))
        with pytest.raises(BadBundle, match="damaged"):
            train(out, init="searched", force=True)

    def test_a_word_that_is_no_start(self, searched):
        with pytest.raises(BadData, match="searched, scratch, both"):
            train(searched, init="luck")

    def test_makes_export_and_card_stale(self, bundle):
        train(bundle, force=True)
        for name in ("SHA256SUMS", "README.md", "onnx", "figures"):
            assert not (bundle / name).exists()

    def test_changed_data(self, searched, arrays):
        path = searched.parent / "data.npz"
        np.savez(path, **{**arrays, "X_test": arrays["X_test"] + 1})
        with pytest.raises(BadData, match="has changed since the search; search again"):
            train(searched)
        path.unlink()
        with pytest.raises(BadData, match="does not exist"):
            train(searched)
        assert not (searched / "results.json").exists()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("version", 2),
            ("version", None),
            ("data", 3),
            ("seed", "0"),
            ("network", {}),
            ("network", None),
            ("space", {"kernels": [4], "dilations": [1]}),
            ("options", {}),
            ("options", {"recipe": {"epochs": "many", "batch_size": 1}}),
            ("spec", {"spec_version": 1}),
            ("history", {}),
            ("unknown", 1),
        ],
    )
    def test_a_damaged_record(self, searched, field, value):
        path = searched / "search" / "search.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
        with pytest.raises(BadBundle, match=r"search\.json .*; search again"):
            train(searched)

    def test_a_lost_or_damaged_supernet(self, searched):
        path = searched / "search" / "supernet.safetensors"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(BadBundle, match="damaged"):
            train(searched, init="searched")
        path.unlink()
        for init in ("searched", "both"):
            with pytest.raises(BadBundle, match=r"missing.* --init scratch"):
                train(searched, init=init)


class TestOrder:
    """Each step names the one that is missing before it."""

    def test_nothing_there(self, tmp_path, refused):
        for folder in (tmp_path, tmp_path / "none"):
            assert f"run 'dashzoo search DATA --out {folder}'" in refused("train", folder)
        for step in ("export", "card", "show"):
            assert f"run 'dashzoo train {tmp_path}' first" in refused(step, tmp_path)
            assert "is no folder" in refused(step, tmp_path / "none")
        assert list(tmp_path.iterdir()) == []

    def test_only_searched(self, searched, refused):
        for step in ("export", "card", "show"):
            assert f"run 'dashzoo train {searched}' first" in refused(step, searched)

    def test_only_trained(self, searched, refused, command, snapshot):
        train(searched)
        before = snapshot(searched)
        assert f"run 'dashzoo export {searched}' first" in refused("card", searched)
        assert "dashzoo card" in refused("publish", searched, searched.parent / "dest")
        assert snapshot(searched) == before
        shown = command("show", searched)
        assert shown.code == 0
        assert "Not whole" in shown.out

    def test_export_takes_real_samples_where_it_can(self, bundle, arrays, monkeypatch):
        given = []
        monkeypatch.setattr(
            "dashzoo.steps.export.export_onnx", lambda *_, samples, **__: given.append(samples)
        )
        dashzoo.export(bundle)
        train = {x.tobytes() for x in arrays["X_train"]}
        assert len(given[0]) == len(SearchRecord.read(bundle).task(bundle).val)
        assert all(x.tobytes() in train for x in given[0])
        shutil.rmtree(bundle / "search")
        dashzoo.export(bundle)
        assert given[1] is None

    def test_a_card_that_cannot_be_written_loses_nothing(self, bundle, snapshot):
        results = json.loads((bundle / "results.json").read_text())
        results["metrics"]["searched"]["parameters"] = "many"
        (bundle / "results.json").write_text(json.dumps(results))
        before = snapshot(bundle)
        with pytest.raises(BadBundle, match="parameters"):
            dashzoo.card(bundle)
        assert snapshot(bundle) == before
