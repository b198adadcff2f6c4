"""What a searched network is: choices, the space they come from, and the spec they end in.

A `Choice` is one kernel size and dilation, a `SearchSpace` the set a search picks from, and a
`KernelSpec` maps layer names to choices. All three are frozen and have a JSON form; what is
parsed here may come off a hub, so every field is checked and the bad one is named.

Legend: k kernel size, d dilation, both one integer an axis. A kernel of size k and dilation d
extends over d(k−1)+1 samples and touches the offsets d·(j − (k−1)/2), j = 0 … k−1.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from dashzoo_search.errors import BadSpace, BadSpec

__all__ = ["SPEC_VERSION", "Choice", "KernelSpec", "SearchSpace"]

SPEC_VERSION = 1
MAX_KERNEL = 4095
MAX_DILATION = 4096
MAX_LAYERS = 10_000
_LAYER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")


@dataclass(frozen=True, slots=True, order=True)
class Choice:
    """One kernel size and dilation, one integer an axis of the signal.

    Args:
        kernel: odd sizes, one an axis.
        dilation: distances between neighbouring taps, one an axis.

    Raises:
        BadSpec: sizes that are not odd positive integers, or axes that do not match.

    >>> Choice.cube(7, 3, dims=1).extent
    (19,)
    """

    kernel: tuple[int, ...]
    dilation: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.kernel) != len(self.dilation) or not self.kernel:
            raise BadSpec(f"kernel {self.kernel} and dilation {self.dilation} differ in axes")
        for k in self.kernel:
            _check_int(k, "kernel", 1, MAX_KERNEL)
            if k % 2 == 0:
                raise BadSpec(f"kernel size {k} is even; use odd sizes", field="kernel")
        for d in self.dilation:
            _check_int(d, "dilation", 1, MAX_DILATION)

    @classmethod
    def cube(cls, kernel: int, dilation: int, *, dims: int) -> Choice:
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
        """Zeros on each side that keep the length at stride 1, d(k−1)/2."""
        return tuple(d * (k - 1) // 2 for k, d in zip(self.kernel, self.dilation, strict=True))

    def on_plane(self) -> Choice:
        """This choice with leading axes of size 1 until it has two.

        >>> Choice.cube(7, 3, dims=1).on_plane()
        Choice(kernel=(1, 7), dilation=(1, 3))
        """
        missing = (1,) * (2 - self.dims)
        return Choice(missing + self.kernel, missing + self.dilation)

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
                        f"{field}.{name} must be an integer, not {size!r}", field=f"{field}.{name}"
                    )
            parts[name] = tuple(sizes)
        try:
            return cls(parts["kernel"], parts["dilation"])
        except BadSpec as error:
            raise BadSpec(f"{field}: {error}", field=f"{field}.{error.field}") from error

    def __str__(self) -> str:
        kernel, dilation = ("×".join(map(str, _axes(v))) for v in (self.kernel, self.dilation))
        return f"k{kernel} d{dilation}"


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
        for name, sizes in (("kernels", self.kernels), ("dilations", self.dilations)):
            if not sizes:
                raise BadSpace(f"The set of {name} is empty; give at least one, such as 3,5,7")
            for size in sizes:
                if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                    raise BadSpace(f"{size!r} in {name} is not a positive integer")
            object.__setattr__(self, name, tuple(sorted(set(sizes))))
        for k in self.kernels:
            if k % 2 == 0:
                raise BadSpace(
                    f"Kernel size {k} is even; use odd sizes, such as {k - 1} or {k + 1}"
                )
        if self.kernels[-1] > MAX_KERNEL:
            raise BadSpace(f"Kernel size {self.kernels[-1]} is above the limit of {MAX_KERNEL}")
        if self.dilations[-1] > MAX_DILATION:
            raise BadSpace(f"Dilation {self.dilations[-1]} is above the limit of {MAX_DILATION}")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSpec:
    """The outcome of a search: which choice each layer of a backbone takes.

    Args:
        dims: axes of the signal, 1 or 2.
        layers: qualified name of a convolution in the backbone → its choice.

    Raises:
        BadSpec: a layer name that is no Python path, or a choice of other dims.

    >>> spec = KernelSpec(dims=1, layers={"conv1": Choice.cube(7, 3, dims=1)})
    >>> KernelSpec.from_json(spec.to_json()) == spec
    True
    """

    dims: int
    layers: Mapping[str, Choice]

    def __post_init__(self) -> None:
        if self.dims not in (1, 2):
            raise BadSpec(f"dims must be 1 or 2, not {self.dims!r}", field="dims")
        if len(self.layers) > MAX_LAYERS:
            raise BadSpec(f"{len(self.layers)} layers are beyond all sense", field="layers")
        for name, choice in self.layers.items():
            if not isinstance(name, str) or len(name) > 512 or not _LAYER_NAME.fullmatch(name):
                raise BadSpec(f"{name!r} is no layer name", field="layers")
            if choice.dims != self.dims:
                raise BadSpec(
                    f"layers.{name} has {choice.dims} axes, the network has {self.dims}",
                    field=f"layers.{name}",
                )
        object.__setattr__(self, "layers", MappingProxyType(dict(self.layers)))

    def to_json(self) -> dict[str, Any]:
        """A dict that `json.dumps` takes and timm can carry in ``model_args``."""
        return {
            "spec_version": SPEC_VERSION,
            "dims": self.dims,
            "layers": {name: choice.to_json() for name, choice in self.layers.items()},
        }

    @classmethod
    def from_json(cls, value: Any) -> KernelSpec:
        """Parse what `to_json` wrote, from a dict or a string.

        Raises:
            BadSpec: naming the field at fault.
        """
        if isinstance(value, str | bytes):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError) as error:
                raise BadSpec(f"the kernel spec is not JSON: {error}") from error
        if not isinstance(value, Mapping):
            raise BadSpec("a kernel spec must be a JSON object")
        version = value.get("spec_version")
        if version != SPEC_VERSION or isinstance(version, bool):
            raise BadSpec(
                f"kernel spec version {version!r} is not {SPEC_VERSION}; update dashzoo to read it",
                field="spec_version",
            )
        if extra := set(value) - {"spec_version", "dims", "layers"}:
            raise BadSpec(f"unknown field {min(map(str, extra))!r}", field=min(map(str, extra)))
        dims, layers = value.get("dims"), value.get("layers")
        if isinstance(dims, bool) or dims not in (1, 2):
            raise BadSpec(f"dims must be 1 or 2, not {dims!r}", field="dims")
        if not isinstance(layers, Mapping):
            raise BadSpec("layers must be an object of layer name → choice", field="layers")
        if len(layers) > MAX_LAYERS:
            raise BadSpec(f"{len(layers)} layers are beyond all sense", field="layers")
        return cls(
            dims=dims,
            layers={
                name: Choice.from_json(choice, dims=dims, field=f"layers.{name}")
                for name, choice in layers.items()
            },
        )


def _check_int(value: object, field: str, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadSpec(f"{field} must be an integer in {low} … {high}, not {value!r}", field=field)


def _fewest(sizes: tuple[int, ...]) -> int | list[int]:
    return sizes[0] if len(set(sizes)) == 1 else list(sizes)


def _axes(sizes: tuple[int, ...]) -> Iterable[int]:
    return sizes[:1] if len(set(sizes)) == 1 else sizes
