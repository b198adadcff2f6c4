"""The slow reference of Darcy's equation: the same differences as a sparse matrix, factorised."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve


def matrix(a):
    """The five-point scheme [(s − 2)², (s − 2)²] as the recipe states it, times (s − 1)²."""
    inside = len(a) - 2
    number = np.full(a.shape, -1)
    number[1:-1, 1:-1] = np.arange(inside**2).reshape(inside, inside)
    middle = slice(1, -1)
    row, column, value = [], [], []
    for x, y in ((0, 1), (2, 1), (1, 0), (1, 2)):
        there = slice(x, x + inside), slice(y, y + inside)
        mean = (a[middle, middle] + a[there]) / 2 * (len(a) - 1) ** 2
        row += [number[middle, middle], number[middle, middle]]
        column += [number[middle, middle], number[there]]
        value += [mean, -mean]
    row, column, value = (np.concatenate(parts, axis=None) for parts in (row, column, value))
    known = column >= 0  # neighbours on the boundary are zero
    entries = value[known], (row[known], column[known])
    return coo_array(entries, shape=(inside**2, inside**2)).tocsc()


def solve(a):
    """Solve for u [s, s], by SuperLU."""
    u = np.zeros(a.shape)
    system = matrix(a)
    u[1:-1, 1:-1] = spsolve(system, np.ones(system.shape[0])).reshape(len(a) - 2, -1)
    return u
