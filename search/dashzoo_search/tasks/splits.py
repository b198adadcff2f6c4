"""Dividing samples by seed, every class alike and no group torn apart: a part cut off, or folds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData

__all__ = ["cut_fraction", "cut_last", "folds"]

Index = NDArray[np.intp]
Groups = NDArray[np.int64]


def cut_fraction(
    y: NDArray[np.int64],
    fraction: float,
    *,
    seed: int,
    array: str = "y",
    groups: Groups | None = None,
) -> tuple[Index, Index]:
    """Split indices into the rest and about ``fraction`` of every class.

    A class of one sample stays whole in the rest; any other gives at least one and keeps at
    least one, so no class is ever cut off altogether. Where there are groups, whole groups are
    cut, and classes are alike as far as that allows.

    Args:
        y: class indices [n].
        fraction: share to cut, between 0 and 1.
        seed: chooses the samples.
        array: name for the error message.
        groups: numbers [n] of what must not be on both sides.

    Returns:
        Indices of the rest and of the cut, both ascending.

    Raises:
        BadData: no class has two samples, or there is one group only.

    >>> rest, cut = cut_fraction(np.array([0, 0, 0, 0, 0, 1, 1, 2]), 0.2, seed=0)
    >>> len(rest), len(cut)
    (6, 2)
    """
    if groups is not None:
        if len(np.unique(groups)) < 2:
            raise BadData(f"All samples of {array} are of one group; give at least two to divide")
        rest, cut = _deal(y, groups, (1 - fraction, fraction), seed=seed)
        return rest, cut
    rng = np.random.default_rng(seed)
    taken: list[Index] = []
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        wanted = min(max(1, round(fraction * len(members))), len(members) - 1)
        taken.append(members[:wanted])
    chosen = np.sort(np.concatenate(taken))
    if not len(chosen):
        raise BadData(
            f"No class of {array} has two samples left to divide; give more samples a class"
        )
    rest = np.setdiff1d(np.arange(len(y)), chosen)
    return rest, chosen


def cut_last(count: int, fraction: float, *, groups: Groups | None = None) -> tuple[Index, Index]:
    """Split ``count`` indices in order of time into the first and the last, about ``fraction``.

    Args:
        count: of samples, oldest first.
        fraction: share to cut.
        groups: numbers [count]; samples of the older part whose group is in the newer one too
            are left out of both.

    Raises:
        BadData: a part would be empty.

    >>> [part.tolist() for part in cut_last(5, 0.4)]
    [[0, 1, 2], [3, 4]]
    """
    start = min(count - max(1, round(fraction * count)), count - 1)
    older, newer = np.arange(max(start, 0)), np.arange(max(start, 0), count)
    if groups is not None:
        older = older[~np.isin(groups[older], groups[newer])]
    if not len(older):
        raise BadData("The samples cannot be split by time; give more of them, or fewer groups")
    return older, newer


def folds(
    y: NDArray[np.int64], count: int, *, seed: int, groups: Groups | None = None
) -> list[Index]:
    """Divide indices into ``count`` parts of about equal size and class balance.

    Args:
        y: class indices [n].
        count: of folds.
        seed: chooses the samples.
        groups: numbers [n] of what must be in one fold.

    Returns:
        Indices of each fold, ascending; together all of them, each once.

    >>> [len(fold) for fold in folds(np.array([0, 0, 0, 0, 1, 1, 1]), 3, seed=0)]
    [3, 2, 2]
    """
    if groups is not None:
        return _deal(y, groups, (1 / count,) * count, seed=seed)
    rng = np.random.default_rng(seed)
    by_class = [rng.permutation(np.flatnonzero(y == label)) for label in np.unique(y)]
    dealt = np.concatenate(by_class)
    return [np.sort(dealt[start::count]) for start in range(count)]


def _deal(
    y: NDArray[np.int64], groups: Groups, shares: tuple[float, ...], *, seed: int
) -> list[Index]:
    """Deal whole groups, the largest first, to the part that lacks most of what they hold."""
    _, labels = np.unique(y, return_inverse=True)
    names, members = np.unique(groups, return_inverse=True)
    held = np.zeros((len(names), labels.max() + 1))
    np.add.at(held, (members, labels), 1)
    wanted = np.outer(shares, held.sum(0))
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-held[order].sum(1), kind="stable")]
    part_of = np.zeros(len(names), np.intp)
    given = np.zeros_like(wanted)
    counts = np.zeros(len(shares), np.intp)
    for left, group in enumerate(order):
        # How far a part would be beyond its share of each class, were it given the group.
        beyond = ((given + held[group]) / wanted.clip(1e-9)).max(1)
        empty = counts == 0
        if empty.any() and len(order) - left <= empty.sum():
            beyond = np.where(empty, beyond, np.inf)  # no part is to end empty
        part = int(beyond.argmin())
        part_of[group], given[part] = part, given[part] + held[group]
        counts[part] += 1
    return [np.flatnonzero(part_of[members] == part) for part in range(len(shares))]
