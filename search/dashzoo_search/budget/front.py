"""The trade-off: every spec that some price on cost makes the best.

Sweeping the price λ of ``min Σ v + λ·w`` from 0 to ∞, one layer changes its choice at a time, along
the lower convex hull of its (cost, value) points. So the specs met are all on the Pareto front,
and they are its convex hull: what lies between two of them is not listed.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["front"]

Floats = NDArray[np.float64]


def front(values: Mapping[str, Floats], costs: Mapping[str, Floats]) -> list[dict[str, int]]:
    """Choices of each layer, from the least value (and most cost) to the least cost.

    Args:
        values: of each layer's choices, ``[choices]``, finite; their sum is to be small.
        costs: of the same, ``[choices]``.

    >>> values = {"a": np.array([0.0, 1.0]), "b": np.array([0.0, 3.0])}
    >>> costs = {"a": np.array([2.0, 1.0]), "b": np.array([2.0, 1.0])}
    >>> front(values, costs)
    [{'a': 0, 'b': 0}, {'a': 1, 'b': 0}, {'a': 1, 'b': 1}]
    """
    hulls = {name: _hull(values[name], costs[name]) for name in values}
    edges = []
    for name, hull in hulls.items():
        for one, other in itertools.pairwise(hull):
            lost = values[name][other] - values[name][one]
            saved = costs[name][one] - costs[name][other]
            edges.append((float(lost / saved), name, other))
    picks = {name: hull[0] for name, hull in hulls.items()}
    met = [dict(picks)]
    # Edges of a hull grow steeper, so in order of slope each layer takes its own in turn.
    for _, name, other in sorted(edges, key=lambda edge: edge[0]):
        picks[name] = other
        met.append(dict(picks))
    return met


def _hull(values: Floats, costs: Floats) -> list[int]:
    """The lower left convex hull, from the least value to the least cost."""
    hull: list[int] = []
    for i in np.lexsort((values, costs)).tolist():  # from the least cost on
        if hull and values[i] >= values[hull[-1]]:
            continue
        while len(hull) > 1 and not _below(values, costs, hull[-2], hull[-1], i):
            hull.pop()
        hull.append(i)
    return hull[::-1]


def _below(values: Floats, costs: Floats, one: int, middle: int, other: int) -> bool:
    """Whether ``middle`` lies below the line from ``one`` to ``other``."""
    rise = (values[one] - values[middle]) * (costs[other] - costs[middle])
    run = (values[middle] - values[other]) * (costs[middle] - costs[one])
    return bool(rise > run)
