"""Cutting splits: disjoint, complete, stratified, decided by the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.splits import cut_fraction

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
