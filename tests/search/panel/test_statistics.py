"""Means, paired differences and t intervals, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from dashzoo_search.measure import ACCURACY, Measure
from dashzoo_search.panel.statistics import error_ratios, paired, student_t, summarise

RMSE = Measure(name="rmse", larger_is_better=False)


@pytest.mark.parametrize(
    ("freedom", "wanted"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (30, 2.0423)],
)
def test_quantiles_are_those_of_the_tables(freedom, wanted):
    assert student_t(0.975, freedom) == pytest.approx(wanted, abs=5e-5)


def test_quantile_at_one_half_is_zero_and_they_grow():
    assert student_t(0.5, 3) == pytest.approx(0, abs=1e-12)
    assert student_t(0.9, 3) < student_t(0.95, 3) < student_t(0.99, 3)


def test_a_difference_worked_by_hand():
    ours, default = {0: 0.9, 1: 0.8, 2: 0.7, 9: 0.1}, {0: 0.8, 1: 0.8, 2: 0.8, 7: 1.0}
    # Differences .1, 0, −.1: mean 0, s = .1, s/√3 = .057735, t(2) = 4.302653.
    found = paired(ours, default, ACCURACY)
    assert found.mean == pytest.approx(0, abs=1e-12)
    assert found.high == pytest.approx(0.248414, abs=1e-6)
    assert found.low == pytest.approx(-0.248414, abs=1e-6)
    assert (found.better, found.same, found.worse) == (1, 1, 1)
    assert not found.clear


def test_where_smaller_is_better_a_fall_is_a_win():
    found = paired({0: 0.1, 1: 0.2, 2: 0.3}, {0: 0.3, 1: 0.41, 2: 0.5}, RMSE)
    assert (found.better, found.same, found.worse) == (3, 0, 0)
    assert found.mean < 0
    assert found.clear


def test_one_pair_has_no_interval_and_no_pair_no_difference():
    alone = paired({0: 2.0}, {0: 1.0}, ACCURACY)
    assert (alone.mean, alone.low, alone.high, alone.clear) == (1.0, None, None, False)
    assert paired({0: 2.0}, {1: 1.0}, ACCURACY) is None


def test_a_summary_has_the_spread_of_a_sample():
    both = summarise({"default": {0: 1.0, 1: 3.0}, "ours": {0: 2.0}}, ACCURACY)
    default, ours = both
    assert (default.mean, default.spread, default.difference) == (2.0, math.sqrt(2), None)
    assert (ours.seeds, ours.spread, ours.difference.mean) == (1, None, 1.0)


def test_ratios_to_the_best():
    found = error_ratios([{"a": 1.0, "b": 3.0}, {"a": 0.0, "b": 0.0}, {"b": 2.0}, {"a": 1, "b": 0}])
    assert found == {"a": [1.0, 1.0, math.inf, math.inf], "b": [3.0, 1.0, 1.0, 1.0]}
