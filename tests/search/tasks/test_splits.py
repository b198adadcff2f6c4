"""Cutting splits: disjoint, complete, stratified, decided by the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.splits import cut_fraction, cut_last, folds

labels = st.lists(st.integers(0, 5), min_size=2, max_size=80).map(np.array)
fractions = st.floats(0.01, 0.99)
seeds = st.integers(0, 2**32 - 1)


def has_a_pair(y) -> bool:
    return bool((np.unique(y, return_counts=True)[1] > 1).any())


@given(labels.filter(has_a_pair), fractions, seeds)
def test_disjoint_complete_and_every_class_on_both_sides(y, fraction, seed):
    rest, cut = cut_fraction(y, fraction, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([rest, cut])), np.arange(len(y)))
    assert (np.diff(rest) > 0).all()
    assert (np.diff(cut) > 0).all()
    for label, count in zip(*np.unique(y, return_counts=True), strict=True):
        taken = int((y[cut] == label).sum())
        if count == 1:
            assert taken == 0
        else:
            assert 1 <= taken < count
            assert abs(taken - fraction * count) <= 1


@given(labels.filter(has_a_pair), fractions, seeds)
def test_the_seed_decides(y, fraction, seed):
    for one, other in zip(
        cut_fraction(y, fraction, seed=seed), cut_fraction(y, fraction, seed=seed), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_seeds_differ():
    y = np.arange(60) % 3
    cuts = {tuple(cut_fraction(y, 0.2, seed=seed)[1]) for seed in range(10)}
    assert len(cuts) == 10


@given(st.integers(1, 20).map(np.arange))
def test_nothing_to_cut(y):
    with pytest.raises(BadData, match="y_train"):
        cut_fraction(y, 0.2, seed=0, array="y_train")


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8)), min_size=4, max_size=60), seeds)
def test_groups_are_whole_and_no_part_is_empty(rows, seed):
    y, groups = np.array(rows).T
    count = len(np.unique(groups))
    if count < 2:
        with pytest.raises(BadData, match="one group"):
            cut_fraction(y, 0.3, seed=seed, groups=groups)
        return
    parts = cut_fraction(y, 0.3, seed=seed, groups=groups)
    dealt = folds(y, min(3, count), seed=seed, groups=groups)
    for division in (parts, dealt):
        np.testing.assert_array_equal(np.sort(np.concatenate(division)), np.arange(len(y)))
        assert all(map(len, division))
        assert sum(len(np.unique(groups[part])) for part in division) == count


def test_groups_are_dealt_in_balance():
    groups = np.arange(300) // 3
    y = (groups % 4 == 0).astype(int)
    rest, cut = cut_fraction(y, 0.2, seed=0, groups=groups)
    assert (len(rest), len(cut)) == (240, 60)
    assert y[cut].mean() == pytest.approx(y.mean(), abs=0.05)


def test_last():
    older, newer = cut_last(10, 0.2)
    assert (older.tolist(), newer.tolist()) == (list(range(8)), [8, 9])
    older, newer = cut_last(10, 0.2, groups=np.array([0, 0, 1, 1, 2, 2, 3, 3, 1, 4]))
    assert (older.tolist(), newer.tolist()) == ([0, 1, 4, 5, 6, 7], [8, 9])
    with pytest.raises(BadData, match="split by time"):
        cut_last(4, 0.5, groups=np.zeros(4, int))
