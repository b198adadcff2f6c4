"""Gaussian random fields with covariance σ²(−Δ + τ²I)^(−γ), drawn mode by mode.

On the unit interval and square −Δ has cosines (Neumann) or sines and cosines (periodic) as
eigenfunctions, so a field is a sum of independent normal amplitudes. All have mean zero: the
constant mode is left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["neumann_deviations", "neumann_field", "periodic_amplitudes", "periodic_deviations"]

Floats = NDArray[np.float64]


def neumann_field(rng: np.random.Generator, size: int, *, tau: float = 3.0) -> Floats:
    """A field [size, size] at the cell centres of the unit square, Neumann boundary, γ = 2.

    Args:
        rng: draws the amplitudes.
        size: points a side.
        tau: inverse length; σ = τ.
    """
    amplitudes = neumann_deviations(size, tau) * rng.standard_normal((size, size))
    field: Floats = size * _inverse_cosine(_inverse_cosine(amplitudes.T).T)
    return field


def neumann_deviations(size: int, tau: float) -> Floats:
    """Standard deviation [size, size] of each cosine mode: τ / (π²(k₁² + k₂²) + τ²)."""
    squares = np.arange(size) ** 2
    deviations: Floats = tau / (np.pi**2 * (squares[:, None] + squares) + tau**2)
    deviations[0, 0] = 0.0
    return deviations


def periodic_amplitudes(
    rng: np.random.Generator, size: int, *, gamma: float, tau: float, sigma: float
) -> NDArray[np.complex128]:
    """Fourier amplitudes [size // 2 + 1] of a field of period 1, for `numpy.fft.irfft`.

    Args:
        rng: draws the amplitudes.
        size: points of the field, even.
        gamma, tau, sigma: of the covariance.
    """
    cosines, sines = rng.standard_normal((2, size // 2 + 1))
    deviations = periodic_deviations(size, gamma=gamma, tau=tau, sigma=sigma)
    amplitudes: NDArray[np.complex128] = deviations * (cosines - 1j * sines) * (size / np.sqrt(2))
    return amplitudes


def periodic_deviations(size: int, *, gamma: float, tau: float, sigma: float) -> Floats:
    """Standard deviation [size // 2 + 1] of each mode √2 cos 2πkx, and of √2 sin 2πkx."""
    waves = 2 * np.pi * np.arange(size // 2 + 1, dtype=np.float64)
    deviations: Floats = sigma * (waves**2 + tau**2) ** (-gamma / 2)
    deviations[0] = deviations[-1] = 0.0  # the last has no sine on the grid
    return deviations


def _inverse_cosine(amplitudes: Floats) -> Floats:
    """Orthonormal inverse DCT-II along the last axis, by a Fourier transform as long (Makhoul)."""
    n = amplitudes.shape[-1]
    kept = n // 2 + 1
    turns = np.exp(0.5j * np.pi * np.arange(kept) / n) * np.sqrt(n / 2)
    turns[0] = np.sqrt(n)
    mirrored = np.zeros((*amplitudes.shape[:-1], kept))
    mirrored[..., 1:] = amplitudes[..., : n - kept : -1]
    folded = np.fft.irfft(turns * (amplitudes[..., :kept] - 1j * mirrored), n)
    field = np.empty_like(amplitudes)
    field[..., ::2] = folded[..., : (n + 1) // 2]
    field[..., 1::2] = folded[..., : (n + 1) // 2 - 1 : -1]
    return field
