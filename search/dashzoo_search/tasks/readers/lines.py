"""From the lines of a CSV file to a frame, or to what is wrong with them."""

from __future__ import annotations

import contextlib
import csv
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from dashzoo_search.errors import BadData

if TYPE_CHECKING:
    import pandas

__all__ = ["read_lines"]

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_lines(path: Path) -> pandas.DataFrame:
    """The table, a line of names and a line a row.

    Raises:
        BadData: naming the line or column at fault.
    """
    import pandas

    told = {"index_col": False, "encoding": "utf-8", "skipinitialspace": True}
    try:
        first = pandas.read_csv(
            path, header=None, nrows=1, dtype=str, keep_default_na=False, **told
        )
        names = [str(name).strip() for name in first.iloc[0]]
        _check_names(names, path.name)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            # Whole lines of text are told apart from numbers later, where the row can be named.
            return pandas.read_csv(path, low_memory=False, **told)
    except BadData:
        raise
    except pandas.errors.EmptyDataError as error:
        raise BadData(
            f"{path.name} is no table, it is empty; give a line of names and a row a sample"
        ) from error
    except UnicodeDecodeError as error:
        raise BadData(f"{path.name} is no table in UTF-8 ({error}); save it as UTF-8") from error
    except pandas.errors.ParserWarning as error:
        raise BadData(
            f"{path.name} has more values than the {len(names)} names in line "
            f"{_long_line(path, len(names))}; give every column a name"
        ) from error
    except Exception as error:  # ragged rows, and what else pandas finds
        reason = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
        raise BadData(f"{path.name} is no table ({reason}); give every row every column") from error


def _check_names(names: list[str], origin: str) -> None:
    for separator, what in _SEPARATORS.items():
        if len(names) == 1 and separator in names[0]:
            raise BadData(f"{origin} separates its columns by {what}; save it with commas")
    for name in filter(None, names):
        if names.count(name) > 1:
            raise BadData(f"{origin} has two columns called {name:.40}; rename one, or drop it")


def _long_line(path: Path, most: int) -> int:
    # What is no UTF-8, or no line of csv's, is still a line to be counted.
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        lines = csv.reader(file)
        with contextlib.suppress(csv.Error):
            for row in lines:
                if any(row[most:]):
                    break
        return lines.line_num
