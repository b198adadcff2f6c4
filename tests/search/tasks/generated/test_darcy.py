"""Darcy flow: the fast solver against a sparse factorisation, and what the data look like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.generated import DarcyFlow, generate, with_coordinates
from dashzoo_search.tasks.generated.darcy import permeability
from dashzoo_search.tasks.generated.multigrid import _Multigrid, conductances, solve_darcy


def coefficients(size, seed=0):
    return permeability(np.random.default_rng(seed), size)


@pytest.mark.parametrize("size", [4, 5, 6, 7, 8, 10, 23, 85, 92])
def test_the_solver_agrees_with_a_sparse_factorisation(sparse, size):
    a = coefficients(size)
    expected = sparse.solve(a)
    error = np.linalg.norm(solve_darcy(a) - expected) / np.linalg.norm(expected)
    assert error < 1e-8
    assert (solve_darcy(a)[[0, -1]] == 0).all()


@given(st.integers(0, 2**32 - 1), st.integers(3, 20), st.floats(1, 30))
@settings(max_examples=25, deadline=None)
def test_the_residual_of_any_coefficients_is_small(seed, size, jump):
    a = np.random.default_rng(seed).uniform(1, jump, (size, size))
    u = solve_darcy(a)
    down = np.diff((a[1:] + a[:-1]) / 2 * np.diff(u, axis=0), axis=0)[:, 1:-1]
    right = np.diff((a[:, 1:] + a[:, :-1]) / 2 * np.diff(u, axis=1), axis=1)[1:-1]
    np.testing.assert_allclose(-(down + right) * (size - 1) ** 2, 1.0, atol=1e-6)


@pytest.mark.parametrize("size", [5, 8, 11, 22])
def test_the_preconditioner_is_symmetric(size):
    cycle = _Multigrid(*conductances(coefficients(size)))
    x, y = np.zeros((2, size, size))
    x[1:-1, 1:-1], y[1:-1, 1:-1] = np.random.default_rng(0).standard_normal((2, size - 2, size - 2))
    assert (x * cycle(y)).sum() == pytest.approx((y * cycle(x)).sum(), abs=1e-5)
    assert (x * cycle(x)).sum() > 0


def test_steps_do_not_grow_with_the_grid(monkeypatch):
    monkeypatch.setattr("dashzoo_search.tasks.generated.multigrid.MOST_STEPS", 15)
    for size in (41, 84, 168):
        solve_darcy(coefficients(size))


@pytest.mark.parametrize(
    ("a", "said"),
    [
        (np.ones((4, 5)), r"\[4, 5\]; give a square"),
        (np.ones((2, 2)), "at least 3×3"),
        (np.zeros((5, 5)), "give positive"),
        (np.full((5, 5), np.nan), "give positive"),
    ],
)
def test_coefficients_that_cannot_be(a, said):
    with pytest.raises(BadData, match=said):
        solve_darcy(a)


def test_jumps_too_large(monkeypatch):
    monkeypatch.setattr("dashzoo_search.tasks.generated.multigrid.MOST_STEPS", 2)
    with pytest.raises(BadData, match=r"after 2 steps; make the jumps .* 4-fold, smaller"):
        solve_darcy(coefficients(60))


def test_pressures_are_those_of_the_recipe():
    drawn = generate(DarcyFlow(size=85, stride=1), (16, 1, 1))
    a, u = drawn.train
    assert a.shape == u.shape == (16, 1, 85, 85)
    assert a.dtype == u.dtype == np.float32
    assert set(np.unique(a)) == {3, 12}
    assert (u[:, 0, 1:-1, 1:-1] > 0).all()
    assert (u[..., 0] == 0).all()
    assert 0.005 < u.mean() < 0.006
    assert (u.max((1, 2, 3)) > 0.010).all()
    assert (u.max((1, 2, 3)) < 0.0175).all()  # between the centre's .0737/12 and .0737/3, mixed
    assert 0.010 < u.max((1, 2, 3)).mean() < 0.014
    assert 0.4 < (a == 12).mean() < 0.6


def test_what_is_kept_is_solved_on_the_fine_grid(sparse):
    drawn = generate(DarcyFlow(size=31, stride=5), (1, 1, 1), seed=4)
    a = coefficients(31, [4, 0, 0])
    np.testing.assert_array_equal(drawn.train[0][0, 0], a[::5, ::5])
    np.testing.assert_allclose(drawn.train[1][0, 0], sparse.solve(a)[::5, ::5], rtol=1e-6)


def test_a_stride_that_misses_the_boundary():
    with pytest.raises(BadData, match="give a stride that divides size − 1"):
        DarcyFlow(size=421, stride=8)


def test_coordinates_follow_the_fields():
    X = np.ones((2, 1, 3, 5), np.float32)
    wide = with_coordinates(X)
    assert wide.shape == (2, 3, 3, 5)
    np.testing.assert_array_equal(wide[:, :1], X)
    np.testing.assert_allclose(wide[1, 1, :, 4], [0, 0.5, 1])
    np.testing.assert_allclose(wide[1, 2, 0], [0, 0.25, 0.5, 0.75, 1])


@pytest.mark.slow
def test_the_size_of_the_recipe(sparse):
    a = coefficients(421)
    expected = sparse.solve(a)
    error = np.linalg.norm(solve_darcy(a) - expected) / np.linalg.norm(expected)
    assert error < 1e-8
