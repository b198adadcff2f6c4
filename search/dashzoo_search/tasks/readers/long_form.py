"""Tables in long form: rows that share an id are one sample, its moments one below the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.kinds import KINDS
from dashzoo_search.tasks.lengths import ragged
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.readers.bounds import check_room

__all__ = ["read_long"]

Values = NDArray[Any]


def read_long(
    ids: Values,
    numbers: NDArray[np.float64],
    labels: Values,
    beside: dict[str, Values],
    rows: NDArray[np.int64],
    origin: str,
    options: DataOptions,
) -> tuple[NDArray[np.float32], Values, dict[str, Values]]:
    """Samples, labels, and what is told of whole samples, from rows in the order of time.

    Args:
        ids: of each row [rows], rows of one sample in a row or not.
        numbers: [rows, channels].
        labels: of each row; if they are alike within every sample, they are the sample's.
        beside: groups and splits of each row, which must be alike within a sample.
        rows: number of each row in the file, from 0, for the error message.
        origin: name of the file, for the same.
        options: ``kind`` decides where labels may differ within a sample.

    Raises:
        BadData: naming the sample.
    """
    # Samples stay in the order in which they first appear, which may be that of time.
    _, first, of = np.unique(ids, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[of]
    order = np.argsort(rank, kind="stable")
    counts = np.bincount(rank)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    check_room([len(counts), numbers.shape[1], counts.max()], 4, origin)
    odd = ~np.isfinite(numbers[order]).all(1)
    if odd.any():
        row = int(order[odd.argmax()])
        what = "lacks a number" if np.isnan(numbers[row]).any() else "holds an infinite number"
        raise BadData(
            f"{origin} {what} for the id {ids[row]!s} in row {rows[row] + 1}; "
            "fill it or drop the row"
        )
    X = ragged([moments.T for moments in np.split(numbers[order], starts[1:])])
    for name, value in beside.items():
        fault = _differs(value[order], starts, counts)
        if fault is not None:
            raise BadData(
                f"{origin} gives the id {ids[order][starts[fault]]!s} more than one "
                f"{name.removesuffix('s')}; "
                "give each sample one"
            )
    alike = _differs(labels[order], starts, counts) is None
    dense = KINDS[options.kind].dense if options.kind else not alike
    told = {name: value[order][starts] for name, value in beside.items()}
    if not dense:
        if not alike:
            at = starts[_differs(labels[order], starts, counts)]
            raise BadData(
                f"{origin} gives the id {ids[order][at]!s} more than one label; "
                "give each sample one, or say --kind dense_labels"
            )
        return X, labels[order][starts], told
    if labels.ndim > 1 or labels.dtype.kind not in "fiub":
        at = starts[_differs(labels[order], starts, counts) or 0]
        raise BadData(
            f"{origin} has labels that are no numbers and change within the id "
            f"{ids[order][at]!s}; give each sample one, or number those of moments from 0"
        )
    fill = np.nan if labels.dtype.kind == "f" else -1
    y = np.full((len(counts), X.shape[2]), fill, labels.dtype if fill is np.nan else np.int64)
    y[rank[order], np.arange(len(order)) - starts[rank[order]]] = labels[order]
    return X, y, told


def _differs(values: Values, starts: NDArray[np.intp], counts: NDArray[np.intp]) -> int | None:
    """The first sample whose rows are not all alike."""
    alike = values == np.repeat(values[starts], counts, axis=0)
    alike = alike if alike.ndim == 1 else alike.all(1)
    return None if alike.all() else int(np.repeat(np.arange(len(starts)), counts)[~alike][0])
