"""Stages: when checkpoints are written, what they refuse, and that nothing is done twice."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from dashzoo_search.errors import BadBundle
from dashzoo_search.tasks import Split
from dashzoo_search.training import Recipe, fit
from dashzoo_search.training.checkpoint import Checkpoints, write_durably
from dashzoo_search.training.resume import Journal, Stage
from dashzoo_search.training.runtime import Stopwatch
from dashzoo_search.training.steps import Stepper

CPU = torch.device("cpu")


def test_the_newest_two_stay_and_a_failed_write_harms_nothing(tmp_path, monkeypatch):
    kept = Checkpoints(tmp_path / "stage")
    assert kept.load() is None
    for number in range(4):
        kept.save(number, {"number": number})
    assert len(list((tmp_path / "stage").iterdir())) == 2
    assert kept.load() == {"number": 3}

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        kept.save(4, {"number": 4})
    assert kept.load() == {"number": 3}
    assert len(list((tmp_path / "stage").iterdir())) == 2
    with pytest.raises(OSError, match="No space"):
        write_durably(tmp_path / "x", b"new")


def test_checkpoints_wait_for_work_and_cost_little(tmp_path, monkeypatch):
    """None in a tiny stage; never closer than a share of what one costs."""
    now = 0.0
    monkeypatch.setattr("dashzoo_search.training.resume.time.perf_counter", lambda: now)
    saved = []

    def slow(self, number, tree):
        nonlocal now
        saved.append((number, now))
        now += 2.0

    monkeypatch.setattr(Checkpoints, "save", slow)
    with Journal(tmp_path, fingerprint="x").active():
        stage = Stage("one", {"list": []}, lambda p: None, CPU)
        for _ in stage.epochs(400):
            now += 1.0
            stage.tell(0.0, 0.0)
    assert saved[0] == (5, 5.0)
    assert all(b - a >= 120 for (_, a), (_, b) in itertools.pairwise(saved))
    assert 2.0 * len(saved) / now < 0.02
    saved.clear()
    with Journal(tmp_path, fingerprint="x").active():
        for _ in Stage("two", {"list": []}, lambda p: None, CPU).epochs(5):
            now += 0.1
    assert saved == []


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("fingerprint", "other", "of another run"),
        ("epoch", 0, "epoch 0 is none of 3"),
        ("epoch", 4, "epoch 4 is none of 3"),
        ("epoch", "1", "epoch '1' is none of 3"),
        ("spent", [1], "no pair of seconds"),
        ("spent", [-1, 0], "no pair of seconds"),
        ("told", [], "told does not hold 2 epochs"),
        ("told", [[1, 2], ["a", 2]], "told does not hold"),
        ("parts", {}, "part list is missing"),
        ("parts", {"list": {"items": []}, "more": {}}, "part more is unexpected"),
        ("parts", {"list": {"items": 3}}, "list/items is no list"),
        ("randomness", [], "randomness is missing"),
        ("randomness", [{}], "randomness/.* is missing"),
        ("extra", 1, "extra is unexpected"),
    ],
)
def test_a_stage_refuses_a_checkpoint_that_lies(tmp_path, key, value, told):
    def run(stop):
        items = []
        with Journal(tmp_path, fingerprint="x", every=0.0).active():
            stage = Stage("one", {"list": items}, lambda p: None, CPU)
            for epoch in stage.epochs(3):
                if epoch == stop:
                    return None
                items.append(epoch)
                stage.tell(0.5, 0.5)
        return items

    run(3)
    kept = Checkpoints(tmp_path / "one-1")
    whole = kept.load()
    kept.save(9, {**whole, key: value})
    with pytest.raises(BadBundle, match=rf"{told}.*--fresh"):
        run(None)
    kept.save(10, whole)
    assert run(None) == [1, 2, 3]


def test_stages_of_one_name_are_told_apart_and_a_finished_one_is_not_redone(tmp_path):
    split = Split(np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32),
                  np.arange(12) % 3)  # fmt: skip

    def both(told):
        ends = []
        with Journal(tmp_path, fingerprint="x", every=0.0).active():
            for seed in (0, 1):
                torch.manual_seed(seed)
                net = nn.Linear(4, 3)
                watch = Stopwatch()
                result = fit(
                    net, split, split, Recipe(epochs=3, batch_size=4),
                    generator=torch.Generator().manual_seed(seed), on_epoch=told.append,
                )  # fmt: skip
                ends.append((net.weight.tolist(), result.val, result.best_epoch, torch.rand(1)))
                assert watch.seconds >= result.seconds - 0.01
        return ends

    first, again = [], []
    ends = both(first)
    steps = []
    original = Stepper.__call__
    Stepper.__call__ = lambda *args: steps.append(1) or original(*args)
    try:
        assert both(again) == ends
    finally:
        Stepper.__call__ = original
    assert (again, steps) == (first, [])


def test_a_flipped_bit_or_a_torn_end_falls_back_to_the_one_before(tmp_path):
    kept = Checkpoints(tmp_path)
    for number in (1, 2):
        kept.save(number, {"weights": torch.full((1000,), float(number))})
    old, new = sorted(tmp_path.iterdir())
    data = bytearray(new.read_bytes())
    data[-8] ^= 1  # in a weight: the file still parses
    new.write_bytes(data)
    assert kept.load()["weights"][0] == 1
    old.write_bytes(old.read_bytes()[:-1])
    assert kept.load() is None
