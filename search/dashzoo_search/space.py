"""A `SearchSpace`: the kernel sizes and dilations a search picks from."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashzoo_search.choice import MAX_DILATION, MAX_KERNEL, Choice, short_repr
from dashzoo_search.errors import BadSpace

__all__ = ["SearchSpace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """Kernel sizes × dilations.

    Args:
        kernels: odd sizes, any order; kept sorted without repeats.
        dilations: positive integers, likewise.

    Raises:
        BadSpace: an empty set, an even size, or one beyond all sense.

    >>> len(SearchSpace(kernels=(3, 7, 11), dilations=(1, 3)).choices(dims=1))
    6
    """

    kernels: tuple[int, ...]
    dilations: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        for name, limit in (("kernels", MAX_KERNEL), ("dilations", MAX_DILATION)):
            sizes = _positive_integers(getattr(self, name), name)
            if not sizes:
                raise BadSpace(f"The set of {name} is empty; give at least one, such as 3,5,7")
            if sizes[-1] > limit:
                raise BadSpace(f"{short_repr(sizes[-1])} in {name} is above the limit of {limit}")
            object.__setattr__(self, name, sizes)
        for k in self.kernels:
            if k % 2 == 0:
                near = f"{k - 1} or {k + 1}" if k > 2 else "3"
                raise BadSpace(f"Kernel size {k} is even; use odd sizes, such as {near}")

    @classmethod
    def default(cls, dims: int) -> SearchSpace:
        """The sets DASH (NeurIPS 2022) searches for sequences (1) and images (2)."""
        kernels = (3, 7, 11, 15, 19) if dims == 1 else (3, 5, 7, 9)
        return cls(kernels=kernels, dilations=(1, 3, 7, 15))

    def choices(self, *, dims: int) -> tuple[Choice, ...]:
        """Every kernel with every dilation; a kernel of size 1 only with dilation 1."""
        return tuple(
            Choice.cube(k, d, dims=dims)
            for k in self.kernels
            for d in (self.dilations if k > 1 else (1,))
        )

    def fitting(self, size: Sequence[int]) -> tuple[Choice, ...]:
        """The choices whose outermost taps can touch a signal of ``size``, one integer an axis.

        A tap at an offset of at least the signal's length only ever reads padding.
        """
        return tuple(
            choice
            for choice in self.choices(dims=len(size))
            if all(p < n for p, n in zip(choice.padding, size, strict=True))
        )

    def check_against(self, size: Sequence[int]) -> None:
        """Refuse kernel sizes and dilations of which no choice touches a signal of ``size``.

        Raises:
            BadSpace: naming the size and the widest that would do.
        """
        shortest = min(size)
        for k in self.kernels:
            if (k - 1) // 2 * self.dilations[0] >= shortest:
                raise BadSpace(
                    f"Kernel size {k} (dilation {self.dilations[0]}) reaches further than the "
                    f"whole input of {shortest} samples; drop it from the kernel set"
                )
        smallest = max(self.kernels[0], 3)
        for d in self.dilations:
            if (smallest - 1) // 2 * d >= shortest:
                raise BadSpace(
                    f"Dilation {d} (kernel {smallest}) reaches further than the whole input of "
                    f"{shortest} samples; drop it from the dilation set"
                )

    def to_json(self) -> dict[str, list[int]]:
        """``{"kernels": [...], "dilations": [...]}``."""
        return {"kernels": list(self.kernels), "dilations": list(self.dilations)}

    @classmethod
    def from_json(cls, value: Any) -> SearchSpace:
        """Parse what `to_json` wrote; raises BadSpace on anything else."""
        if not isinstance(value, Mapping) or set(value) != {"kernels", "dilations"}:
            raise BadSpace("A search space must hold exactly 'kernels' and 'dilations'")
        if not all(isinstance(value[name], list) for name in value):
            raise BadSpace("'kernels' and 'dilations' must be lists of integers")
        return cls(kernels=tuple(value["kernels"]), dilations=tuple(value["dilations"]))


def _positive_integers(sizes: Iterable[Any], name: str) -> tuple[int, ...]:
    """``sizes`` sorted without repeats; NumPy's integers become Python's, for JSON."""
    try:
        given = tuple(sizes)
    except TypeError as error:
        raise BadSpace(f"{name} must be a set of integers, such as (3, 5, 7)") from error
    return tuple(sorted({_positive_integer(size, name) for size in given}))


def _positive_integer(size: Any, name: str) -> int:
    try:
        number = operator.index(size)
    except TypeError:
        number = 0
    if isinstance(size, bool) or number < 1:
        raise BadSpace(f"{short_repr(size)} in {name} is not a positive integer")
    return number
