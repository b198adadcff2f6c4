"""What is to be exported, as it is asked for and as export.json keeps it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from dashzoo_export.bundle import EXPORT
from dashzoo_export.lower import FORMS, Lowering, LoweringCosts
from dashzoo_export.parity import TOLERANCES
from dashzoo_export.serving import Outputs
from dashzoo_search.errors import BadBundle, BadData

__all__ = ["PRECISIONS", "Request"]

PRECISIONS = tuple(TOLERANCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be exported.

    Attributes:
        lowering: see `lower`.
        costs: constants of the cost model.
        precisions: of the files; one in float32 is always among them.
        dynamic: axes that are to be free, beside the batch.
        outputs: what the graph tells.
        pad: whether sequences of any length are padded or cut in the graph, see `Served`.

    Raises:
        BadData: a lowering or a precision nobody knows.
    """

    lowering: Lowering = "auto"
    costs: LoweringCosts = dataclasses.field(default_factory=LoweringCosts)
    precisions: tuple[str, ...] = ("fp32",)
    dynamic: tuple[str, ...] = ()
    outputs: Outputs = "raw"
    pad: bool = False

    def __post_init__(self) -> None:
        if self.lowering not in ("auto", *FORMS):
            raise BadData(f"No lowering is called {self.lowering!r}; take auto, {', '.join(FORMS)}")
        for name in self.precisions:
            if name not in PRECISIONS:
                raise BadData(f"No precision is called {name!r}; take {', '.join(PRECISIONS)}")
        wanted = {"fp32", *self.precisions}
        object.__setattr__(self, "precisions", tuple(p for p in PRECISIONS if p in wanted))

    def to_json(self) -> dict[str, Any]:
        """A plain dict, as JSON gives it back."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_json(cls, value: Any) -> Request:
        """Parse what `to_json` wrote; raises BadBundle on anything else."""
        try:
            values: dict[str, Any] = {
                k: tuple(v) if isinstance(v, list) else v for k, v in value.items()
            }
            costs = LoweringCosts(**values.pop("costs"))
            return cls(costs=costs, **values)
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # BadData is one
            raise BadBundle(
                f"{EXPORT} asks for nothing we know ({error}); export again", field="request"
            ) from error
