"""Burgers' equation: the closed form against a time-stepping spectral solver, and its laws."""

from __future__ import annotations

import numpy as np
import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.generated import SHARP, VISCOUS, Burgers, generate
from dashzoo_search.tasks.generated.burgers import solve_burgers
from dashzoo_search.tasks.generated.fields import periodic_amplitudes


def time_stepped(amplitudes, viscosity, *, points, steps, time=1.0):
    """Fourth-order Runge–Kutta with integrating factor, products dealiased by the 2/3 rule."""
    size, modes = 2 * (amplitudes.shape[1] - 1), points // 2 + 1
    k, kept = 2 * np.pi * np.arange(modes), np.arange(modes) < points / 3
    v, step = amplitudes[:, :modes] * (points / size) * kept, time / steps
    half = np.exp(-viscosity * k**2 * step / 2)

    def rate(v):
        return -0.5j * k * kept * np.fft.rfft(np.fft.irfft(v, points) ** 2)

    for _ in range(steps):
        one = rate(v)
        two = rate(half * (v + step / 2 * one))
        three = rate(half * v + step / 2 * two)
        four = rate(half**2 * v + step * half * three)
        v = half**2 * v + step / 6 * (half**2 * one + 2 * half * (two + three) + four)
    return np.fft.irfft(v, points)


def amplitudes(problem, n=2):
    form = {"gamma": problem.gamma, "tau": problem.tau, "sigma": problem.sigma}
    rngs = [np.random.default_rng([0, 0, i]) for i in range(n)]
    return np.stack([periodic_amplitudes(rng, problem.size, **form) for rng in rngs])


@pytest.mark.parametrize(
    ("problem", "points", "steps"),
    [(VISCOUS, 256, 400), (SHARP, 1024, 1200)],
    ids=["viscous", "sharp"],
)
def test_the_closed_form_agrees_with_time_stepping(problem, points, steps):
    start = amplitudes(problem)
    expected = time_stepped(start, problem.viscosity, points=points, steps=steps)
    found = solve_burgers(start, problem.viscosity, stride=problem.size // points)
    assert np.linalg.norm(found - expected) < 1e-6 * np.linalg.norm(expected)


def test_a_short_time_changes_little():
    start = amplitudes(VISCOUS)
    u = np.fft.irfft(start, VISCOUS.size)[:, ::64]
    soon = solve_burgers(start, VISCOUS.viscosity, time=1e-5, stride=64)
    np.testing.assert_allclose(soon, u, atol=2e-3)


def test_the_mean_stays_and_energy_decays():
    X, y = generate(SHARP, (8, 1, 1)).train
    np.testing.assert_allclose(y.mean(2), X.mean(2), atol=1e-6)
    assert ((y**2).mean(2) < (X**2).mean(2)).all()
    assert (np.abs(y).max(2) <= np.abs(X).max(2)).all()


@pytest.mark.parametrize("problem", [VISCOUS, SHARP])
def test_shapes_and_inputs(problem):
    X, y = generate(problem, (2, 1, 1)).train
    assert X.shape == y.shape == (2, 1, 1024)
    assert X.dtype == y.dtype == np.float32
    u = np.fft.irfft(amplitudes(problem), problem.size)
    np.testing.assert_allclose(X[:, 0], u[:, ::8], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": 33, "stride": 1}, "even size"),
        ({"size": 32, "stride": 5}, "stride that divides it"),
        ({"viscosity": 0.0}, "above 0"),
        ({"viscosity": 1.0}, "up to 0.2"),
    ],
)
def test_recipes_that_cannot_be(change, said):
    with pytest.raises(BadData, match=said):
        Burgers(**{"viscosity": 0.1, "gamma": 2.0, "tau": 5.0, "sigma": 25.0} | change)
