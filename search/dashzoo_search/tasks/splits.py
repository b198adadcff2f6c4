"""Dividing labelled samples by seed, every class alike: a part cut off, or folds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData

__all__ = ["cut_fraction", "folds"]

Index = NDArray[np.intp]


def cut_fraction(
    y: NDArray[np.int64], fraction: float, *, seed: int, array: str = "y"
) -> tuple[Index, Index]:
    """Split indices into the rest and about ``fraction`` of every class.

    A class of one sample stays whole in the rest; any other gives at least one and keeps at
    least one, so no class is ever cut off altogether.

    Args:
        y: class indices [n].
        fraction: share to cut, between 0 and 1.
        seed: chooses the samples.
        array: name for the error message.

    Returns:
        Indices of the rest and of the cut, both ascending.

    Raises:
        BadData: no class has two samples.

    >>> rest, cut = cut_fraction(np.array([0, 0, 0, 0, 0, 1, 1, 2]), 0.2, seed=0)
    >>> len(rest), len(cut)
    (6, 2)
    """
    rng = np.random.default_rng(seed)
    cut: list[Index] = []
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        wanted = min(max(1, round(fraction * len(members))), len(members) - 1)
        cut.append(members[:wanted])
    chosen = np.sort(np.concatenate(cut))
    if not len(chosen):
        raise BadData(
            f"No class of {array} has two samples left to divide; give more samples a class"
        )
    rest = np.setdiff1d(np.arange(len(y)), chosen)
    return rest, chosen


def folds(y: NDArray[np.int64], count: int, *, seed: int) -> list[Index]:
    """Divide indices into ``count`` parts of about equal size and class balance.

    Args:
        y: class indices [n].
        count: of folds.
        seed: chooses the samples.

    Returns:
        Indices of each fold, ascending; together all of them, each once.

    >>> [len(fold) for fold in folds(np.array([0, 0, 0, 0, 1, 1, 1]), 3, seed=0)]
    [3, 2, 2]
    """
    rng = np.random.default_rng(seed)
    by_class = [rng.permutation(np.flatnonzero(y == label)) for label in np.unique(y)]
    dealt = np.concatenate(by_class)
    return [np.sort(dealt[start::count]) for start in range(count)]
