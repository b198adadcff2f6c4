"""Burgers' equation in one dimension: from the velocity at time 0 to that at time 1.

∂u/∂t + ∂(u²/2)/∂x = ν ∂²u/∂x², period 1; u(·, 0) is a Gaussian field with covariance
σ²(−Δ + τ²I)^(−γ) on fields of mean zero. Two recipes are in circulation, here under names of our
own; they compare with no published table.

The solution is computed from the closed form of Cole and Hopf, u = −2ν ∂(log φ)/∂x, where φ obeys
the heat equation: with S' = u(·, 0) and φ(y, 0) = exp(−S(y)/2ν), u(x, t) is the mean of (x − y)/t
over y with weights φ(y, 0)·exp(−(x − y)²/4νt). There is no time step whose error would have to be
kept small, and all weights are positive: their sum loses no digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.generated.fields import periodic_amplitudes
from dashzoo_search.tasks.generated.problem import Problem
from dashzoo_search.tasks.kinds import Kind

__all__ = ["SHARP", "VISCOUS", "Burgers", "solve_burgers"]

PERIODS = 6  # to either side that are summed over; the weight beyond is below 1e-16 for ν·t ≤ 0.2

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Burgers(Problem):
    """Inputs u(x, 0) and targets u(x, 1), both [n, 1, size / stride], float32.

    Attributes:
        viscosity: ν.
        gamma, tau, sigma: of the covariance.
        size: points that the initial velocity is drawn and integrated on.
        stride: every how manieth of them is kept; divides the size.
    """

    viscosity: float
    gamma: float
    tau: float
    sigma: float
    size: int = 8192
    stride: int = 8

    name: ClassVar[str] = "burgers"
    kind: ClassVar[Kind] = "dense_regression"
    source: ClassVar[str] = "Burgers' equation, exact solutions from random initial velocities"
    counts: ClassVar[tuple[int, int, int]] = (1000, 100, 200)

    def __post_init__(self) -> None:
        if self.size < 4 or self.size % 2 or self.stride < 1 or self.size % self.stride:
            raise BadData(
                f"Every {self.stride}th of {self.size} points does not meet itself after a period; "
                "give an even size and a stride that divides it"
            )
        if not 0 < self.viscosity <= 0.2:
            raise BadData(f"The viscosity is {self.viscosity}; give one above 0 and up to 0.2")

    def draw(self, rngs: Sequence[np.random.Generator]) -> tuple[Singles, Singles]:
        """Velocities at times 0 and 1."""
        form = {"gamma": self.gamma, "tau": self.tau, "sigma": self.sigma}
        amplitudes = np.stack([periodic_amplitudes(rng, self.size, **form) for rng in rngs])
        start = np.fft.irfft(amplitudes, self.size)[:, None, :: self.stride]
        end = solve_burgers(amplitudes, self.viscosity, stride=self.stride)[:, None]
        return start.astype(np.float32), end.astype(np.float32)


VISCOUS = Burgers(viscosity=0.1, gamma=2.0, tau=5.0, sigma=25.0)
SHARP = Burgers(viscosity=1e-3, gamma=2.5, tau=7.0, sigma=49.0)


def solve_burgers(
    amplitudes: NDArray[np.complex128], viscosity: float, *, time: float = 1.0, stride: int = 1
) -> Floats:
    """Velocities [b, size / stride] at ``time``.

    Args:
        amplitudes: of the velocity at time 0, `numpy.fft.rfft` of it [b, size // 2 + 1], of mean
            zero and for an even size.
        viscosity: ν.
        time: above 0.
        stride: every how manieth point is computed.
    """
    size = 2 * (amplitudes.shape[1] - 1)
    waves = 2j * np.pi * np.arange(1, size // 2 + 1)
    potential = np.zeros_like(amplitudes)
    potential[:, 1:] = amplitudes[:, 1:] / waves
    exponent = np.fft.irfft(potential, size) / (-2 * viscosity)
    weights = np.exp(exponent - exponent.max(1, keepdims=True))
    # Distances x − y, y running backwards, so that a row is a window of one long array.
    distance = np.arange(-PERIODS * size, PERIODS * size) / size
    kernel = np.exp(-(distance**2) / (4 * viscosity * time))
    backwards = np.roll(weights[:, ::-1], 1, axis=1)
    mass, moment = (
        _correlate(values.reshape(2 * PERIODS, size).sum(0), backwards, stride)
        for values in (kernel, kernel * distance / time)
    )
    return moment / mass


def _correlate(kernel: Floats, weights: Floats, stride: int) -> Floats:
    """Σ_y kernel[x + y]·weights[y], periodic, at every ``stride``-th x."""
    size = len(kernel)
    windows = np.lib.stride_tricks.sliding_window_view(np.tile(kernel, 2), size)[:size:stride]
    # A sum of positive terms; by FFT the small ones would drown in the rounding of the large.
    total: Floats = np.einsum("xy,by->bx", windows, weights)
    return total
