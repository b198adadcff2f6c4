"""What `onnx/export.json` says: the exported graph and the proof that it computes the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from dashzoo_cards.fields import Fields

__all__ = ["Check", "Export", "Port"]

_DTYPE = re.compile(r"[a-z]+[0-9]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An input or output: its name, its dtype, and its shape with free axes by name."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From ``input`` or ``output``; raises BadBundle."""
        shape = fields.values.get("shape")
        if not isinstance(shape, list) or not shape or not all(map(_is_axis, shape)):
            fields.fail("shape", "a list of axis lengths or axis names")
        dtype = fields.text("dtype")
        if not _DTYPE.fullmatch(dtype):
            fields.fail("dtype", "a NumPy type such as 'float32'")
        return cls(name=fields.text("name"), shape=tuple(shape), dtype=dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison of ONNX Runtime with torch on the same inputs.

    ``argmax_agree`` is None where outputs are no classes.
    """

    batch: int
    inputs: str
    max_abs: float
    relative_to_max: float
    argmax_agree: bool | None

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From one item of ``parity.checks``; raises BadBundle."""
        return cls(
            batch=fields.integer("batch", low=1),
            inputs=fields.text("inputs"),
            max_abs=fields.number("max_abs", low=0),
            relative_to_max=fields.number("relative_to_max", low=0),
            argmax_agree=fields.flag_or_null("argmax_agree"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An ONNX export; ``lowering`` maps each layer to the form it was written in."""

    opset: int
    bytes: int
    sha256: str
    weights_sha256: str
    input: Port
    output: Port
    lowering: Mapping[str, str]
    tolerance: float
    checks: tuple[Check, ...]
    onnxruntime: str
    provider: str

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From ``onnx/export.json``; raises BadBundle."""
        fields.one_of("schema_version", (1,))
        parity, runtime = fields.inside("parity"), fields.inside("runtime")
        lowering = fields.inside("lowering")
        return cls(
            opset=fields.integer("opset", low=1),
            bytes=fields.integer("bytes"),
            sha256=fields.sha256("sha256"),
            weights_sha256=fields.sha256("weights_sha256"),
            input=Port.read(fields.inside("input")),
            output=Port.read(fields.inside("output")),
            lowering={name: lowering.text(name) for name in lowering.values},
            tolerance=parity.number("tolerance", low=0),
            checks=tuple(map(Check.read, parity.each("checks"))),
            onnxruntime=runtime.text("onnxruntime"),
            provider=runtime.text("provider"),
        )


def _is_axis(axis: object) -> bool:
    if isinstance(axis, str):
        return bool(axis.strip())
    return isinstance(axis, int) and not isinstance(axis, bool) and 0 < axis < 2**63
