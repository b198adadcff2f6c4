"""Gaussian fields: their modes have the deviations that the covariance says, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dctn

from dashzoo_search.tasks.generated.fields import (
    neumann_deviations,
    neumann_field,
    periodic_amplitudes,
    periodic_deviations,
)


@pytest.mark.parametrize("size", [2, 3, 8, 15])
def test_a_field_is_the_inverse_cosine_transform_of_its_amplitudes(size):
    field = neumann_field(np.random.default_rng(5), size)
    noise = np.random.default_rng(5).standard_normal((size, size))
    expected = size * neumann_deviations(size, 3.0) * noise
    np.testing.assert_allclose(dctn(field, norm="ortho"), expected, atol=1e-12)


def test_the_spectrum_of_neumann_fields():
    size, n = 12, 2000
    rng = np.random.default_rng(0)
    modes = np.stack([dctn(neumann_field(rng, size), norm="ortho") for _ in range(n)]) / size
    k = np.arange(size)
    # Covariance (−Δ + 9I)^(−2), up to the factor τ² = 9 which the sign of the field does not see.
    variances = 9 * (np.pi**2 * (k[:, None] ** 2 + k**2) + 9.0) ** -2.0
    variances[0, 0] = 0
    np.testing.assert_allclose(modes.var(0), variances, rtol=6 * np.sqrt(2 / n), atol=1e-25)
    assert abs(np.corrcoef(modes[:, 0, 1], modes[:, 1, 0])[0, 1]) < 5 / np.sqrt(n)


def test_the_spectrum_of_periodic_fields():
    size, n, form = 32, 4000, {"gamma": 2.0, "tau": 5.0, "sigma": 25.0}
    rng = np.random.default_rng(0)
    fields = np.stack(
        [np.fft.irfft(periodic_amplitudes(rng, size, **form), size) for _ in range(n)]
    )
    x = np.arange(size) / size
    for k in (1, 3, 7):
        variance = 625 * ((2 * np.pi * k) ** 2 + 25.0) ** -2.0
        for wave in (np.cos, np.sin):
            modes = (fields * np.sqrt(2) * wave(2 * np.pi * k * x)).mean(1)
            np.testing.assert_allclose(modes.var(), variance, rtol=5 * np.sqrt(2 / n))
    np.testing.assert_allclose(fields.mean(1), 0, atol=1e-12)


def test_the_two_periodic_forms():
    size, k = 64, np.arange(1, 32)
    squares = 4 * np.pi**2 * k**2
    first = periodic_deviations(size, gamma=2.0, tau=5.0, sigma=25.0)[1:-1]
    np.testing.assert_allclose(first**2, 625 * (squares + 25) ** -2.0)
    second = periodic_deviations(size, gamma=2.5, tau=7.0, sigma=49.0)[1:-1]
    np.testing.assert_allclose(second**2, 49**2 * (squares + 49) ** -2.5)
