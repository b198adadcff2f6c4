"""Tuning as a step: both networks on one budget, kept in the folder, gone on with after a kill."""

from __future__ import annotations

import sys

import pytest

import dashzoo
from dashzoo.workfiles import SearchRecord
from dashzoo_search.training.tune import Setting

pytest.importorskip("optuna")

SMALL = {
    "backbone_args": {"width": 2},
    "kernels": (3, 5),
    "dilations": (1,),
    "batch_size": 16,
    "threads": 1,
    "scout": 0.0,
    "price": 100.0,  # so that the kernels found are not the backbone's own
}


@pytest.fixture
def searched(sequence_file, tmp_path):
    out = tmp_path / "out"
    dashzoo.search(sequence_file, out, epochs=1, **SMALL)
    return out


def timeless(told):
    return {key: value for key, value in told.items() if "seconds" not in key}


def test_both_networks_are_tuned_on_the_same_budget(searched, command):
    told = command("tune", searched, "--trials", 2, "--epochs", 2, "--threads", 1, "--json").json
    record = SearchRecord.read(searched)
    assert record.tuned == told
    assert set(told["candidates"]) == {"searched", "default"}
    assert {found["trials"] for found in told["candidates"].values()} == {2}
    assert (told["trials"], told["epochs"], told["how"]) == (2, 2, "3-fold cross-validation")
    assert all(isinstance(setting, Setting) for setting in record.settings().values())
    assert all(setting.drop_rate is not None for setting in record.settings().values())
    again = command("tune", searched, "--trials", 2, "--epochs", 2, "--threads", 1)
    assert "searched: lr " in again.out
    assert again.out.endswith(f"Next: dashzoo train {searched}\n")
    assert timeless(SearchRecord.read(searched).tuned) == timeless(told)
    assert told["candidates"]["searched"] != told["candidates"]["default"]
    rate = told["candidates"]["searched"]["setting"]["drop_rate"]
    supernet = record.supernet(searched, record.task(searched))
    assert supernet.network.backbone.drop_rate == rate


def test_training_takes_what_was_tuned(searched, monkeypatch):
    from dashzoo_search.training import loop

    told = dashzoo.tune(searched, trials=3, epochs=1, threads=1)["candidates"]
    seen = []
    real = loop.weight_optimizer
    monkeypatch.setattr(
        loop, "weight_optimizer", lambda p, recipe, n: seen.append(recipe) or real(p, recipe, n)
    )
    results = dashzoo.train(searched, epochs=1, threads=1)
    for name in ("searched", "default"):
        setting = told[name]["setting"]
        assert any(recipe.lr == setting["lr"] for recipe in seen), name
    assert {recipe.lr for recipe in seen} == {c["setting"]["lr"] for c in told.values()}
    assert results["tuned"]["candidates"] == told


def test_a_killed_tuning_goes_on(searched, tmp_path):
    class Stop(Exception):
        pass

    def stop(progress):
        if progress.stage == "tune default":
            raise Stop

    options = {"trials": 2, "epochs": 1, "threads": 1}
    with pytest.raises(Stop):
        dashzoo.tune(searched, on_epoch=stop, **options)
    assert SearchRecord.read(searched).tuned == {}
    seen = []
    told = dashzoo.tune(searched, on_epoch=seen.append, **options)
    assert [(p.stage, p.epoch) for p in seen] == [("tune default", 2)]
    shared = f"sqlite:///{tmp_path / 'shared.db'}"
    other = dashzoo.tune(searched, storage=shared, **options)
    assert other["shared"]
    assert other["candidates"] == told["candidates"]


def test_faults(searched, refused, sequence_file, tmp_path, monkeypatch):
    assert "run 'dashzoo search" in refused("tune", tmp_path)
    assert "cannot be opened" in refused("tune", searched, "--storage", "nonsense")
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "pip install 'dashzoo[tune]'" in refused("tune", searched)
    told = refused("run", sequence_file, "--out", tmp_path / "new", "--tune", 3)
    assert "pip install 'dashzoo[tune]'" in told
    assert not (tmp_path / "new").exists()


def test_a_run_tunes_before_it_trains(sequence_file, tmp_path, monkeypatch):
    stages = []
    monkeypatch.setattr("dashzoo.steps.run._describe", lambda folder: None)
    dashzoo.run(
        sequence_file, tmp_path / "out", search_epochs=1, epochs=1, tune=2,
        on_epoch=lambda p: stages.append(p.stage), **SMALL,
    )  # fmt: skip
    order = list(dict.fromkeys(stages))
    assert order[:3] == ["search", "tune searched", "tune default"]
    assert "train" in order
    assert SearchRecord.read(tmp_path / "out").tuned["trials"] == 2
