"""What a user asks for: limits a network must keep, and a price on what it costs.

| resource | unit | of |
|---|---|---|
| params | numbers | the whole network |
| macs | multiply-accumulates a sample | convolutions and linear layers |
| receptive_field | samples along the last axis, as the backbone sees them | see `receptive` |
| latency | ms for one sample | all convolutions, each by itself, see `ops.latency` |

Latency is that of the convolutions alone, summed: batch norm is folded and activations are fused
where a network is deployed, and no table can know what a runtime adds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from dashzoo_search.errors import BadData

__all__ = ["RESOURCES", "Budget", "Resource"]

Resource = Literal["params", "macs", "receptive_field", "latency"]
RESOURCES: tuple[Resource, ...] = get_args(Resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits, and a price.

    Args:
        max_params: parameters of the network.
        max_macs: multiply-accumulates for one sample.
        max_receptive_field: samples.
        max_latency: ms of all convolutions for one sample.
        price: nats of held-out loss that one backbone's worth of ``price_on`` is worth; at 0.1,
            half the MACs may cost 0.05 nats.
        price_on: the resource that is priced, and that trade-offs are told in.
        latency_table: file that `dashzoo calibrate` wrote on the target; None measures here.

    Raises:
        BadData: a value out of range.
    """

    max_params: int | None = None
    max_macs: int | None = None
    max_receptive_field: int | None = None
    max_latency: float | None = None
    price: float = 0.0
    price_on: Resource = "macs"
    latency_table: str | None = None

    def __post_init__(self) -> None:
        for resource, limit in self.limits.items():
            if not (math.isfinite(limit) and limit > 0):
                raise BadData(f"max_{resource} must be a positive number, not {limit}")
        if not (math.isfinite(self.price) and self.price >= 0):
            raise BadData(f"price must not be negative, and is {self.price}")
        if self.price_on not in RESOURCES:
            raise BadData(f"price_on must be one of {', '.join(RESOURCES)}, not {self.price_on!r}")

    @property
    def limits(self) -> dict[Resource, float]:
        """Those that were given."""
        told = {name: getattr(self, f"max_{name}") for name in RESOURCES}
        return {name: limit for name, limit in told.items() if limit is not None}

    @property
    def bounded(self) -> bool:
        """Whether cost matters at all."""
        return self.price > 0 or bool(self.limits)

    @property
    def times(self) -> bool:
        """Whether latencies have to be known."""
        return self.max_latency is not None or self.price_on == "latency"

    @property
    def axis(self) -> Resource:
        """The resource that trade-offs are told in: the one limited, if it is one, else priced."""
        limited = list(self.limits)
        return limited[0] if len(limited) == 1 and not self.price else self.price_on

    def limits_json(self) -> dict[str, Any]:
        """What was asked for, as a plain dict; empty if nothing was."""
        told: dict[str, Any] = {f"max_{name}": limit for name, limit in self.limits.items()}
        if self.price or self.price_on != "macs":
            told |= {"price": self.price, "price_on": self.price_on}
        if self.latency_table is not None:
            told["latency_table"] = Path(self.latency_table).name  # the folder is the user's own
        return told
