"""Generating: by seed alone, whatever the processes; kept on disk, and made again if damaged."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.generated import (
    SHARP,
    AddingProblem,
    CopyMemory,
    DarcyFlow,
    SpacedMotifs,
    generate,
)
from dashzoo_search.tasks.generated.cache import cache_folder, digest
from dashzoo_search.tasks.kinds import guess_kind

ADDING = AddingProblem(length=6)
COUNTS = (20, 3, 4)


@pytest.fixture
def draws(monkeypatch):
    """How often samples were drawn."""
    calls = []
    inner = AddingProblem.draw

    def draw(self, rngs):
        calls.append(len(rngs))
        return inner(self, rngs)

    monkeypatch.setattr(AddingProblem, "draw", draw)
    return calls


def the_file(cache):
    (path,) = (cache / "generated").iterdir()
    return path


def test_splits_are_as_large_as_asked_and_share_no_sample():
    drawn = generate(ADDING, COUNTS)
    X = [drawn.train[0], drawn.val[0], drawn.test[0]]
    assert tuple(map(len, X)) == COUNTS
    assert len(np.unique(np.concatenate(X), axis=0)) == sum(COUNTS)


def test_counts_are_the_problems_own_by_default(monkeypatch):
    monkeypatch.setattr(AddingProblem, "counts", (5, 2, 1))
    assert len(generate(ADDING).train[1]) == 5


def test_more_samples_leave_the_first_as_they_are():
    few, many = generate(ADDING, COUNTS), generate(ADDING, (40, 5, 6))
    for part in ("train", "val", "test"):
        for one, other in zip(getattr(few, part), getattr(many, part), strict=True):
            np.testing.assert_array_equal(one, other[: len(one)])


def test_the_seed_decides(cache):
    first = generate(ADDING, COUNTS, seed=1)
    the_file(cache).unlink()
    assert generate(ADDING, COUNTS, seed=1).sha256 == first.sha256
    assert generate(ADDING, COUNTS, seed=2).sha256 != first.sha256
    assert first.source.endswith("seed 1")


def test_two_processes_draw_what_one_draws(cache):
    problem = DarcyFlow(size=31)
    alone = generate(problem, COUNTS)
    the_file(cache).unlink()
    assert generate(problem, COUNTS, jobs=2).sha256 == alone.sha256


def test_what_was_drawn_is_read(draws):
    first = generate(ADDING, COUNTS)
    drawn = len(draws)
    again = generate(ADDING, COUNTS)
    assert len(draws) == drawn > 0
    assert again.sha256 == first.sha256
    for one, other in zip(again.train, first.train, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "other",
    [
        lambda: generate(AddingProblem(length=7), COUNTS),
        lambda: generate(ADDING, (20, 3, 5)),
        lambda: generate(ADDING, COUNTS, seed=1),
    ],
)
def test_another_problem_has_another_file(cache, other):
    generate(ADDING, COUNTS)
    other()
    assert len(list((cache / "generated").iterdir())) == 2


def test_another_version_is_drawn_anew(cache, monkeypatch):
    generate(ADDING, COUNTS)
    monkeypatch.setattr(AddingProblem, "version", 2)
    generate(ADDING, COUNTS)
    assert len(list((cache / "generated").iterdir())) == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign"])
def test_a_damaged_file_is_noticed_and_made_again(cache, draws, caplog, damage):
    first = generate(ADDING, COUNTS)
    path = the_file(cache)
    whole = bytearray(path.read_bytes())
    broken = bytearray(whole)
    broken[-5] ^= 1
    broken = {"flip": broken, "cut": whole[:-9], "empty": b"", "foreign": b"PK" + whole}[damage]
    path.write_bytes(bytes(broken))
    drawn = len(draws)
    with caplog.at_level(logging.WARNING):
        again = generate(ADDING, COUNTS)
    assert "made again" in caplog.text
    assert len(draws) == 2 * drawn
    assert again.sha256 == first.sha256
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_costs_only_time(cache, caplog):
    cache.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert len(generate(ADDING, COUNTS).train[0]) == 20
    assert "cannot be written" in caplog.text


def test_nothing_half_written_is_left(cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    generate(ADDING, COUNTS)
    assert not list((cache / "generated").iterdir())


def test_the_folder(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("DASHZOO_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "dashzoo"


def test_the_hash_sees_names_types_shapes_and_values():
    x = np.arange(6, dtype=np.float32)
    others = [{"b": x}, {"a": x.view(np.int32)}, {"a": x.reshape(2, 3)}, {"a": x + 1}, {"a": x[:5]}]
    assert len({digest(arrays) for arrays in ({"a": x}, *others)}) == 6
    assert digest({"a": x, "b": x}) == digest({"b": x, "a": x})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"counts": (1, 0, 1)}, "at least one sample"),
        ({"counts": (1, 1)}, "at least one sample"),
        ({"counts": COUNTS, "seed": -1}, "a seed from 0"),
        ({"counts": COUNTS, "jobs": 0}, "jobs from 1"),
    ],
)
def test_what_cannot_be_drawn(arguments, said):
    with pytest.raises(BadData, match=said):
        generate(ADDING, **arguments)


@pytest.mark.parametrize(
    "problem",
    [DarcyFlow(size=6), replace(SHARP, size=64), ADDING, CopyMemory(delay=3), SpacedMotifs()],
    ids=lambda problem: problem.name,
)
def test_the_kind_is_the_one_its_targets_speak_of(problem):
    X, y = generate(problem, COUNTS).train
    assert guess_kind(y, X.shape[2:])[0] == problem.kind
