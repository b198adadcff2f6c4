"""Empty and infinite cells of a table with a row a sample, found by row and column."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from dashzoo_search.errors import BadData
from dashzoo_search.rows import Array, whole
from dashzoo_search.tasks.lengths import real_lengths

__all__ = ["check_cells"]


def check_cells(arrays: Mapping[str, Array], origin: str) -> None:
    """Refuse infinite cells, and empty ones unless a row ends in them in all channels.

    Args:
        arrays: of a table, with ``columns`` and ``rows``; of anything else there is nothing to say.
        origin: name of the file.

    Raises:
        BadData: naming row and column.
    """
    if "columns" not in arrays:
        return
    columns = whole(arrays["columns"])
    for name, rows in arrays.items():
        X = arrays.get(f"X{name.removeprefix('rows')}")
        if not name.startswith("rows") or X is None or math.prod(X.shape[1:]) != len(columns):
            continue
        values = whole(X)
        ended = np.arange(values.shape[2]) >= real_lengths(values)[:, None]
        odd = np.isinf(values) | (np.isnan(values) & ~ended[:, None])
        if odd.any():
            row, column = np.argwhere(odd.reshape(len(values), -1))[0]
            value = values.reshape(len(values), -1)[row, column]
            what = "lacks a number" if np.isnan(value) else f"holds {value}"
            raise BadData(
                f"{origin} {what} in column {columns[column]}, row {whole(rows)[row]}; "
                "fill it or drop the row"
            )
