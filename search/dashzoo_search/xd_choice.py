"""An `XDChoice`: what a convolution needs beside its own settings to become an XD-operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashzoo_search.choice import check_integer, short_repr
from dashzoo_search.errors import BadSpec

__all__ = ["DEEPEST", "XDChoice"]

DEEPEST = 4
LARGEST = 65_536


@dataclass(frozen=True, slots=True, order=True)
class XDChoice:
    """A convolution with learnable transforms; kernel, stride and padding stay the backbone's.

    Args:
        depth: butterflies in each of K, L and M, 1 to 4.
        size: height and width of the plane it sees; a sequence has height 1.

    Raises:
        BadSpec: a depth out of range, or a size that is none.

    >>> str(XDChoice(3, (8, 8)))
    'XD depth 3 on 8×8'
    """

    depth: int
    size: tuple[int, ...]

    def __post_init__(self) -> None:
        check_integer(self.depth, "depth", 1, DEEPEST)
        if len(self.size) != 2:
            raise BadSpec(f"size must be height and width, not {short_repr(self.size)}")
        for n in self.size:
            check_integer(n, "size", 1, LARGEST)

    def __str__(self) -> str:
        return f"XD depth {self.depth} on {self.size[0]}×{self.size[1]}"

    def to_json(self) -> dict[str, Any]:
        """``{"depth": 3, "size": [8, 8]}``."""
        return {"depth": self.depth, "size": list(self.size)}

    @classmethod
    def from_json(cls, value: Any, *, field: str = "choice") -> XDChoice:
        """Parse what `to_json` wrote.

        Raises:
            BadSpec: anything else, naming the field.
        """
        if not isinstance(value, Mapping) or set(value) != {"depth", "size"}:
            raise BadSpec(f"{field} must hold exactly 'depth' and 'size'", field=field)
        size = value["size"]
        if not isinstance(size, list | tuple):
            raise BadSpec(f"{field}.size must be height and width", field=f"{field}.size")
        try:
            return cls(value["depth"], tuple(size))
        except BadSpec as error:
            raise BadSpec(f"{field}: {error}", field=f"{field}.{error.field or 'size'}") from error
