"""What a report tells beyond the facts of a card: curves, windows and where the network errs.

All of it is in `results.json` and none of it must be: a run of an older dashzoo has less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dashzoo_cards.fields import Fields, read_json

__all__ = ["Breakdown", "Curve", "Example", "Record", "load_record"]

MOST_EPOCHS = 100_000
MOST_POSITIONS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Training loss and score of every epoch of one stage; NaN where there was no number."""

    stage: str
    loss: tuple[float, ...]
    value: tuple[float, ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From one item of ``results.json:curves``; raises BadBundle."""
        loss = _numbers(fields, "loss", gaps=True)
        if len(loss) > MOST_EPOCHS:
            fields.fail("loss", f"a list of at most {MOST_EPOCHS:,} numbers")
        value = _numbers(fields, "value", length=len(loss), gaps=True)
        return cls(stage=fields.text("stage"), loss=loss, value=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One sample of the test split: input, truth and prediction on a grid of ``shape``."""

    sample: int
    shape: tuple[int, ...]
    input: tuple[float, ...]
    target: tuple[float, ...]
    prediction: tuple[float, ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From ``results.json:breakdown.example``; raises BadBundle."""
        shape = fields.integers("shape")
        count = math.prod(shape)
        if len(shape) > 2 or count > MOST_POSITIONS:
            fields.fail("shape", f"one or two axes of at most {MOST_POSITIONS:,} positions")
        maps = {
            name: _numbers(fields, name, length=count) for name in ("input", "target", "prediction")
        }
        return cls(sample=fields.integer("sample"), shape=shape, **maps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Where the shipped network errs on the test split; what its kind of problem has.

    Attributes:
        of, right: samples or positions of each class, and those told rightly.
        confusions: (class, class told, count), the most frequent first.
        labels: hits, false alarms, misses and correct rejections of each label.
        outputs: of each output, bins of (truth, 10 %, 50 %, 90 % of what is foretold).
        errors: quantiles of the samples' root mean squared errors, evenly spaced.
        example: the sample of the median error.
    """

    of: tuple[int, ...] = ()
    right: tuple[int, ...] = ()
    confusions: tuple[tuple[int, int, int], ...] = ()
    labels: tuple[tuple[int, ...], ...] = ()
    outputs: tuple[tuple[tuple[float, ...], ...], ...] = ()
    errors: tuple[float, ...] = ()
    example: Example | None = None

    @classmethod
    def read(cls, fields: Fields, kind: str, names: int) -> Self:
        """From ``results.json:breakdown``; raises BadBundle.

        Args:
            fields: the object.
            kind: of problem.
            names: of classes, labels or outputs there are.
        """
        example = None
        if kind.startswith("dense"):
            example = Example.read(fields.inside("example"))
        if kind == "multilabel":
            return cls(labels=tuple(_counts(row, 4, fields) for row in _rows(fields, "labels")))
        if kind == "regression":
            return cls(outputs=tuple(_bins(row, fields) for row in _rows(fields, "outputs")))
        if kind == "dense_regression":
            return cls(errors=_numbers(fields, "errors", low=0), example=example)
        of = _counts(fields.values.get("of"), names, fields)
        right = _counts(fields.values.get("right"), names, fields)
        if any(hits > all_ for hits, all_ in zip(right, of, strict=True)):
            fields.fail("right", "counts no larger than those of all")
        confusions = tuple(_counts(row, 3, fields) for row in _rows(fields, "confusions"))
        if any(max(true, told) >= names for true, told, _ in confusions):
            fields.fail("confusions", f"pairs of {names} classes")
        return cls(
            of=of,
            right=right,
            confusions=tuple((true, told, count) for true, told, count in confusions),
            example=example,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The learning curves, the windows of the backbone (extent and jump by name), and the errors.

    ``windows`` is empty and ``breakdown`` None where the run did not record them.
    """

    curves: tuple[Curve, ...]
    windows: Mapping[str, tuple[int, int]]
    breakdown: Breakdown | None


def load_record(bundle: Path, *, kind: str, names: int) -> Record:
    """Read it from ``results.json``.

    Args:
        bundle: the folder.
        kind, names: see `Breakdown.read`.

    Raises:
        BadBundle: a field is ill-typed; ``error.field`` names it.
    """
    results = read_json(bundle, "results.json")
    curves = map(Curve.read, results.each("curves")) if results.values.get("curves") else ()
    windows = results.inside("windows") if results.values.get("windows") else Fields("", {})
    told = results.inside("breakdown") if results.values.get("breakdown") else None
    pairs = {name: windows.integers(name, length=2) for name in windows.values}
    return Record(
        curves=tuple(curves),
        windows={name: (extent, jump) for name, (extent, jump) in pairs.items()},
        breakdown=None if told is None else Breakdown.read(told, kind, names),
    )


def _numbers(
    fields: Fields,
    name: str,
    *,
    length: int | None = None,
    gaps: bool = False,
    low: float = -math.inf,
) -> tuple[float, ...]:
    value = fields.values.get(name)
    if not isinstance(value, list) or not value or length not in (None, len(value)):
        fields.fail(name, "a list of numbers" if length is None else f"{length:,} numbers")
    row = Fields(
        fields.file, {str(i): item for i, item in enumerate(value)}, f"{fields.path}.{name}"
    )
    return tuple(
        math.nan if gaps and item is None else row.number(str(i), low=low)
        for i, item in enumerate(value)
    )


def _rows(fields: Fields, name: str) -> list[Any]:
    value = fields.values.get(name)
    if not isinstance(value, list):
        fields.fail(name, "a list of lists")
    return value


def _counts(value: Any, length: int, fields: Fields) -> tuple[int, ...]:
    whole = isinstance(value, list) and len(value) == length
    if not whole or not all(type(item) is int and 0 <= item < 2**63 for item in value):
        fields.fail("breakdown", f"lists of {length} counts")
    return tuple(value)


def _bins(value: Any, fields: Fields) -> tuple[tuple[float, ...], ...]:
    row = Fields(fields.file, {"bins": value}, fields.path)
    return tuple(
        _numbers(Fields(fields.file, {"bin": each}, fields.path), "bin", length=4)
        for each in _rows(row, "bins")
    )
