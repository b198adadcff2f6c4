"""The knapsack and the front against every spec there is."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashzoo_search.budget.front import front
from dashzoo_search.budget.knapsack import best_fit

from .brute import best_by_hand, every, front_by_hand, total

# Eighths add up without rounding, so that equal means equal.
EIGHTHS = st.integers(0, 24).map(lambda n: n / 8)


@st.composite
def problems(draw):
    resources = draw(st.integers(0, 3))
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    values = [np.array(draw(st.lists(EIGHTHS, min_size=n, max_size=n))) for n in sizes]
    costs = [
        np.array(
            draw(
                st.lists(
                    st.lists(st.integers(0, 9), min_size=resources, max_size=resources),
                    min_size=n,
                    max_size=n,
                )
            ),
            dtype=np.float64,
        ).reshape(n, resources)
        for n in sizes
    ]
    room = st.integers(-1, 9 * len(sizes))
    capacity = np.array(draw(st.lists(room, min_size=resources, max_size=resources)), float)
    preferred = draw(st.none() | st.tuples(*(st.integers(0, n - 1) for n in sizes)))
    return values, costs, capacity, preferred


@settings(max_examples=150, deadline=None)
@given(problems())
def test_the_knapsack_is_exact(problem):
    values, costs, capacity, preferred = problem
    found = best_fit(values, costs, capacity, preferred=preferred)
    wanted = best_by_hand(values, costs, capacity, preferred)
    if found is None:
        assert wanted is None
        return
    assert (total(costs, found) <= capacity).all()
    changes = 0 if preferred is None else np.not_equal(found, preferred).sum()
    assert (total(values, found), changes) == wanted


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 2))
def test_the_knapsack_is_exact_on_floats(seed, resources):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 5, 4)
    values = [rng.exponential(size=n) for n in sizes]
    costs = [rng.exponential(size=(n, resources)) for n in sizes]
    capacity = total(costs, [rng.integers(n) for n in sizes])
    found = best_fit(values, costs, capacity)
    wanted = best_by_hand(values, costs, capacity * (1 + 1e-12))
    assert total(values, found) == pytest.approx(wanted[0], abs=1e-9)


def test_the_knapsack_is_quick_on_a_deep_network():
    rng = np.random.default_rng(0)
    values = [rng.exponential(0.1, 16) for _ in range(50)]
    costs = [rng.exponential(1.0, (16, 2)) for _ in range(50)]
    capacity = sum(c.mean(0) for c in costs) * 0.5
    begun = time.process_time()
    assert best_fit(values, costs, capacity) is not None
    assert time.process_time() - begun < 10


@settings(max_examples=120, deadline=None)
@given(problems().filter(lambda p: p[1][0].shape[1] > 0))
def test_every_spec_on_the_front_is_undominated_and_its_hull_is_whole(problem):
    values, costs = problem[0], [c[:, 0] for c in problem[1]]
    names = "abcde"[: len(values)]
    found = front(dict(zip(names, values, strict=True)), dict(zip(names, costs, strict=True)))
    points = [
        (total(values, p), total(costs, p)) for p in ([picks[n] for n in names] for picks in found)
    ]
    wanted = front_by_hand(values, costs)
    assert set(points) <= wanted
    assert sorted(points) == points
    assert len(set(points)) == len(points)
    ends = min(wanted), min(wanted, key=lambda point: point[1])
    assert {points[0], points[-1]} == set(ends)
    for price in (0.01, 0.1, 0.3, 1.0, 3.0, 30.0):  # whatever the price, the best is listed
        best = min(total(values, p) + price * total(costs, p) for p in every(values))
        assert min(v + price * c for v, c in points) == pytest.approx(best)
