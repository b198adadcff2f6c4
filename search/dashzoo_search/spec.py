"""What a searched network is: choices, the space they come from, and the spec they end in.

A `Choice` is one kernel size and dilation, a `SearchSpace` the set a search picks from, and a
`KernelSpec` maps layer names to choices. All three are frozen and have a JSON form; what is
parsed here may come off a hub, so every field is checked and the bad one is named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashzoo_search.choice import Choice, check_integer, short_repr
from dashzoo_search.errors import BadSpec
from dashzoo_search.space import SearchSpace

__all__ = ["SPEC_VERSION", "Choice", "KernelSpec", "SearchSpace"]

SPEC_VERSION = 1
MAX_LAYERS = 10_000
_LAYER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")


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
        check_integer(self.dims, "dims", 1, 2)
        if len(self.layers) > MAX_LAYERS:
            raise BadSpec(f"{len(self.layers)} layers are beyond all sense", field="layers")
        for name, choice in self.layers.items():
            if not isinstance(name, str) or len(name) > 512 or not _LAYER_NAME.fullmatch(name):
                raise BadSpec(f"{short_repr(name)} is no layer name", field="layers")
            if choice.dims != self.dims:
                raise BadSpec(
                    f"layers.{name} has {choice.dims} axes, the network has {self.dims}",
                    field=f"layers.{name}",
                )
        object.__setattr__(self, "layers", dict(self.layers))

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
        if type(version) is not int or version != SPEC_VERSION:
            raise BadSpec(
                f"kernel spec version {short_repr(version)} is not {SPEC_VERSION}; "
                "update dashzoo to read it",
                field="spec_version",
            )
        if extra := set(value) - {"spec_version", "dims", "layers"}:
            first = min(map(str, extra))
            raise BadSpec(f"unknown field {short_repr(first)}", field=first)
        dims = check_integer(value.get("dims"), "dims", 1, 2)
        layers = value.get("layers")
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
