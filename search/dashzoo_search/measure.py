"""How a metric is read: which way is better, within what limits, and how it is written.

It computes nothing and needs nothing, so cards and the command line can read scores by it.
"""

from __future__ import annotations

import math
import sys
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["ACCURACY", "Measure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A metric's name and how its values are read.

    Attributes:
        name: of the metric, or a dotted path to the user's own function.
        larger_is_better: which way is better.
        low, high: limits of its values; None where there is none.
        percent: whether it is a share, written in percent.

    >>> ACCURACY.text(0.9317), ACCURACY.better(0.9, 0.8)
    ('93.2%', True)
    """

    name: str
    larger_is_better: bool = True
    low: float | None = 0.0
    high: float | None = None
    percent: bool = False

    def better(self, one: float, other: float) -> bool:
        """Whether ``one`` is better than ``other``; what is no number is worse than all."""
        return self.goodness(one) > self.goodness(other)

    def goodness(self, value: float) -> float:
        """``value`` or minus it, so that more is better."""
        if math.isnan(value):
            return -math.inf
        return value if self.larger_is_better else -value

    def error(self, value: float) -> float:
        """A number to lower, 0 the best where there is a best; always finite."""
        best = self.high if self.larger_is_better else self.low
        error = (best or 0.0) - value if self.larger_is_better else value - (best or 0.0)
        return error if math.isfinite(error) else self.worst_error

    @property
    def worst_error(self) -> float:
        """The largest `error` there can be."""
        if self.low is None or self.high is None:
            return sys.float_info.max
        return self.high - self.low

    def text(self, value: float, digits: int = 1) -> str:
        """``value`` as it is written; ``digits`` are those of a percentage."""
        return f"{value:.{digits}%}" if self.percent else f"{value:.4g}"

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(Measure(**{name: getattr(self, name) for name in _FIELDS}))


_FIELDS = tuple(Measure.__dataclass_fields__)

ACCURACY = Measure(name="accuracy", high=1.0, percent=True)
