"""The slow references: every spec there is."""

import itertools

import numpy as np


def every(values):
    return itertools.product(*(range(len(v)) for v in values))


def total(table, picks):
    return sum(row[i] for row, i in zip(table, picks, strict=True))


def best_by_hand(values, costs, capacity, preferred=None):
    """Least value that fits, with the fewest changes it can be had for; None where nothing fits."""
    fitting = [
        (total(values, picks), 0 if preferred is None else np.not_equal(picks, preferred).sum())
        for picks in every(values)
        if (total(costs, picks) <= capacity).all()
    ]
    return min(fitting, default=None)


def front_by_hand(values, costs):
    """(value, cost) of every spec no other one matches in both."""
    points = {(total(values, p), total(costs, p)) for p in every(values)}
    return {
        (v, c)
        for v, c in points
        if not any(a <= v and b <= c and (a, b) != (v, c) for a, b in points)
    }
