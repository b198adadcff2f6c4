"""What a searched network is: choices, the space they come from, and the spec they end in.

A `Choice` is one kernel size and dilation, a `SearchSpace` the set a search picks from, and a
`KernelSpec` maps layer names to choices; an `XDChoice` makes a layer an XD-operation. All are
frozen and have a JSON form; what is parsed here may come off a hub, so every field is checked and
the bad one is named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dashzoo_search.choice import Choice, check_integer, short_repr
from dashzoo_search.errors import BadSpec
from dashzoo_search.space import SearchSpace
from dashzoo_search.xd_choice import XDChoice

__all__ = ["SPEC_VERSION", "Choice", "KernelSpec", "SearchSpace", "XDChoice"]

SPEC_VERSION = 1
MAX_LAYERS = 10_000
_LAYER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSpec:
    """The outcome of a search: which choice each layer of a backbone takes.

    Args:
        dims: axes of the signal, 1 or 2.
        layers: qualified name of a convolution in the backbone → its choice.
        xd: the same of those that are XD-operations.

    Raises:
        BadSpec: a layer name that is no Python path, or a choice of other dims.

    >>> spec = KernelSpec(dims=1, layers={"conv1": Choice.cube(7, 3, dims=1)})
    >>> KernelSpec.from_json(spec.to_json()) == spec
    True
    """

    dims: int
    layers: Mapping[str, Choice]
    xd: Mapping[str, XDChoice] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_integer(self.dims, "dims", 1, 2)
        for key, layers in (("layers", self.layers), ("xd", self.xd)):
            if len(layers) > MAX_LAYERS:
                raise BadSpec(f"{len(layers)} layers are beyond all sense", field=key)
            for name in layers:
                if not isinstance(name, str) or len(name) > 512 or not _LAYER_NAME.fullmatch(name):
                    raise BadSpec(f"{short_repr(name)} is no layer name", field=key)
        for name, choice in self.layers.items():
            if choice.dims != self.dims:
                raise BadSpec(
                    f"layers.{name} has {choice.dims} axes, the network has {self.dims}",
                    field=f"layers.{name}",
                )
        object.__setattr__(self, "layers", dict(self.layers))
        object.__setattr__(self, "xd", dict(self.xd))

    def to_json(self) -> dict[str, Any]:
        """A dict that `json.dumps` takes and timm can carry in ``model_args``."""
        value: dict[str, Any] = {
            "spec_version": SPEC_VERSION,
            "dims": self.dims,
            "layers": {name: choice.to_json() for name, choice in self.layers.items()},
        }
        if self.xd:
            value["xd"] = {name: choice.to_json() for name, choice in self.xd.items()}
        return value

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
        if type(version) is not int or version != SPEC_VERSION:
            raise BadSpec(
                f"kernel spec version {short_repr(version)} is not {SPEC_VERSION}; "
                "update dashzoo to read it",
                field="spec_version",
            )
        if extra := set(value) - {"spec_version", "dims", "layers", "xd"}:
            first = min(map(str, extra))
            raise BadSpec(f"unknown field {short_repr(first)}", field=first)
        dims = check_integer(value.get("dims"), "dims", 1, 2)
        layers, xd = _layers_of(value, "layers"), _layers_of({"xd": {}, **value}, "xd")
        return cls(
            dims=dims,
            layers={
                name: Choice.from_json(choice, dims=dims, field=f"layers.{name}")
                for name, choice in layers.items()
            },
            xd={
                name: XDChoice.from_json(choice, field=f"xd.{name}") for name, choice in xd.items()
            },
        )


def _layers_of(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    given = value.get(key)
    if not isinstance(given, Mapping):
        raise BadSpec(f"{key} must be an object of layer name → choice", field=key)
    if len(given) > MAX_LAYERS:
        raise BadSpec(f"{len(given)} layers are beyond all sense", field=key)
    return given
