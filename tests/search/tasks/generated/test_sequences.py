"""Diagnostics: they are what they are called, and the label hangs on nothing but what it should."""

from __future__ import annotations

import numpy as np
import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.generated import AddingProblem, CopyMemory, SpacedMotifs


def drawn(problem, n, seed=0):
    return problem.draw([np.random.default_rng([seed, i]) for i in range(n)])


@pytest.mark.parametrize("length", [2, 7, 200])
def test_adding(length):
    X, y = drawn(AddingProblem(length=length), 300)
    assert X.shape == (300, 2, length)
    assert X.dtype == y.dtype == np.float32
    values, marks = X[:, 0], X[:, 1]
    assert set(np.unique(marks)) <= {0, 1}
    assert (marks[:, : length // 2].sum(1) == 1).all()
    assert (marks[:, length // 2 :].sum(1) == 1).all()
    marked = values[marks == 1].reshape(-1, 2)
    np.testing.assert_allclose(y[:, 0], marked.sum(1))
    assert 0 <= values.min() < values.max() <= 1


def test_the_baseline_of_adding():
    _, y = drawn(AddingProblem(length=20), 4000)
    assert abs(((y - 1) ** 2).mean() - 1 / 6) < 0.02


def test_marks_stand_everywhere():
    X, _ = drawn(AddingProblem(length=8), 400)
    assert (X[:, 1].mean(0) > 0.15).all()


def test_copy():
    X, y = drawn(CopyMemory(delay=30), 50)
    assert X.shape == (50, 10, 50)
    assert y.shape == (50, 50)
    assert (X.sum(1) == 1).all()
    shown = X.argmax(1)
    np.testing.assert_array_equal(y[:, -10:], shown[:, :10])
    assert set(np.unique(shown[:, :10])) == set(range(1, 9))
    assert (y[:, :-10] == 0).all()
    assert (shown[:, 10:39] == 0).all()
    assert (shown[:, 39] == 9).all()
    assert (shown[:, 40:] == 0).all()


def test_what_tells_nothing_about_what_to_copy():
    X, _ = drawn(CopyMemory(delay=5), 20)
    assert (X[:, :, 10:] == X[:1, :, 10:]).all()


def places(X, motif):
    bases = np.array(list("ACGT"))[X.argmax(1)]
    found = [[i for i in range(X.shape[2]) if "".join(row[i : i + 7]) == motif] for row in bases]
    assert {len(each) for each in found} == {1}
    return np.array(found)[:, 0]


@pytest.fixture(scope="module")
def motifs():
    problem = SpacedMotifs(length=120, distance=40, shift=10)
    X, y = drawn(problem, 1500)
    return problem, X, y, *(places(X, motif) for motif in problem.motifs)


def test_the_label_is_the_spacing(motifs):
    problem, X, y, first, second = motifs
    assert (X.sum(1) == 1).all()
    np.testing.assert_array_equal(y, second - first == problem.distance)
    off = np.abs(second - first - problem.distance)[y == 0]
    assert off.min() == 1
    assert np.mean(off <= problem.shift) > 0.7
    assert 0.45 < y.mean() < 0.55


def test_one_motif_alone_tells_nothing(motifs):
    problem, X, y, first, second = motifs
    for place, least in ((first, 0), (second, problem.distance)):
        counts = [np.bincount(place[y == label] - least, minlength=74) for label in (0, 1)]
        for count in counts:  # uniform over 74 places, whatever the label
            assert len(count) == 74
            expected = count.sum() / 74
            assert ((count - expected) ** 2 / expected).sum() < 73 + 5 * np.sqrt(2 * 73)
    # Nor do the letters, wherever they stand.
    difference = X[y == 1].mean(0) - X[y == 0].mean(0)
    assert np.abs(difference).max() < 5 * 2 * 0.5 / np.sqrt(len(y))


@pytest.mark.parametrize(
    ("problem", "settings", "said"),
    [
        (AddingProblem, {"length": 1}, "give a length from 2"),
        (CopyMemory, {"delay": 0}, "give one from 1"),
        (SpacedMotifs, {"distance": 18}, "would overlap"),
        (SpacedMotifs, {"shift": 0}, "give a shift from 1"),
        (SpacedMotifs, {"length": 124}, "give a length from 125"),
    ],
)
def test_problems_that_cannot_be(problem, settings, said):
    with pytest.raises(BadData, match=said):
        problem(**settings)


def test_the_tightest_problem_that_can_be():
    problem = SpacedMotifs(length=41, distance=12, shift=4)
    with pytest.raises(BadData):
        SpacedMotifs(length=40, distance=12, shift=4)
    X, y = drawn(problem, 200)
    first, second = (places(X, motif) for motif in problem.motifs)
    np.testing.assert_array_equal(y, second - first == 12)
