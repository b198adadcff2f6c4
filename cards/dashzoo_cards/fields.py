"""Reading JSON that may come off a hub: every access is typed, and a bad field is named.

`Fields` wraps one JSON object together with the file and the dotted name it came from, so
that whatever is missing or ill-typed ends in one sentence about one field. Fields that
nobody asks for are tolerated: a later dashzoo may have written them.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Never

from dashzoo_search.errors import BadBundle

__all__ = ["Fields", "read_json"]

MAX_JSON_BYTES = 64 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Fields:
    """One JSON object, its file and its dotted name in it.

    Args:
        file: the file's name inside the bundle, for messages.
        values: the object.
        path: dotted name of the object, empty for the whole file.

    >>> Fields("results.json", {"seed": 3}).integer("seed")
    3
    """

    __slots__ = ("file", "path", "values")

    def __init__(self, file: str, values: Mapping[str, Any], path: str = "") -> None:
        self.file = file
        self.values = values
        self.path = path

    def fail(self, name: str, wanted: str) -> Never:
        """Raise BadBundle saying what ``name`` must be."""
        where = self._at(name)
        if name in self.values:
            found = repr(self.values[name])
            fault = f"must be {wanted}, not {found if len(found) <= 60 else found[:59] + '…'}"
        else:
            fault = f"is missing, it must be {wanted}"
        message = f"{self.file}: {where} {fault}; write the bundle again"
        raise BadBundle(message, field=f"{self.file}:{where}")

    def text(self, name: str) -> str:
        """A string that is not blank."""
        value = self.values.get(name)
        if not isinstance(value, str) or not value.strip():
            self.fail(name, "a string that is not empty")
        return value

    def text_or_null(self, name: str) -> str | None:
        """A string, or null; the field itself must be there."""
        return None if self._is_null(name) else self.text(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self.values.get(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fail(name, "a list of strings")
        return tuple(value)

    def one_of(self, name: str, known: tuple[str | int, ...]) -> Any:
        """One of a few known values."""
        value = self.values.get(name)
        if isinstance(value, bool) or value not in known:
            self.fail(name, " or ".join(map(repr, known)))
        return value

    def sha256(self, name: str) -> str:
        """64 lower-case hexadecimal digits."""
        value = self.values.get(name)
        if not isinstance(value, str) or not _SHA256.fullmatch(value):
            self.fail(name, "a sha256 of 64 hexadecimal digits")
        return value

    def integer(self, name: str, *, low: int = 0) -> int:
        """An integer of at least ``low``."""
        value: Any = self.values.get(name)
        if not _is_integer(value, low):
            self.fail(name, f"an integer of at least {low}")
        return int(value)

    def integer_or_null(self, name: str) -> int | None:
        """An integer of at least 0, or null; the field itself must be there."""
        return None if self._is_null(name) else self.integer(name)

    def number(self, name: str, *, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number in low … high."""
        value = self.values.get(name)
        number = math.nan
        if isinstance(value, int | float) and not isinstance(value, bool):
            with contextlib.suppress(OverflowError):
                number = float(value)
        if not math.isfinite(number) or not low <= number <= high:
            limits = "" if low == -math.inf else f" of {low:g} … {high:g}"
            self.fail(name, f"a finite number{limits}")
        return number

    def number_or_null(self, name: str) -> float | None:
        """A finite number, or null; the field itself must be there."""
        return None if self._is_null(name) else self.number(name)

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.values.get(name)
        if not isinstance(value, bool):
            self.fail(name, "true or false")
        return value

    def flag_or_null(self, name: str) -> bool | None:
        """True, false, or null; the field itself must be there."""
        return None if self._is_null(name) else self.flag(name)

    def integers(self, name: str, *, length: int | None = None) -> tuple[int, ...]:
        """A list of positive integers, of a given length where there is one."""
        value = self.values.get(name)
        wanted = "a list of positive integers" if length is None else f"{length} positive integers"
        if not isinstance(value, list) or not all(_is_integer(item, 1) for item in value):
            self.fail(name, wanted if length is None else f"a list of {wanted}")
        if not value or length not in (None, len(value)):
            self.fail(name, wanted if length is None else f"a list of {wanted}")
        return tuple(value)

    def inside(self, name: str) -> Fields:
        """The object under ``name``."""
        value = self.values.get(name)
        if not isinstance(value, Mapping):
            self.fail(name, "an object")
        return Fields(self.file, value, self._at(name))

    def inside_or_null(self, name: str) -> Fields | None:
        """The object under ``name``, or null; the field itself must be there."""
        return None if self._is_null(name) else self.inside(name)

    def each(self, name: str) -> Iterator[Fields]:
        """The objects of the list under ``name``."""
        value = self.values.get(name)
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            self.fail(name, "a list of objects")
        for index, item in enumerate(value):
            yield Fields(self.file, item, f"{self._at(name)}[{index}]")

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _is_null(self, name: str) -> bool:
        return name in self.values and self.values[name] is None


def read_json(bundle: Path, file: str) -> Fields:
    """Parse one JSON file of a bundle.

    Raises:
        BadBundle: the file is missing, far too large, or holds no JSON object.
    """
    path = bundle / file
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise BadBundle(f"{file} is too large to be a bundle's; write it again", field=file)
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BadBundle(f"{file} is missing; write the bundle again", field=file) from error
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, BadBundle):
            raise
        raise BadBundle(f"{file} is not readable JSON; write it again", field=file) from error
    if not isinstance(value, dict):
        raise BadBundle(f"{file} must hold one JSON object; write it again", field=file)
    return Fields(file, value)


def _is_integer(value: Any, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value < 2**63
