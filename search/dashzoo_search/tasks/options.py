"""What a user says about their data: its kind, its columns, its lengths and how to split it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal, get_args

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.kinds import KINDS, Kind

__all__ = ["DataOptions", "Lengths", "SplitBy"]

Lengths = Literal["pad", "resample"]
SplitBy = Literal["random", "time"]

_PLURAL = ("target", "size")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """How to read data. Everything may be left out; what is guessed then is said.

    Args:
        kind: of the problem, see `Kind`; None guesses it from the labels.
        target: columns of a table, or the array or feature, that hold the labels.
        id: column of a table in long form that tells the samples apart.
        time: column that orders the rows of a sample, or of a whole table with a row a sample.
        channels: of a table with a row a sample: its columns are one channel after the other.
        lengths: what to do with sequences of unequal length: ``"pad"`` with zeros, with one more
            channel that is 1 where the signal is real, or ``"resample"`` by linear interpolation.
        size: length to pad or resample to, or height and width of images.
        split: ``"time"`` makes the last samples test, and the last before them validation.
        split_column: column that says train, val or test.
        groups: column (or array, or feature) of what must not be on both sides of a split, such
            as the patient.
        loss, metric: names, or dotted paths to functions of the user's own; None takes those of the
            kind.
        positive_weight: what a positive label counts in the loss, a negative one counting 1.

    Raises:
        BadData: a value out of range.

    >>> DataOptions(kind="regression", target="price").given()
    {'kind': 'regression', 'target': ('price',)}
    """

    kind: Kind | None = None
    target: tuple[str, ...] | str | None = None
    id: str | None = None
    time: str | None = None
    channels: int | None = None
    lengths: Lengths | None = None
    size: tuple[int, ...] | int | None = None
    split: SplitBy | None = None
    split_column: str | None = None
    groups: str | None = None
    loss: str | None = None
    metric: str | None = None
    positive_weight: float = 1.0

    def __post_init__(self) -> None:
        for name in _PLURAL:
            value = getattr(self, name)
            if value is not None:
                single = isinstance(value, str | int)
                object.__setattr__(self, name, (value,) if single else tuple(value))
        for name, known in (
            ("kind", tuple(KINDS)),
            ("lengths", get_args(Lengths)),
            ("split", get_args(SplitBy)),
        ):
            if (value := getattr(self, name)) is not None and value not in known:
                raise BadData(f"{name} must be one of {', '.join(known)}, not {value!r:.40}")
        for number in (*self.sides, *((self.channels,) if self.channels is not None else ())):
            if not isinstance(number, int) or not 1 <= number <= 2**24:
                raise BadData(f"size and channels are positive numbers, not {number!r:.40}")
        if not (math.isfinite(self.positive_weight) and self.positive_weight > 0):
            raise BadData(f"positive_weight must be above 0, and is {self.positive_weight}")
        if self.split is not None and self.split_column is not None:
            raise BadData("A column that gives the splits leaves nothing to split; drop one")

    @property
    def targets(self) -> tuple[str, ...]:
        """``target``, however it was given."""
        return (self.target,) if isinstance(self.target, str) else self.target or ()

    @property
    def sides(self) -> tuple[int, ...]:
        """``size``, however it was given."""
        return (self.size,) if isinstance(self.size, int) else self.size or ()

    def given(self) -> dict[str, Any]:
        """What was said, by name."""
        return {
            entry.name: value
            for entry in fields(self)
            if (value := getattr(self, entry.name)) != entry.default or entry.default is MISSING
        }

    def to_json(self) -> dict[str, Any]:
        """What was said, as plain JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in self.given().items()}

    @classmethod
    def from_json(cls, value: Any) -> DataOptions:
        """Read what `to_json` wrote.

        Raises:
            BadData: it is something else.
        """
        known = asdict(cls())
        if not isinstance(value, Mapping) or not set(value) <= set(known):
            raise BadData(f"Data options must be some of {', '.join(known)}")
        for name, one in value.items():
            plural = isinstance(one, list) and name in _PLURAL
            kinds = (int, float) if name == "positive_weight" else (str, int)
            if not all(isinstance(v, kinds) for v in (one if plural else [one])):
                raise BadData(f"The data option {name} holds {one!r:.40}; give a name or number")
        return cls(**value)
