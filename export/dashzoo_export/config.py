"""config.json: timm's schema, written for a searched network and read back with suspicion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashzoo_export.bundle import CONFIG, read_json
from dashzoo_search.errors import BadBundle, BadSpec
from dashzoo_search.networks.moments import InputNorm, Per
from dashzoo_search.networks.searched import ARCHITECTURE, SearchedNet
from dashzoo_search.spec import KernelSpec
from dashzoo_search.tasks.kinds import KINDS, Kind

__all__ = ["CONFIG_VERSION", "NetworkConfig", "network_config", "read_config"]

CONFIG_VERSION = 1
_MAX_CHANNELS = 65_536
_MAX_LENGTH = 2**24


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """What config.json says, checked.

    Attributes:
        backbone, backbone_args, dims, in_chans, num_classes, resize, kernels, dense, coords,
            input_norm, output_norm: see `SearchedNet`.
        label_names: one a class, label or output.
        kind: of the problem it was trained for, one of `KINDS`.
        size: of a raw sample, (l,) or (h, w).
        provenance: the rest of the key ``dashzoo``.
    """

    backbone: str
    backbone_args: Mapping[str, Any]
    dims: int
    in_chans: int
    num_classes: int
    resize: int | None
    dense: bool
    coords: bool
    input_norm: InputNorm
    output_norm: Per | None
    kernels: KernelSpec
    label_names: tuple[str, ...]
    kind: Kind
    size: tuple[int, ...]
    provenance: Mapping[str, Any]

    def build(self) -> SearchedNet:
        """The network, with fresh weights."""
        return SearchedNet(
            self.backbone,
            dims=self.dims,
            in_chans=self.in_chans,
            num_classes=self.num_classes,
            kernels=self.kernels,
            backbone_args=self.backbone_args,
            resize=self.resize,
            dense=self.dense,
            coords=self.coords,
            input_norm=self.input_norm,
            output_norm=self.output_norm,
            size=self.size,
        )


def network_config(
    net: SearchedNet,
    *,
    label_names: Sequence[str],
    size: tuple[int, ...],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """The config.json of ``net``, from which timm alone can rebuild it."""
    inner: Mapping[str, Any] = getattr(net.backbone, "pretrained_cfg", {})
    return {
        "architecture": ARCHITECTURE,
        "num_classes": net.num_classes,
        "num_features": net.num_features,
        "global_pool": inner.get("global_pool") or "avg",
        "label_names": list(label_names),
        "model_args": net.model_args,
        "pretrained_cfg": {
            "input_size": [net.in_chans, *((1,) * (2 - net.dims)), *size],
            "fixed_input_size": False,
            # Raw inputs: the network normalises them itself.
            "mean": [0.0] * net.in_chans,
            "std": [1.0] * net.in_chans,
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "num_classes": net.num_classes,
            "first_conv": _inside(inner.get("first_conv")),
            "classifier": _inside(inner.get("classifier")),
            "license": "apache-2.0",
        },
        "dashzoo": {"config_version": CONFIG_VERSION, "size": list(size), **provenance},
    }


def _inside(names: str | Sequence[str] | None) -> Any:
    if names is None:
        return None
    if isinstance(names, str):
        return f"backbone.{names}"
    return [f"backbone.{name}" for name in names]


def read_config(folder: Path) -> NetworkConfig:
    """Read and check ``folder/config.json``.

    Raises:
        BadBundle: it is missing, damaged, or not of a searched network; names the field.
    """
    config = _Fields(read_json(folder / CONFIG), "")
    if config.text("architecture") != ARCHITECTURE:
        raise BadBundle(
            f"config.json describes {config.text('architecture')!r}, not a searched network; "
            "load it with timm.create_model instead",
            field="architecture",
        )
    args, own = config.fields("model_args"), config.fields("dashzoo")
    version = own.value.get("config_version")
    if version != CONFIG_VERSION:
        raise BadBundle(
            f"config.json has version {version!r}, this dashzoo reads {CONFIG_VERSION}; "
            "update dashzoo",
            field="dashzoo.config_version",
        )
    dims = args.integer("dims", 1, 2)
    num_classes = config.integer("num_classes", 1, _MAX_CHANNELS)
    labels = config.value.get("label_names")
    if not isinstance(labels, list) or len(labels) != num_classes:
        raise config.bad("label_names", f"{num_classes} names")
    size = own.value.get("size")
    if not isinstance(size, list) or len(size) != dims:
        raise own.bad("size", f"{dims} integers")
    try:
        kernels = KernelSpec.from_json(args.value.get("kernels"))
    except BadSpec as error:
        field = f"model_args.kernels.{error.field}".rstrip(".")
        raise BadBundle(f"config.json: {field}: {error}", field=field) from error
    if kernels.dims != dims:
        raise args.fields("kernels").bad("dims", str(dims))
    return NetworkConfig(
        backbone=args.text("backbone"),
        backbone_args=args.fields("backbone_args").scalars()
        if "backbone_args" in args.value
        else {},
        dims=dims,
        in_chans=args.integer("in_chans", 1, _MAX_CHANNELS),
        num_classes=num_classes,
        resize=args.integer("resize", 1, _MAX_CHANNELS) if args.value.get("resize") else None,
        dense=args.flag("dense"),
        coords=args.flag("coords"),
        input_norm=args.input_norm(),
        output_norm=args.per("output_norm"),
        kernels=kernels,
        label_names=tuple(str(label) for label in labels),
        size=tuple(_Fields({"size": n}, "dashzoo").integer("size", 1, _MAX_LENGTH) for n in size),
        kind=own.kind(),
        provenance=own.value,
    )


class _Fields:
    """An object of config.json, with errors that name the field."""

    def __init__(self, value: dict[str, Any], path: str) -> None:
        self.value, self.path = value, path

    def bad(self, name: str, wanted: str) -> BadBundle:
        field = f"{self.path}.{name}".lstrip(".")
        return BadBundle(
            f"config.json: {field} must be {wanted}, not {self.value.get(name)!r:.60}", field=field
        )

    def text(self, name: str) -> str:
        value = self.value.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= 256:
            raise self.bad(name, "a name")
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        value = self.value.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.bad(name, f"an integer in {low} … {high}")
        return value

    def flag(self, name: str) -> bool:
        value = self.value.get(name, False)
        if not isinstance(value, bool):
            raise self.bad(name, "true or false")
        return value

    def input_norm(self) -> InputNorm:
        if self.value.get("input_norm") == "sample":
            return "sample"
        return self.per("input_norm") or "channel"

    def per(self, name: str) -> Per | None:
        known: dict[object, Per | None] = {None: None, "channel": "channel", "position": "position"}
        value = self.value.get(name)
        if not isinstance(value, str | None) or value not in known:
            raise self.bad(name, "'channel' or 'position'")
        return known[value]

    def fields(self, name: str) -> _Fields:
        value = self.value.get(name)
        if not isinstance(value, dict):
            raise self.bad(name, "an object")
        return _Fields(value, f"{self.path}.{name}".lstrip("."))

    def kind(self) -> Kind:
        value = self.value.get("kind", "classification")
        for kind in KINDS:
            if value == kind:
                return kind
        raise self.bad("kind", f"one of {', '.join(KINDS)}")

    def scalars(self) -> dict[str, Any]:
        for name, value in self.value.items():
            small = not isinstance(value, int | float) or abs(value) <= _MAX_CHANNELS
            if not isinstance(value, str | int | float | bool) or not small:
                raise self.bad(name, "a plain, small value")
        return self.value
