"""What `onnx/export.json` says: the exported graphs and the proof that they compute the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from dashzoo_cards.fields import Fields
from dashzoo_search.errors import BadBundle

__all__ = ["Check", "Export", "Graph", "Port", "Timing"]

SCHEMA_VERSION = 2
MODEL = "onnx/model.onnx"

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
class Graph:
    """One ONNX file: its precision, opset, size and hash."""

    precision: str
    opset: int
    bytes: int
    sha256: str

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From one item of ``files``; raises BadBundle."""
        return cls(
            precision=fields.text("precision"),
            opset=fields.integer("opset", low=1),
            bytes=fields.integer("bytes"),
            sha256=fields.sha256("sha256"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison of a form of the network with torch in float64, on the same inputs.

    ``agree`` of ``of`` have the same largest output; both are None where outputs are no classes.
    """

    form: str
    inputs: str
    batch: int
    samples: int
    relative_to_max: float
    relative_mean: float
    agree: int | None
    of: int | None

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From one item of ``certificate.network``; raises BadBundle."""
        return cls(
            form=fields.text("form"),
            inputs=fields.text("inputs"),
            batch=fields.integer("batch", low=1),
            samples=fields.integer("samples", low=1),
            relative_to_max=fields.number("relative_to_max", low=0),
            relative_mean=fields.number("relative_mean", low=0),
            agree=fields.integer_or_null("agree"),
            of=fields.integer_or_null("of"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one form of the network took for a batch, in ms, on one machine and its threads."""

    engine: str
    provider: str
    dtype: str
    batch: int
    median_ms: float
    p95_ms: float
    machine: str
    threads: int

    @classmethod
    def read(cls, fields: Fields, machine: Fields) -> Self:
        """From one item of ``latency.rows``; raises BadBundle."""
        return cls(
            engine=fields.text("engine"),
            provider=fields.text("provider"),
            dtype=fields.text("dtype"),
            batch=fields.integers("shape")[0],
            median_ms=fields.number("median_ms", low=0),
            p95_ms=fields.number("p95_ms", low=0),
            machine=_processor(machine),
            threads=machine.integer("threads", low=1),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An ONNX export.

    Attributes:
        weights_sha256: of the weights it was made from.
        input, output: of every file.
        shortest: least extent of each free axis.
        graphs: the files, by name in the bundle.
        lowering: from each layer to the form it was written in.
        tolerances: largest error of each precision.
        computed: how each precision was run.
        checks: of the certificate, end to end.
        onnxruntime, provider: what ran them.
        timings: what `dashzoo bench --save` measured; empty before.
    """

    weights_sha256: str
    input: Port
    output: Port
    shortest: Mapping[str, int]
    graphs: Mapping[str, Graph]
    lowering: Mapping[str, str]
    tolerances: Mapping[str, float]
    computed: Mapping[str, str]
    checks: tuple[Check, ...]
    onnxruntime: str
    provider: str
    timings: tuple[Timing, ...]

    @property
    def latency(self) -> Timing | None:
        """ONNX Runtime's time for one sample in float32, on the CPU if it was measured there."""
        found = [
            timing
            for timing in self.timings
            if (timing.engine, timing.dtype, timing.batch) == ("onnxruntime", "fp32", 1)
        ]
        return min(found, key=lambda timing: timing.provider != "cpu", default=None)

    @property
    def main(self) -> Graph:
        """The file in float32."""
        return self.graphs[MODEL]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From ``onnx/export.json``; raises BadBundle."""
        version = fields.values.get("schema_version")
        if version == 1 and not isinstance(version, bool):
            raise BadBundle(
                f"{fields.file} is of an older dashzoo and proves less than a card tells; run "
                "'dashzoo export' on the bundle again",
                field=f"{fields.file}:schema_version",
            )
        fields.one_of("schema_version", (SCHEMA_VERSION,))
        files, lowering, runtime, proof = map(
            fields.inside, ("files", "lowering", "runtime", "certificate")
        )
        tolerances, computed = proof.inside("tolerances"), proof.inside("computed")
        graphs = {name: Graph.read(files.inside(name)) for name in files.values}
        if MODEL not in graphs:
            files.fail(MODEL, "an object")
        for graph in graphs.values():
            computed.text(graph.precision)
        shortest = fields.inside("input").inside("shortest")
        return cls(
            weights_sha256=fields.sha256("weights_sha256"),
            input=Port.read(fields.inside("input")),
            output=Port.read(fields.inside("output")),
            shortest={axis: shortest.integer(axis, low=1) for axis in shortest.values},
            graphs=graphs,
            lowering={name: lowering.inside(name).text("form") for name in lowering.values},
            tolerances={
                graph.precision: tolerances.inside(graph.precision).number("largest", low=0)
                for graph in graphs.values()
            },
            computed={name: computed.text(name) for name in computed.values},
            checks=tuple(map(Check.read, proof.each("network"))),
            onnxruntime=runtime.text("onnxruntime"),
            provider=runtime.text("provider"),
            timings=_timings(fields),
        )


def _timings(fields: Fields) -> tuple[Timing, ...]:
    if fields.values.get("latency") is None:
        return ()
    latency = fields.inside("latency")
    machine = latency.inside("machine")
    return tuple(Timing.read(row, machine) for row in latency.each("rows"))


def _processor(machine: Fields) -> str:
    if gpu := machine.text_or_null("gpu"):
        return gpu
    if machine.values.get("processor") == "":  # not every system names it
        return "a processor without a name"
    return machine.text("processor")


def _is_axis(axis: object) -> bool:
    if isinstance(axis, str):
        return bool(axis.strip())
    return isinstance(axis, int) and not isinstance(axis, bool) and 0 < axis < 2**63
