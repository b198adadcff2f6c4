"""``onnx/``: a network's ONNX files and export.json, which says what they are and proves it.

Everything is made and compared in memory. Files are written when all of them hold, export.json
last, so that a folder which has it is whole.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from dashzoo_export.bundle import EXPORT, ONNX, invalidate, sha256_file, write_atomically, write_json
from dashzoo_export.certificate import Form, certify_layers, certify_network, random_samples
from dashzoo_export.certificate import torch_forms
from dashzoo_export.graph import PORTABLE, check_graph, op_types, port
from dashzoo_export.lower import Lowered, Lowering, LoweringCosts, lower
from dashzoo_export.onnx import OPSET, Traced, set_metadata, trace
from dashzoo_export.parity import TOLERANCES
from dashzoo_export.precision import OPSETS, carried_in_float32, narrowed
from dashzoo_export.quantize import CALIBRATION_SAMPLES, quantized
from dashzoo_export.serving import Outputs, Served
from dashzoo_export.session import CPU, open_session, require_runtime
from dashzoo_export.sizes import Size, require_free, shortest
from dashzoo_search.errors import BadBundle, BadData
from dashzoo_search.networks.fno import SpectralConv
from dashzoo_search.networks.searched import SearchedNet

__all__ = ["PRECISIONS", "SCHEMA_VERSION", "Request", "certify", "export_onnx", "model_path"]

SCHEMA_VERSION = 2
PRECISIONS = tuple(TOLERANCES)

Samples = NDArray[np.float32]


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
        BadData: a precision nobody knows.
    """

    lowering: Lowering = "auto"
    costs: LoweringCosts = dataclasses.field(default_factory=LoweringCosts)
    precisions: tuple[str, ...] = ("fp32",)
    dynamic: tuple[str, ...] = ()
    outputs: Outputs = "raw"
    pad: bool = False

    def __post_init__(self) -> None:
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
            values = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
            return cls(**{**values, "costs": LoweringCosts(**values["costs"])})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadBundle(
                f"{EXPORT} asks for nothing we know ({error}); export again", field="request"
            ) from error


def model_path(precision: str) -> str:
    """Where the file of a precision is in a bundle.

    >>> model_path("fp32"), model_path("fp16")
    ('onnx/model.onnx', 'onnx/model.fp16.onnx')
    """
    return ONNX if precision == "fp32" else f"onnx/model.{precision}.onnx"


def export_onnx(
    net: SearchedNet,
    folder: Path,
    *,
    size: Size,
    metadata: Mapping[str, str],
    weights: Path,
    request: Request | None = None,
    samples: Samples | None = None,
    calibration: Samples | None = None,
    classes: bool = True,
) -> dict[str, Any]:
    """Write ``onnx/`` into ``folder``: the models and export.json, or nothing.

    Args:
        net: on the CPU, in eval mode.
        folder: of the bundle; what is in its ``onnx/`` is replaced.
        size: of a raw sample, (l,) or (h, w).
        metadata: written into the models, such as backbone, kernels and labels.
        weights: the safetensors file ``net`` was saved as; its hash goes into all files.
        request: what is to be exported; None takes the defaults.
        samples: real samples [n, c, …] to compare on beside random ones.
        calibration: others, of which int8 takes its ranges.
        classes: whether outputs are those of classes, see `compare`.

    Returns:
        What export.json holds.

    Raises:
        MissingRuntime: onnxruntime is not installed.
        ParityFailed: ONNX Runtime computes something else than torch.
        UnsupportedLayer: the network cannot be exported as requested.
        BadData: int8 is wanted and there is nothing to calibrate it with.
    """
    runtime = require_runtime()
    request = request or Request()
    if "int8" in request.precisions and (calibration is None or not len(calibration)):
        raise BadData("int8 is calibrated on the task's data, which is not there; leave int8 out")
    chain = Chain.of(net, size, request)
    traced = trace(chain.lowered_as_served, size=size, free=chain.free)
    digest = sha256_file(weights)
    metadata = {
        **metadata,
        "weights_sha256": digest,
        "outputs": request.outputs,
        "lowering": ", ".join(sorted({layer.form for layer in chain.lowered.layers.values()})),
    }
    models = {}
    for precision in request.precisions:
        model = _in(precision, traced, calibration)
        set_metadata(model, {**metadata, "precision": precision})
        check_graph(model, _opset(precision))
        models[precision] = model
    data = {precision: model.SerializeToString() for precision, model in models.items()}
    proof = certify(chain, data, real=samples, classes=classes)
    report = {
        "schema_version": SCHEMA_VERSION,
        "weights_sha256": digest,
        "request": request.to_json(),
        "input": {**port(traced.model.graph.input[0]), "shortest": dict(chain.free)},
        "output": port(traced.model.graph.output[0]),
        "files": {},
        "lowering": {name: layer.to_json() for name, layer in chain.lowered.layers.items()},
        "certificate": proof,
        "runtime": {"onnxruntime": runtime.__version__, "provider": CPU},
        "latency": None,
    }
    invalidate(folder, "onnx")
    try:
        for precision, content in data.items():
            name = model_path(precision)
            write_atomically(folder / name, content)
            found = op_types(models[precision])
            report["files"][name] = {
                "precision": precision,
                "opset": _opset(precision),
                "bytes": len(content),
                "sha256": sha256_file(folder / name),
                "operators": found,
                "portable": PORTABLE.issuperset(found),
            }
        write_json(folder / EXPORT, report)
    except BaseException:
        invalidate(folder, "onnx")
        raise
    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A network on its way to ONNX.

    Attributes:
        net: as it was folded.
        lowered: as it is exported.
        size: of a sample of the network's.
        free: axes that may vary, each with its least extent.
        request: what was asked for.
    """

    net: SearchedNet
    lowered: Lowered
    size: Size
    free: Mapping[str, int]
    request: Request

    @classmethod
    def of(cls, net: SearchedNet, size: Size, request: Request) -> Chain:
        """Lower ``net`` as requested.

        Raises:
            UnsupportedLayer, BadData: it cannot be, or not so.
        """
        free: dict[str, int] = {}
        if request.pad:
            if request.dynamic or net.dims != 1 or net.in_chans < 2:
                raise BadData(
                    "Only sequences with a channel that tells where they are real are padded, and "
                    "to one length; leave --pad or --dynamic out"
                )
            free = {"length": 1}
        else:
            require_free(net, request.dynamic)
            free = {axis: shortest(net, size, axis) for axis in request.dynamic}
        lowered = lower(
            net,
            size,
            lowering=request.lowering,
            costs=request.costs,
            dynamic=bool(request.dynamic),
        )
        return cls(net=net, lowered=lowered, size=size, free=free, request=request)

    @property
    def served(self) -> Served:
        """The folded network, as its users call it."""
        return self._serve(self.net)

    @property
    def lowered_as_served(self) -> Served:
        """The lowered network, likewise."""
        return self._serve(self.lowered.network)

    def _serve(self, net: SearchedNet) -> Served:
        pad = self.size[0] if self.request.pad else None
        return Served(net, pad=pad, outputs=self.request.outputs)


def certify(
    chain: Chain, models: Mapping[str, bytes], *, real: Samples | None, classes: bool
) -> dict[str, Any]:
    """Prove that ``models`` compute what ``chain.net`` does; see `certificate`.

    Args:
        chain: the network.
        models: ONNX files, by precision.
        real: samples [n, c, …] of the network's size; None where there are none.
        classes: see `compare`.

    Raises:
        ParityFailed: they do not.
        BadBundle: one does not load.
    """
    served, lowered = chain.served, chain.lowered_as_served
    if real is not None and chain.request.pad:
        real = real[:, :-1]
    forms, computed = torch_forms(served, lowered), {}
    for precision, data in models.items():
        run, computed[precision] = _runner(precision, data)
        forms.append(Form(name=precision, tolerance=TOLERANCES[precision], run=run))
    names = [
        *(name for name in chain.lowered.layers if name in chain.net.spec.layers),
        *(name for name in chain.lowered.fixed if name not in chain.net.spec.layers),
        *(n for n, layer in chain.net.backbone.named_modules() if isinstance(layer, SpectralConv)),
    ]
    x = real if real is not None and len(real) else random_samples(served, chain.size, 3)
    return {
        "reference": "torch, float64",
        "tolerances": {name: dataclasses.asdict(TOLERANCES[name]) for name in models},
        "computed": computed,
        "layers": certify_layers(served, lowered, names, x[:3]),
        "network": certify_network(
            served, forms, size=chain.size, free=chain.free, real=real, classes=classes
        ),
    }


def _opset(precision: str) -> int:
    return OPSETS[precision] if precision in OPSETS else OPSET  # type: ignore[index]


def _in(precision: str, traced: Traced, calibration: Samples | None) -> onnx.ModelProto:
    if precision == "fp32":
        return traced.model
    if precision == "int8":
        assert calibration is not None  # checked before anything was made
        return quantized(traced.model, calibration[:CALIBRATION_SAMPLES], wide=traced.wide)
    return narrowed(traced.model, precision, wide=traced.wide)  # type: ignore[arg-type]


def _runner(precision: str, data: bytes) -> tuple[Callable[[Samples], NDArray[Any]], str]:
    """What runs a model, and in words how."""
    how = "as it is"
    try:
        session = open_session(data)
    except BadBundle:
        if precision != "bf16":
            raise
        # The provider has no bfloat16 kernels; the file's weights and roundings can be held all
        # the same.
        session = open_session(carried_in_float32(onnx.load_from_string(data)).SerializeToString())
        how = (
            "operator by operator in float32, rounded to bfloat16 in between: the provider has no "
            "bfloat16"
        )
    return partial(_run, session), how


def _run(session: Any, x: Samples) -> NDArray[Any]:
    (y,) = session.run(None, {"input": x})
    found: NDArray[Any] = y
    return found
