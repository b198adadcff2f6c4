"""The column of time of a table: numbers, or dates and times whose order nobody can mistake.

Text is taken for a moment where it is a number, a date as ISO 8601 writes it or a time of day;
``3/4/2024`` is two dates, and sorted as text it would follow ``12/1/2025``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dashzoo_search.errors import BadData

if TYPE_CHECKING:
    import pandas

__all__ = ["in_order"]


def in_order(frame: pandas.DataFrame, time: str, id: str | None, origin: str) -> pandas.DataFrame:
    """The rows of ``frame`` from first to last moment; those of one moment stay as they are.

    Args:
        frame: the table, its index being numbers of rows.
        time: its column of moments.
        id: its column of samples, in long form; no sample has two rows of one moment.
        origin: name of the file, for the error message.

    Raises:
        BadData: naming the row.
    """
    import pandas

    moments = _moments(frame[time], time, origin)
    if id is not None:
        twice = pandas.DataFrame({"id": frame[id], "moment": moments}).duplicated()
        again = (twice & frame[id].notna()).to_numpy()
        if again.any():
            row = frame.iloc[int(again.argmax())]
            raise BadData(
                f"{origin} gives the id {row[id]!s} two rows of the {time} {row[time]!s}, the "
                f"second being row {frame.index[again.argmax()] + 1}; drop one, or number the rows"
            )
    return frame.iloc[moments.argsort(kind="stable").to_numpy()]


def _moments(of: pandas.Series, name: str, origin: str) -> pandas.Series:
    """Column ``of`` as something that sorts by time."""
    import pandas

    if (empty := of.isna().to_numpy()).any():
        raise BadData(
            f"{origin} has no value in column {name}, row {of.index[empty.argmax()] + 1}; "
            "fill it or drop the row"
        )
    types = pandas.api.types
    if types.is_numeric_dtype(of) and not types.is_complex_dtype(of):
        return of
    if types.is_datetime64_any_dtype(of) or types.is_timedelta64_dtype(of):
        return of
    text = of.astype(object).map(str)
    read = [
        parse(text, errors="coerce")
        for parse in (
            pandas.to_numeric,
            partial(pandas.to_datetime, format="ISO8601", utc=True),
            pandas.to_timedelta,
        )
    ]
    best = max(read, key=lambda parsed: parsed.notna().sum())
    if (odd := best.isna().to_numpy()).any():
        at = int(odd.argmax())
        raise BadData(
            f"{origin} holds {text.iloc[at]!r:.40} in column {name}, row {of.index[at] + 1}; "
            "give numbers, or dates and times such as 2024-01-31 12:00"
        )
    return best
