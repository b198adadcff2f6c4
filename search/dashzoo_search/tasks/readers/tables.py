"""CSV and Parquet: a row a sample, or in long form, with a column that tells the samples apart.

With a row a sample its numbers are one channel, in the order of the columns (or ``channels`` of
them, one after the other). In long form every row is one moment of one sample, and every column of
numbers a channel.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.rows import Array
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.readers.bounds import check_room
from dashzoo_search.tasks.readers.lines import read_lines
from dashzoo_search.tasks.readers.long_form import read_long
from dashzoo_search.tasks.readers.moments import in_order

if TYPE_CHECKING:
    import pandas

__all__ = ["read_csv", "read_parquet"]

USUAL_TARGETS = ("y", "label", "target", "class")
_NUMBERS = (int, float, Decimal, np.bool_)
_PARTS = {"train": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}


def read_csv(path: Path, options: DataOptions) -> dict[str, Array]:
    """Read a table of comma-separated values with a line of names.

    Raises:
        BadData: naming the row or column at fault.
        MissingRuntime: pandas is not installed.
    """
    try:
        import pandas  # noqa: F401
    except ImportError as error:
        raise MissingRuntime("pandas", "data") from error
    check_room([path.stat().st_size], 2, path.name)
    return _arrays(read_lines(path), path.name, options)


def read_parquet(path: Path, options: DataOptions) -> dict[str, Array]:
    """Read a Parquet file.

    Raises:
        BadData: naming the row or column at fault.
        MissingRuntime: pandas or pyarrow is not installed.
    """
    try:
        import pandas  # noqa: F401
        import pyarrow.parquet
    except ImportError as error:
        raise MissingRuntime("pandas or pyarrow", "data") from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            declared = file.metadata
            check_room([declared.num_rows, declared.num_columns], 8, path.name)
            groups = (declared.row_group(i) for i in range(declared.num_row_groups))
            check_room([sum(group.total_byte_size for group in groups)], 1, path.name)
            table = file.read()
            table.validate(full=True)  # text that is none would only be found much later
            frame = table.to_pandas()
            if named := [name for name in frame.index.names if name is not None]:
                frame = frame.reset_index(level=named)  # a column like others
            frame = frame.reset_index(drop=True)
    except BadData:
        raise
    except Exception as error:  # pyarrow has a class of its own for nearly every kind of damage
        reason = " ".join(str(error).split())[:120]
        raise BadData(f"{path.name} is no whole Parquet file ({reason}); save it again") from error
    return _arrays(frame, path.name, options)


def _arrays(frame: pandas.DataFrame, origin: str, options: DataOptions) -> dict[str, Array]:
    frame.columns = [str(column) for column in frame.columns]
    if (again := frame.columns.duplicated()).any():
        name = frame.columns[again.argmax()]
        raise BadData(f"{origin} has two columns called {name:.40}; rename one, or drop it")
    names = [*options.targets, options.id, options.time, options.split_column, options.groups]
    for name in names:
        if name is not None and name not in frame.columns:
            listed = ", ".join(frame.columns[:8]) + (", …" if len(frame.columns) > 8 else "")
            raise BadData(f"{origin} has no column {name}; it has {listed}")
    if not len(frame):
        raise BadData(f"{origin} has no rows; give at least three samples")
    targets = options.targets or _usual_target(frame, options, origin)
    roles = {*targets, options.id, options.time, options.split_column, options.groups}
    values = [column for column in frame.columns if column not in roles]
    if not values:
        raise BadData(f"{origin} has no column of numbers beside {', '.join(targets)}")
    if options.time is not None:
        frame = in_order(frame, options.time, options.id, origin)
    numbers = _numbers(frame, values, origin)
    labels = _labels(frame, targets, origin)
    beside = {
        name: _labels(frame, (column,), origin)
        for name, column in (("groups", options.groups), ("split", options.split_column))
        if column is not None
    }
    if options.id is not None:
        ids = _labels(frame, (options.id,), origin)
        rows = frame.index.to_numpy()
        X, labels, beside = read_long(ids, numbers, labels, beside, rows, origin, options)
        arrays = _given_splits(X, labels, beside, origin)
    else:
        wide = _wide(numbers, options.channels or 1, origin)
        beside["rows"] = frame.index.to_numpy() + 1
        arrays = _given_splits(wide, labels, beside, origin)
    if len(targets) > 1:
        arrays["classes"] = np.array(targets)
    arrays["columns"] = np.array(values)
    return arrays


def _usual_target(frame: pandas.DataFrame, options: DataOptions, origin: str) -> tuple[str]:
    taken = {options.id, options.time, options.split_column, options.groups}
    free = [column for column in frame.columns if column not in taken]
    named = [column for column in free if column.lower() in USUAL_TARGETS]
    if len(named) > 1:
        raise BadData(f"Both {named[0]} and {named[1]} may be the labels; say which by --target")
    if not (named or free):
        raise BadData("The table has no column for the labels; say which by --target")
    if named:
        return (named[0],)
    last = free[-1]
    # A name that is a label too is most likely the first row, unless columns are just numbered.
    if last != str(frame.columns.get_loc(last)) and last in set(frame[last].astype(str)):
        raise BadData(
            f"{origin} seems to have no line of names, as its last column is called {last:.40} "
            f"like one of its labels; add the line, or say --target {last:.40}"
        )
    return (last,)


def _numbers(frame: pandas.DataFrame, columns: list[str], origin: str) -> NDArray[np.float64]:
    """Columns of numbers as ``[rows, columns]``; an empty cell is NaN."""
    import pandas

    numbers = np.empty((len(frame), len(columns)))
    for column, into in zip(columns, numbers.T, strict=True):
        of = frame[column]
        if not pandas.api.types.is_numeric_dtype(of) or pandas.api.types.is_complex_dtype(of):
            odd = ~(of.isna() | of.map(lambda value: isinstance(value, _NUMBERS))).to_numpy()
            if not (of.dtype == object or of.isna().all()) or odd.any():
                raise _no_number(of, column, origin)
            of = of.astype(np.float64)  # Decimals, or truths of which some are missing
        into[:] = of.to_numpy(np.float64, na_value=np.nan)
    return numbers


def _check_finite(values: NDArray[Any], of: pandas.Series, origin: str) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        at = int(infinite.argmax())
        raise BadData(
            f"{origin} holds {values[at]} in column {of.name}, row {of.index[at] + 1}; "
            "fill it or drop the row"
        )


def _no_number(of: pandas.Series, column: str, origin: str) -> BadData:
    import pandas

    try:
        parsed = pandas.to_numeric(of, errors="coerce")
    except TypeError:  # lists and the like
        parsed = of.map(lambda _: np.nan)
    at = int((parsed.isna() & of.notna()).to_numpy().argmax())
    return BadData(
        f"{origin} holds {str(of.iloc[at])!r:.40} in column {column}, row {of.index[at] + 1}, "
        "among numbers; mend it, or name what the column is by --target, --id, --time or --groups"
    )


def _labels(frame: pandas.DataFrame, columns: tuple[str, ...], origin: str) -> NDArray[Any]:
    import pandas

    for column in columns:
        if (empty := frame[column].isna().to_numpy()).any():
            raise BadData(
                f"{origin} has no value in column {column}, row {frame.index[empty.argmax()] + 1}; "
                "fill it or drop the row"
            )
    if len(columns) > 1:
        several = _numbers(frame, list(columns), origin)
        for column, values in zip(columns, several.T, strict=True):
            _check_finite(values, frame[column], origin)
        return several
    of = frame[columns[0]]
    if pandas.api.types.is_numeric_dtype(of):
        numbers: NDArray[Any] = of.to_numpy()
        _check_finite(numbers, of, origin)
        return numbers
    types = [type(value) for value in of]
    if set(types) == {Decimal}:
        return np.asarray(of, np.float64)
    if bytes in types:
        raise BadData(f"{origin} holds bytes in column {columns[0]}; save them as text or numbers")
    if odd := set(types) - {types[0]}:
        where = next(i for i, kind in enumerate(types) if kind in odd)
        raise BadData(
            f"{origin} holds {of.iloc[where]!r:.40} in column {columns[0]}, row "
            f"{frame.index[where] + 1}, and {of.iloc[0]!r:.40} before it; make them alike"
        )
    return np.array([str(value) for value in of])


def _wide(numbers: NDArray[np.float64], channels: int, origin: str) -> NDArray[np.float64]:
    count = numbers.shape[1]
    if count % channels:
        raise BadData(
            f"The {count} columns of {origin} are no {channels} channels of equal length; "
            "change --channels"
        )
    return numbers.reshape(len(numbers), channels, count // channels)


def _given_splits(
    X: NDArray[Any], y: NDArray[Any], beside: dict[str, NDArray[Any]], origin: str
) -> dict[str, Array]:
    arrays: dict[str, Array] = {"X": X, "y": y}
    arrays |= {name: beside[name] for name in ("groups", "rows") if name in beside}
    if "split" not in beside:
        return arrays
    parts = np.char.lower(beside["split"].astype(np.str_))
    if len(foreign := np.setdiff1d(parts, list(_PARTS))):
        raise BadData(f"{origin} names the split {foreign[0]!s}; name train, val and test")
    parts = np.array([_PARTS[part] for part in parts])
    for part in ("train", "test"):
        if part not in parts:
            raise BadData(f"{origin} has no row whose split is {part}; give train and test")
    return {
        f"{name}_{part}": value[parts == part]
        for name, value in arrays.items()
        for part in np.unique(parts).tolist()
    }
