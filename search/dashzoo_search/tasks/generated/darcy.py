"""Darcy flow: from the permeability of a medium to the pressure in it, after the FNO recipe.

−∇·(a∇u) = 1 on the unit square, u = 0 on its boundary; a is 12 where a Gaussian field with
covariance (−Δ + 9I)^(−2) (Neumann boundary) is not negative, and 3 elsewhere. Solved by finite
differences at 421², of which every fifth point is kept: solving at 85² differs by about 2 %, more
than the errors to be measured. *Regenerated*: the recipe of Li et al., "Fourier Neural Operator for
Parametric Partial Differential Equations" (2021), not the bits they published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.generated.fields import neumann_field
from dashzoo_search.tasks.generated.multigrid import solve_darcy
from dashzoo_search.tasks.generated.problem import Problem
from dashzoo_search.tasks.kinds import Kind

__all__ = ["DarcyFlow", "permeability", "with_coordinates"]

HIGH, LOW = 12.0, 3.0

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class DarcyFlow(Problem):
    """Inputs a [n, 1, k, k], targets u [n, 1, k, k], float32; k = 85 as the fields are.

    Attributes:
        size: points a side that the equation is solved on, boundary included.
        stride: every how manieth of them is kept; divides size − 1.
    """

    size: int = 421
    stride: int = 5

    name: ClassVar[str] = "darcy"
    kind: ClassVar[Kind] = "dense_regression"
    source: ClassVar[str] = "Darcy flow, regenerated after the FNO recipe (Li et al. 2021)"
    counts: ClassVar[tuple[int, int, int]] = (1000, 100, 100)

    def __post_init__(self) -> None:
        if self.size < 3 or self.stride < 1 or (self.size - 1) % self.stride:
            raise BadData(
                f"Every {self.stride}th of {self.size} points does not reach both boundaries; "
                "give a stride that divides size − 1"
            )

    def draw(self, rngs: Sequence[np.random.Generator]) -> tuple[Singles, Singles]:
        """Coefficients and solutions."""
        kept = slice(None, None, self.stride)
        side = (self.size - 1) // self.stride + 1
        X, y = np.empty((2, len(rngs), 1, side, side), np.float32)
        for i, rng in enumerate(rngs):
            a = permeability(rng, self.size)
            X[i, 0], y[i, 0] = a[kept, kept], solve_darcy(a)[kept, kept]
        return X, y


def permeability(rng: np.random.Generator, size: int) -> Floats:
    """Coefficients [size, size] of 12 and 3."""
    return np.where(neumann_field(rng, size) >= 0, HIGH, LOW)


def with_coordinates(X: Singles) -> Singles:
    """Fields [n, c, h, w] with two channels more: where on [0, 1] each row and column lies.

    >>> with_coordinates(np.zeros((1, 1, 2, 3), np.float32))[0, 2]
    array([[0. , 0.5, 1. ],
           [0. , 0.5, 1. ]], dtype=float32)
    """
    n, _, *size = X.shape
    axes = (np.linspace(0, 1, length, dtype=np.float32) for length in size)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    return np.concatenate([X, np.broadcast_to(grid, (n, *grid.shape))], axis=1)
