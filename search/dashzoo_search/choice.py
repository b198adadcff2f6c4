"""A `Choice`: one kernel size and dilation, what a search picks for a layer.

A `Choice` is odd, for the networks a search derives pad both sides alike. The operator itself
also takes the even sizes of a `Kernel`.

Legend: k kernel size, d dilation, both one integer an axis. A kernel of size k and dilation d
extends over d(k−1)+1 samples and touches the offsets d·j − ⌊d(k−1)/2⌋, j = 0 … k−1: the same as
torch's ``padding="same"``, which puts the odd sample out at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from dashzoo_search.errors import BadSpec

__all__ = ["MAX_DILATION", "MAX_KERNEL", "Choice", "Kernel", "check_integer", "short_repr"]

MAX_KERNEL = 4095
MAX_DILATION = 4096


@dataclass(frozen=True, slots=True, order=True)
class Kernel:
    """A kernel size and dilation, one integer an axis of the signal; sizes may be even.

    Args:
        kernel: sizes, one an axis.
        dilation: distances between neighbouring taps, one an axis.

    Raises:
        BadSpec: sizes that are not positive integers, or axes that do not match.

    >>> Kernel((4,), (3,)).padding, Kernel((4,), (3,)).padding_after
    ((4,), (5,))
    """

    kernel: tuple[int, ...]
    dilation: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.kernel) != len(self.dilation) or not self.kernel:
            raise BadSpec(f"kernel {self.kernel} and dilation {self.dilation} differ in axes")
        for k in self.kernel:
            check_integer(k, "kernel", 1, MAX_KERNEL)
        for d in self.dilation:
            check_integer(d, "dilation", 1, MAX_DILATION)

    @classmethod
    def cube(cls, kernel: int, dilation: int, *, dims: int) -> Self:
        """The same size and dilation along each of ``dims`` axes."""
        return cls((kernel,) * dims, (dilation,) * dims)

    @property
    def dims(self) -> int:
        """Number of axes."""
        return len(self.kernel)

    @property
    def taps(self) -> int:
        """Weights per channel pair: the product of the sizes."""
        return math.prod(self.kernel)

    @property
    def extent(self) -> tuple[int, ...]:
        """Samples spanned along each axis, d(k−1)+1."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def padding(self) -> tuple[int, ...]:
        """Samples before the first that keep the length at stride 1, ⌊d(k−1)/2⌋."""
        return tuple((span - 1) // 2 for span in self.extent)

    @property
    def padding_after(self) -> tuple[int, ...]:
        """Samples after the last that keep the length at stride 1; as before if k is odd."""
        return tuple(span // 2 for span in self.extent)

    def on_plane(self) -> Self:
        """This kernel with leading axes of size 1 until it has two.

        >>> Choice.cube(7, 3, dims=1).on_plane()
        Choice(kernel=(1, 7), dilation=(1, 3))
        """
        missing = (1,) * (2 - self.dims)
        return type(self)(missing + self.kernel, missing + self.dilation)

    def __str__(self) -> str:
        kernel, dilation = ("×".join(map(str, _axes(v))) for v in (self.kernel, self.dilation))
        return f"k{kernel} d{dilation}"


@dataclass(frozen=True, slots=True, order=True)
class Choice(Kernel):
    """A kernel a search may pick: odd, so that its padding is the same on both sides.

    Args:
        kernel: odd sizes, one an axis.
        dilation: distances between neighbouring taps, one an axis.

    Raises:
        BadSpec: sizes that are not odd positive integers, or axes that do not match.

    >>> Choice.cube(7, 3, dims=1).extent
    (19,)
    """

    def __post_init__(self) -> None:
        Kernel.__post_init__(self)  # super() is lost where slots remake a dataclass
        for k in self.kernel:
            if k % 2 == 0:
                raise BadSpec(f"kernel size {k} is even; use odd sizes", field="kernel")

    def to_json(self) -> dict[str, Any]:
        """``{"kernel": 7, "dilation": 3}``, or lists where the axes differ."""
        return {"kernel": _fewest(self.kernel), "dilation": _fewest(self.dilation)}

    @classmethod
    def from_json(cls, value: Any, *, dims: int, field: str = "choice") -> Choice:
        """Parse what `to_json` wrote.

        Raises:
            BadSpec: anything else, naming the field.
        """
        if not isinstance(value, Mapping) or set(value) != {"kernel", "dilation"}:
            raise BadSpec(f"{field} must hold exactly 'kernel' and 'dilation'", field=field)
        parts = {}
        for name in ("kernel", "dilation"):
            part = value[name]
            sizes = part if isinstance(part, Sequence) and not isinstance(part, str) else [part]
            if len(sizes) == 1:
                sizes = list(sizes) * dims
            if len(sizes) != dims:
                raise BadSpec(f"{field}.{name} must have {dims} axes", field=f"{field}.{name}")
            for size in sizes:
                if isinstance(size, bool) or not isinstance(size, int):
                    raise BadSpec(
                        f"{field}.{name} must be an integer, not {short_repr(size)}",
                        field=f"{field}.{name}",
                    )
            parts[name] = tuple(sizes)
        try:
            return cls(parts["kernel"], parts["dilation"])
        except BadSpec as error:
            raise BadSpec(f"{field}: {error}", field=f"{field}.{error.field}") from error


def check_integer(value: object, field: str, low: int, high: int) -> int:
    """``value`` if it is an integer in ``low`` … ``high``; else raises BadSpec naming ``field``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadSpec(
            f"{field} must be an integer in {low} … {high}, not {short_repr(value)}", field=field
        )
    return value


def short_repr(value: object) -> str:
    """``repr`` of a value that may come off a hub: never long, never an error of its own."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or nested too deep
        return f"an enormous {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:59]}…"


def _fewest(sizes: tuple[int, ...]) -> int | list[int]:
    return sizes[0] if len(set(sizes)) == 1 else list(sizes)


def _axes(sizes: tuple[int, ...]) -> Iterable[int]:
    return sizes[:1] if len(set(sizes)) == 1 else sizes
