"""Darcy's equation −∇·(a∇u) = 1 on the unit square, u = 0 on its boundary, solved fast.

Five-point finite differences on a grid [s, s] that includes the boundary; the conductance between
two neighbours is the arithmetic mean of a. Conjugate gradients in float64, preconditioned with one
multigrid cycle in float32, need a dozen steps whatever the size. Nothing here calls BLAS or draws
on more than one thread, so the result does not depend on how many there are.

A grid of N cells a side is made coarser by keeping every other node; if N is odd, the last coarse
cell is a short one. Coarse conductances are those of fine ones in series along the edge and in
parallel across it (edges across the boundary's own nodes count for nothing and are set to zero).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData

__all__ = ["conductances", "solve_darcy"]

Floats = NDArray[np.float64]
Grid = NDArray[np.floating]

DAMPING = 0.8  # of Jacobi's iteration; .7 and .9 take more steps
MOST_STEPS = 200


def solve_darcy(a: Floats, *, tolerance: float = 1e-9) -> Floats:
    """Solve for u [s, s], zero on the boundary.

    Args:
        a: coefficients [s, s] at the nodes, positive.
        tolerance: of the residual in the preconditioner's norm, relative to that of u = 0.

    Raises:
        BadData: a is not square, not positive, or jumps so much that the steps run out.

    >>> float(solve_darcy(np.ones((3, 3)))[1, 1])  # 4u = h²
    0.0625
    """
    if a.ndim != 2 or a.shape[0] != a.shape[1] or len(a) < 3:
        raise BadData(f"The coefficients have shape {list(a.shape)}; give a square, at least 3×3")
    if not (np.isfinite(a).all() and a.min() > 0):
        raise BadData("The coefficients are not all positive and finite; give positive numbers")
    cells = len(a) - 1
    along, across = conductances(np.asarray(a, dtype=np.float64))
    laplacian, precondition = _Stencil(along, across), _Multigrid(along, across)
    u = np.zeros(a.shape)
    residual = np.zeros(a.shape)
    residual[1:-1, 1:-1] = 1.0 / cells**2
    direction = precondition(residual)
    rho = first = _dot(residual, direction)
    for _ in range(MOST_STEPS):
        image = laplacian(direction)
        step = rho / _dot(direction, image)
        u += step * direction
        image *= step
        residual -= image
        correction = precondition(residual)
        before, rho = rho, _dot(residual, correction)
        if rho <= tolerance**2 * first:
            return u
        direction *= rho / before
        direction += correction
    raise BadData(
        f"Darcy's equation is not solved after {MOST_STEPS} steps; "
        f"make the jumps of the coefficients, now {a.max() / a.min():.3g}-fold, smaller"
    )


def conductances(a: Floats) -> tuple[Floats, Floats]:
    """Of edges along the first axis [s − 1, s] and along the second [s, s − 1]."""
    along, across = (a[1:] + a[:-1]) / 2, (a[:, 1:] + a[:, :-1]) / 2
    along[:, [0, -1]] = 0.0
    across[[0, -1]] = 0.0
    return along, across


class _Stencil:
    """What flows out of every node [s, s], given potentials that are zero on the boundary."""

    def __init__(self, along: Grid, across: Grid) -> None:
        self.along, self.across = along, across
        self._flows = np.empty_like(along), np.empty_like(across)
        self._out = np.zeros((len(across), len(across)), along.dtype)

    def __call__(self, u: Grid) -> Grid:
        """The flow, in an array that the next call overwrites."""
        (x, y), out = self._flows, self._out
        np.subtract(u[1:], u[:-1], out=x)
        np.subtract(u[:, 1:], u[:, :-1], out=y)
        x *= self.along
        y *= self.across
        np.subtract(x[:-1], x[1:], out=out[1:-1])
        inner = out[:, 1:-1]
        inner += y[:, :-1]
        inner -= y[:, 1:]
        return out


class _Multigrid:
    """One symmetric V-cycle: damped Jacobi before and after a correction on the coarser grid."""

    def __init__(self, along: Grid, across: Grid) -> None:
        along, across = along.astype(np.float32), across.astype(np.float32)
        self.stencil = _Stencil(along, across)
        degree = (along[:-1] + along[1:])[:, 1:-1] + (across[:, :-1] + across[:, 1:])[1:-1]
        last = len(along) == 2  # a single node inside: one division solves it
        self.jacobi = np.pad((1.0 if last else DAMPING) / degree, 1).astype(np.float32)
        self.coarser = (
            None
            if last
            else _Multigrid(_coarsen(along), np.ascontiguousarray(_coarsen(across.T).T))
        )

    def __call__(self, residual: Grid) -> Grid:
        """An approximate solution [s, s], float32 inside, of the residual's type outside."""
        return self._cycle(residual.astype(np.float32)).astype(residual.dtype)

    def _cycle(self, residual: Grid) -> Grid:
        u: Grid = self.jacobi * residual
        if self.coarser is None:
            return u
        left = residual - self.stencil(u)
        correction = self.coarser._cycle(_restrict(left))
        u += _interpolate(correction, len(u))
        np.subtract(residual, self.stencil(u), out=left)
        left *= self.jacobi
        u += left
        return u


def _coarsen(along: Grid) -> Grid:
    """Conductances of a grid of half as many cells, along the first axis."""
    cells = len(along)
    resistance = np.zeros((cells + cells % 2, cells + 1), along.dtype)
    resistance[:cells, 1:-1] = 1.0 / along[:, 1:-1]
    series = np.zeros((len(resistance) // 2, cells + 1), along.dtype)
    series[:, 1:-1] = 1.0 / (resistance[::2] + resistance[1::2])[:, 1:-1]
    coarse = np.zeros((len(series), len(series) + 1), along.dtype)
    coarse[:, 1:-1] = series[:, 2:cells:2] + 0.5 * (
        series[:, 1 : cells - 1 : 2] + series[:, 3 : cells + 1 : 2]
    )
    return coarse


def _restrict(fine: Grid) -> Grid:
    """The transpose of `_interpolate`."""
    rows = fine[2:-1:2] + 0.5 * (fine[1:-2:2] + fine[3::2])
    return np.pad(rows[:, 2:-1:2] + 0.5 * (rows[:, 1:-2:2] + rows[:, 3::2]), 1)


def _interpolate(coarse: Grid, size: int) -> Grid:
    """Bilinear, to a grid [size, size]."""
    rows = np.empty((2 * len(coarse) - 1, len(coarse)), coarse.dtype)
    rows[::2] = coarse
    rows[1::2] = 0.5 * (coarse[:-1] + coarse[1:])
    fine = np.empty((len(rows), len(rows)), coarse.dtype)
    fine[:, ::2] = rows
    fine[:, 1::2] = 0.5 * (rows[:, :-1] + rows[:, 1:])
    fine = fine[:size, :size]
    fine[-1] = fine[:, -1] = 0.0
    return fine


def _dot(x: Grid, y: Grid) -> float:
    return float(np.einsum("ij,ij->", x, y))  # np.vdot's last digits depend on BLAS's threads
