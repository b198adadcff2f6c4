"""``onnx/``: a network's ONNX files and export.json, which says what they are and proves it.

Everything is made and compared in memory. Files are written when all of them hold, export.json
last, so that a folder which has it is whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from dashzoo_export.bundle import (
    EXPORT,
    ONNX,
    invalidate,
    sha256_file,
    write_atomically,
    write_json,
)
from dashzoo_export.certificate import Samples
from dashzoo_export.chain import Chain, certify
from dashzoo_export.graph import PORTABLE, check_graph, op_types, port
from dashzoo_export.lower.timing import measure
from dashzoo_export.onnx import OPSET, Traced, set_metadata, trace
from dashzoo_export.precision import HALVES, narrowed
from dashzoo_export.providers import Provider
from dashzoo_export.quantize import CALIBRATION_SAMPLES, quantized
from dashzoo_export.request import PRECISIONS, Request
from dashzoo_export.session import CPU, require_runtime
from dashzoo_export.sizes import Size
from dashzoo_search.errors import BadData
from dashzoo_search.networks.searched import SearchedNet

__all__ = ["PRECISIONS", "SCHEMA_VERSION", "export_onnx", "model_path"]

SCHEMA_VERSION = 2


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
    timed_on: Provider | None = None,
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
        timed_on: the provider on which every layer is timed in its form, and as an ordinary
            convolution; None: none is.

    Returns:
        What export.json holds.

    Raises:
        MissingRuntime: onnxruntime is not installed.
        ParityFailed: ONNX Runtime computes something else than torch.
        UnsupportedLayer: the network cannot be exported as requested.
        UnknownDevice: there is no such provider to time on.
        BadData: int8 is wanted and there is nothing to calibrate it with.
    """
    runtime = require_runtime()
    request = request or Request()
    if "int8" in request.precisions and (calibration is None or not len(calibration)):
        raise BadData("int8 is calibrated on the task's data, which is not there; leave int8 out")
    chain = Chain.of(net, size, request)
    traced = trace(chain.lowered_as_served, size=size, free=chain.free)
    integer, integer_chain = traced, chain.in_integers()
    if "int8" in request.precisions and integer_chain is not chain:
        integer = trace(integer_chain.lowered_as_served, size=size, free=chain.free)
    lowered = chain.lowered if timed_on is None else measure(chain.lowered, provider=timed_on)
    digest = sha256_file(weights)
    metadata = {
        **metadata,
        "weights_sha256": digest,
        "outputs": request.outputs,
    }
    forms = {
        precision: _forms(integer_chain if precision == "int8" else chain)
        for precision in request.precisions
    }
    models = {}
    for precision in request.precisions:
        model = _in(precision, integer if precision == "int8" else traced, calibration)
        told = {"precision": precision, "lowering": ", ".join(forms[precision])}
        set_metadata(model, {**metadata, **told})
        check_graph(model, _opset(precision))
        models[precision] = model
    data = {precision: model.SerializeToString() for precision, model in models.items()}
    proof = certify(chain, data, real=samples, classes=classes)
    files: dict[str, Any] = {}
    report: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "weights_sha256": digest,
        "request": request.to_json(),
        "input": {**port(traced.model.graph.input[0]), "shortest": dict(chain.free)},
        "output": port(traced.model.graph.output[0]),
        "files": files,
        "lowering": {name: layer.to_json() for name, layer in lowered.layers.items()},
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
            files[name] = {
                "precision": precision,
                "lowering": forms[precision],
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


def _forms(chain: Chain) -> list[str]:
    return sorted({layer.form for layer in chain.lowered.layers.values()})


def _opset(precision: str) -> int:
    return HALVES[precision].opset if precision in HALVES else OPSET


def _in(precision: str, traced: Traced, calibration: Samples | None) -> onnx.ModelProto:
    if precision == "fp32":
        return traced.model
    if precision == "int8":
        assert calibration is not None  # checked before anything was made
        return quantized(traced.model, calibration[:CALIBRATION_SAMPLES], wide=traced.wide)
    return narrowed(traced.model, precision, wide=traced.wide)
