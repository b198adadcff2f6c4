"""The best choice for every layer under limits: a multiple-choice knapsack, solved exactly.

    minimise Σ_l v[l, c_l]   subject to   Σ_l w[l, c_l, r] ≤ capacity_r for every r

Layer by layer, a table of labels (value so far, costs so far) is extended by every choice. A label
goes when another is as good in all it has, when the rest cannot be cheap enough, or when its
Lagrangian bound (Fisher, Management Science 1981),

    v + Σ_rest min_c (v[l, c] + λ·w[l, c]) + λ·(w − capacity),   λ ≥ 0,

is above a solution that is known. So it is exact whatever λ is; a good λ only makes it quick. Of
equal values the one with fewer changes from ``preferred`` is taken, then the cheaper.

Under one limit a few hundred labels are left on 50 layers of 16 choices. Three or more limits that
nearly agree can leave tens of thousands; then the `_MOST` likeliest are followed, and the answer is
good but no longer proven the best.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_fit"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_STEPS = 150
_BEAM = 256
_MOST = 2048
_ROUNDING = 1e-12  # sums of milliseconds round; whole numbers below 10¹² stay exact


def best_fit(
    values: Sequence[Floats],
    costs: Sequence[Floats],
    capacity: Floats,
    *,
    preferred: Sequence[int] | None = None,
) -> tuple[int, ...] | None:
    """The choice of each layer with the least sum of values that fits.

    Args:
        values: of each layer, ``[choices]``, finite.
        costs: of each layer, ``[choices, R]``, not negative.
        capacity: ``[R]``.
        preferred: a choice of each layer that is taken where values are equal.

    Returns:
        An index a layer, or None where nothing fits.

    >>> values, costs = [np.array([0.0, 1.0])] * 2, [np.array([[3.0], [1.0]])] * 2
    >>> best_fit(values, costs, np.array([4.0]))
    (0, 1)
    """
    weights = [np.asarray(c, dtype=np.float64) for c in costs]
    capacity = np.asarray(capacity, dtype=np.float64)
    slack = capacity + _ROUNDING * np.abs(capacity)
    wanted = [-1] * len(values) if preferred is None else preferred
    changes = [1 * (np.arange(len(v)) != own) for v, own in zip(values, wanted, strict=True)]
    problem = _Problem(values, weights, changes, slack)
    problem.tighten(_STEPS)
    rough = problem.labels(beam=_BEAM)  # seldom wrong, and its value cuts the exact pass short
    if rough is not None:
        problem.known = min(problem.known, rough[0])
        problem.tighten(_STEPS)
    found = problem.labels(beam=_MOST) or rough
    return None if found is None else found[1]


class _Problem:
    """One problem, with what is known of its solution: bounds from below, and from above."""

    def __init__(
        self,
        values: Sequence[Floats],
        weights: Sequence[Floats],
        changes: Sequence[Ints],
        slack: Floats,
    ) -> None:
        self.values, self.weights, self.changes, self.slack = values, weights, changes, slack
        self.price, self.bound, self.known = np.zeros_like(slack), -np.inf, np.inf
        self._scale = np.where(slack > 0, slack, 1.0)

    def tighten(self, steps: int) -> None:
        """Raise the Lagrangian bound by subgradient steps of Polyak's length."""
        reach = sum(float(np.ptp(v)) for v in self.values) or 1.0
        price, length, stale = self.price, 1.0, 0
        for _ in range(steps):
            reduced = [v + w @ price for v, w in zip(self.values, self.weights, strict=True)]
            picks = [int(r.argmin()) for r in reduced]
            value = sum(float(v[i]) for v, i in zip(self.values, picks, strict=True))
            over = sum((w[i] for w, i in zip(self.weights, picks, strict=True)), -self.slack)
            bound, stale = value + float(price @ over), stale + 1
            if bound > self.bound:
                self.price, self.bound, stale = price, bound, 0
            if (over <= 0).all():
                self.known = min(self.known, value)
            slope = over / self._scale
            gap = (self.known if np.isfinite(self.known) else self.bound + reach) - bound
            if (norm := float(slope @ slope)) == 0 or gap <= 0:
                return
            if stale > 8:
                price, length, stale = self.price, length / 2, 0
            price = np.maximum(0.0, price + length * gap / norm * slope / self._scale)

    def labels(self, *, beam: int) -> tuple[float, tuple[int, ...]] | None:
        """Value and choices of the best solution, among the ``beam`` likeliest labels."""
        margin = 1e-9 * (1 + sum(float(np.abs(v).max()) for v in self.values))
        lowest = _suffix([w.min(0) for w in self.weights])
        pairs = zip(self.values, self.weights, strict=True)
        bounds = _suffix([(v + w @ self.price).min(keepdims=True) for v, w in pairs])
        value, spent = np.zeros(1), np.zeros((1, len(self.slack)))
        changes = np.zeros(1, dtype=np.intp)
        trail: list[tuple[Ints, Ints]] = []
        for depth, (v, w) in enumerate(zip(self.values, self.weights, strict=True)):
            grid = np.meshgrid(np.arange(len(value)), np.arange(len(v)), indexing="ij")
            parent, way = (g.ravel() for g in grid)
            value, spent = value[parent] + v[way], spent[parent] + w[way]
            changes = changes[parent] + self.changes[depth][way]
            bound = value + bounds[depth + 1] + (spent - self.slack) @ self.price
            keep = (spent + lowest[depth + 1] <= self.slack).all(1) & (bound <= self.known + margin)
            index = np.flatnonzero(keep)
            index = index[np.argsort(bound[index], kind="stable")[: 4 * beam]]
            index = index[_undominated(value[index], changes[index], spent[index])]
            index = index[np.argsort(bound[index], kind="stable")[:beam]]
            if not len(index):
                return None
            value, spent, changes = value[index], spent[index], changes[index]
            trail.append((parent[index], way[index]))
        best = np.lexsort((spent.sum(1), changes, value))[0]
        least, picks = float(value[best]), []
        for parent, way in reversed(trail):
            picks.append(int(way[best]))
            best = parent[best]
        return least, tuple(reversed(picks))


def _suffix(rows: list[Floats]) -> list[Floats]:
    """Sums of the rows from each on; the last is zero."""
    sums = [np.zeros_like(rows[0])]
    for row in reversed(rows):
        sums.append(sums[-1] + row)
    return sums[::-1]


def _undominated(value: Floats, changes: Ints, spent: Floats) -> Ints:
    """Indices of the labels that no other matches in value (then changes) and every cost."""
    order = np.lexsort((*spent.T[::-1], changes, value))
    if spent.shape[1] == 1:  # the least cost so far must fall
        column = spent[order, 0]
        before = np.concatenate([[np.inf], np.minimum.accumulate(column)[:-1]])
        cheaper: Ints = order[column < before]
        return cheaper
    left, kept = order, []
    while len(left):
        first = left[0]
        kept.append(first)
        left = left[(spent[left] < spent[first]).any(1)]
    return np.array(kept, dtype=np.intp)
