"""A row of a panel: what one contestant came to with one seed, and what that took.

Rows are read back from disk, by a panel that goes on and by what prints it, so every field that is
counted with is checked. Nothing here needs torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from dashzoo_search.errors import BadBundle
from dashzoo_search.spec import KernelSpec

__all__ = ["Cost", "Row", "mean_score"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Epochs over the training split, wall and process-CPU seconds.

    >>> (Cost(epochs=2, seconds=1.0) + Cost(epochs=3, cpu_seconds=1.0)).epochs
    5
    """

    epochs: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(**{name: getattr(self, name) + getattr(other, name) for name in _COST})

    def __sub__(self, other: Cost) -> Cost:
        return Cost(**{name: getattr(self, name) - getattr(other, name) for name in _COST})

    def to_json(self) -> dict[str, float]:
        """A plain dict, seconds to a hundredth."""
        return {name: round(getattr(self, name), 2) for name in _COST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a contestant came to with one seed.

    Attributes:
        contestant: its name.
        seed: of splits, initialisation and shuffling.
        data: SHA-256 of the task's arrays.
        val, test: ``{"metric": …, "value": …, "loss": …}``; the loss is None where there is none.
        parameters, macs: of the network, None where there is none.
        search: what finding the kernels took.
        train: what training took, once they were found, and what choosing among starts did.
        spec: its kernels; None where there are none to tell.
        test_reads: how often the test split was read while its contestant ran.
        details: whatever else is worth keeping.

    Raises:
        BadBundle: from `from_json`, naming the field.
    """

    contestant: str
    seed: int
    data: str
    val: Mapping[str, Any]
    test: Mapping[str, Any]
    parameters: int | None = None
    macs: int | None = None
    search: Cost = field(default_factory=Cost)
    train: Cost = field(default_factory=Cost)
    spec: KernelSpec | None = None
    test_reads: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> Cost:
        """Search and training together."""
        return self.search + self.train

    def to_json(self) -> dict[str, Any]:
        """A plain dict; numbers that are none become null."""
        told = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        told |= {name: told[name].to_json() for name in ("search", "train")}
        told["spec"] = self.spec.to_json() if self.spec else None
        plain: dict[str, Any] = _finite(told)
        return plain

    @classmethod
    def from_json(cls, value: Any) -> Row:
        """Read what `to_json` wrote."""
        names = {entry.name for entry in fields(cls)}
        if not isinstance(value, Mapping) or set(value) != names:
            raise _bad("fields", f"exactly {', '.join(sorted(names))}")
        for name, kind in (("contestant", str), ("seed", int), ("data", str), ("details", dict)):
            if not isinstance(value[name], kind):
                raise _bad(name, f"of type {kind.__name__}")
        for name in ("val", "test"):
            score = value[name]
            if not isinstance(score, Mapping) or not _is_number(score.get("value")):
                raise _bad(f"{name}.value", "a finite number")
        for name in ("parameters", "macs"):
            if value[name] is not None and not _is_number(value[name], low=0):
                raise _bad(name, "a number or null")
        costs = {name: _cost(value[name], name) for name in ("search", "train")}
        spec = KernelSpec.from_json(value["spec"]) if value["spec"] is not None else None
        return cls(**{**value, **costs, "spec": spec})


_COST = tuple(Cost.__dataclass_fields__)


def mean_score(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Value and loss of several scores of one metric, averaged.

    >>> mean_score([{"metric": "rmse", "value": 1, "loss": 2}, {"value": 2, "loss": 3}])
    {'metric': 'rmse', 'value': 1.5, 'loss': 2.5}
    """
    means = {key: sum(score[key] for score in scores) / len(scores) for key in ("value", "loss")}
    return {"metric": scores[0]["metric"], **means}


def _cost(value: Any, name: str) -> Cost:
    good = isinstance(value, Mapping) and set(value) == set(_COST)
    if not good or not all(_is_number(number, low=0) for number in value.values()):
        raise _bad(name, f"{', '.join(_COST)}, numbers of at least 0")
    return Cost(**value)


def _is_number(value: Any, low: float = -math.inf) -> bool:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and math.isfinite(value) and value >= low


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def _bad(field: str, wanted: str) -> BadBundle:
    return BadBundle(f"{field} of a panel's row must be {wanted}; compare again", field=field)
