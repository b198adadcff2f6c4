"""Rounds are resumed, rows are checked, and every read of test is counted."""

from __future__ import annotations

import json

import pytest

from dashzoo_search.errors import BadBundle, BadData, BundleExists, TrainingFailed
from dashzoo_search.panel.contestants import Contestant, pick_contestants
from dashzoo_search.panel.rounds import claim, play
from dashzoo_search.panel.row import Cost


def pretend(name, *, fails=None, seen=None):
    """A contestant that opens test, trains nothing, and may fail with one seed."""

    def run(round_):
        if seen is not None:
            seen.append(round_.seed)
        if fails is not None and round_.seed == fails[0]:
            raise fails[1]
        round_.task.test.open()
        score = {"metric": "accuracy", "value": 0.5, "loss": 1.0}
        told = {"val": score, "test": score, "parameters": 1, "macs": 1}
        return [round_.row(name, told)]

    return Contestant(name=name, rows=(name,), run=run)


def test_an_interrupted_panel_goes_on_and_runs_nothing_twice(rounds, tmp_path):
    seen = []
    stopped = pretend("a", seen=seen, fails=(1, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        play(rounds, [stopped], tmp_path, seeds=3, fingerprint="")
    assert [path.name for path in (tmp_path / "rows").iterdir()] == ["000-a.json"]
    before = (tmp_path / "rows" / "000-a.json").read_bytes()
    done = play(rounds, [pretend("a", seen=seen)], tmp_path, seeds=3, fingerprint="")
    assert seen == [0, 1, 1, 2]
    assert [row.seed for row in done.rows] == [0, 1, 2]
    assert (tmp_path / "rows" / "000-a.json").read_bytes() == before


def test_a_contestant_that_was_stopped_goes_on_where_it_was(rounds, make_round, tmp_path):
    told = []

    def stop(progress):
        told.append(progress.epoch)
        if len(told) == 3:
            raise KeyboardInterrupt

    def stopped(seed):
        return make_round(rounds(seed).task, on_epoch=stop)

    default = pick_contestants(["default"])
    (whole,) = play(rounds, default, tmp_path / "a", seeds=1, fingerprint="").rows
    with pytest.raises(KeyboardInterrupt):
        play(stopped, default, tmp_path / "b", seeds=1, fingerprint="", every=0)
    unfinished = tmp_path / "b" / "unfinished" / "000-default"
    assert list(unfinished.rglob("*.safetensors"))
    (row,) = play(rounds, default, tmp_path / "b", seeds=1, fingerprint="").rows
    assert (row.val, row.test, row.train.epochs) == (whole.val, whole.test, 7)
    assert not unfinished.exists()


def test_every_row_says_how_often_test_was_read(rounds, tmp_path):
    done = play(rounds, [pretend("a"), pretend("b")], tmp_path, seeds=2, fingerprint="")
    assert [row.test_reads for row in done.rows] == [1, 1, 1, 1]


def test_one_that_fails_leaves_the_others_alone_and_is_tried_again(rounds, tmp_path):
    failing = pretend("a", fails=(0, TrainingFailed("it diverged")))
    done = play(rounds, [failing, pretend("b")], tmp_path, seeds=2, fingerprint="")
    assert [(row.contestant, row.seed) for row in done.rows] == [("b", 0), ("a", 1), ("b", 1)]
    assert done.left_out == {"a, seed 0": "it diverged"}
    again = play(rounds, [pretend("a"), pretend("b")], tmp_path, seeds=2, fingerprint="")
    assert len(again.rows) == 4
    assert not again.left_out


def test_rows_that_nobody_asked_for_this_time_stay_in_the_panel(rounds, tmp_path):
    play(rounds, [pretend("uniform"), pretend("a")], tmp_path, seeds=2, fingerprint="")
    done = play(rounds, [pretend("ours")], tmp_path, seeds=1, fingerprint="")
    told = [(row.seed, row.contestant) for row in done.rows]
    assert told == [(0, "ours"), (0, "uniform"), (0, "a"), (1, "uniform"), (1, "a")]


def test_where_all_fail_the_panel_does(rounds, tmp_path):
    failing = pretend("a", fails=(0, TrainingFailed("it diverged")))
    with pytest.raises(TrainingFailed, match="diverged"):
        play(rounds, [failing], tmp_path, seeds=1, fingerprint="")


def test_changed_data_and_damaged_rows_are_refused(rounds, tmp_path):
    play(rounds, [pretend("a")], tmp_path, seeds=1, fingerprint="")
    path = tmp_path / "rows" / "000-a.json"
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, "data": "0" * 64}))
    with pytest.raises(BadData, match="has changed"):
        play(rounds, [pretend("a")], tmp_path, seeds=1, fingerprint="")
    score = {**row["test"], "value": None}
    for damage in ("{", "[]", json.dumps({**row, "test": score}), json.dumps({**row, "seed": "0"})):
        path.write_text(damage)
        with pytest.raises(BadBundle, match="delete it"):
            play(rounds, [pretend("a")], tmp_path, seeds=1, fingerprint="")


def test_a_folder_is_claimed_for_one_set_of_settings(tmp_path):
    settings = {"task": "waves", "epochs": {"total": 5}}
    assert claim(tmp_path / "new", settings) == claim(tmp_path / "new", settings)
    for other, name in (({"task": "w"}, "task"), ({"epochs": {"total": 6}}, "epochs")):
        with pytest.raises(BundleExists, match=rf"other settings \({name} differs\)"):
            claim(tmp_path / "new", {**settings, **other})
    with pytest.raises(BundleExists, match="no panel"):
        claim(tmp_path, settings)


def test_costs_add_up():
    one, other = Cost(epochs=3, seconds=2.0, cpu_seconds=1.0), Cost(epochs=1, seconds=1.0)
    assert (one + other).to_json() == {"epochs": 4, "seconds": 3.0, "cpu_seconds": 1.0}
    assert one + other - other == one
