"""From a `SearchedNet` to one ONNX file that provably computes the same.

Opset 18, dynamic batch, fixed sample size, weights inside the file. A sequence is a plane of
height 1 inside the network, so its convolutions are 4-D, which the runtimes compute fastest; the
only ops around them are one Unsqueeze and the normalisation.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from dashzoo_export.bundle import EXPORT, ONNX, sha256_file, write_atomically, write_json
from dashzoo_export.parity import TOLERANCE, compare_with_session
from dashzoo_export.session import CPU, open_session, require_runtime
from dashzoo_search.errors import DashzooError, ParityFailed
from dashzoo_search.networks.searched import SearchedNet

__all__ = ["OPSET", "export_onnx", "to_onnx"]

OPSET = 18
BATCHES = (1, 3)
_ONE_FILE = 1_500_000_000


def export_onnx(
    net: SearchedNet,
    folder: Path,
    *,
    size: tuple[int, ...],
    metadata: Mapping[str, str],
    weights: Path,
    samples: NDArray[np.float32] | None = None,
    classes: bool = True,
) -> dict[str, Any]:
    """Write ``onnx/model.onnx`` and ``onnx/export.json`` into ``folder``, or neither.

    Args:
        net: on the CPU, in eval mode.
        folder: of the bundle.
        size: of a raw sample, (l,) or (h, w).
        metadata: written into the model, such as backbone, kernels and labels.
        weights: the safetensors file ``net`` was saved as; its hash goes into both files.
        samples: real samples [n, c, …] to compare on beside random ones.
        classes: whether outputs are those of classes, see `compare`.

    Returns:
        What export.json holds.

    Raises:
        MissingRuntime: onnxruntime is not installed.
        ParityFailed: ONNX Runtime computes something else than torch.
    """
    runtime = require_runtime()
    digest = sha256_file(weights)
    model = to_onnx(net, size=size, metadata={**metadata, "weights_sha256": digest})
    data = model.SerializeToString()
    session = open_session(data)
    inputs = {"random": _random_samples(net, size, max(BATCHES))}
    if samples is not None:
        inputs["real"] = samples
    checks = [
        compare_with_session(net, session, x[:batch], inputs=kind, classes=classes)
        for kind, x in inputs.items()
        for batch in BATCHES
        if len(x) >= batch
    ]
    write_atomically(folder / ONNX, data)
    report = {
        "schema_version": 1,
        "opset": OPSET,
        "bytes": len(data),
        "sha256": sha256_file(folder / ONNX),
        "weights_sha256": digest,
        "input": _value_info(model.graph.input[0]),
        "output": _value_info(model.graph.output[0]),
        "lowering": dict.fromkeys(net.spec.layers, "conv"),
        "parity": {"tolerance": TOLERANCE, "checks": [check.to_json() for check in checks]},
        "runtime": {"onnxruntime": runtime.__version__, "provider": CPU},
        "latency": None,
    }
    write_json(folder / EXPORT, report)
    return report


def to_onnx(
    net: SearchedNet, *, size: tuple[int, ...], metadata: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """Lower ``net`` to an ONNX model with a dynamic batch.

    Args:
        net: on the CPU.
        size: of a raw sample, (l,) or (h, w).
        metadata: key → value, kept in the model.

    Raises:
        ParityFailed: the exporter did not give opset 18, or an invalid model.
        DashzooError: the network is too large for one file.
    """
    if (total := sum(t.numel() * t.element_size() for t in net.state_dict().values())) > _ONE_FILE:
        raise DashzooError(f"{total / 1e9:.1f} GB of weights do not fit one ONNX file of 1.5 GB")
    with _silence():
        program = torch.onnx.export(
            net.eval(),
            (net.example_input(size, batch=2),),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=["input"],
            output_names=["output"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None  # None only when it writes a file
    model = program.model_proto
    _strip(model)
    onnx.helper.set_model_props(model, dict(metadata or {}))
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets.get("") != OPSET:
        raise ParityFailed(f"The exporter gave opset {opsets}, not {OPSET}")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ParityFailed(f"The exported model is invalid: {error}") from error
    return model


def _strip(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes about this machine: stack traces and local paths."""
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.doc_string = ""
    del graph.metadata_props[:]
    for part in (graph.node, graph.value_info, graph.input, graph.output, graph.initializer):
        for item in part:
            item.doc_string = ""
            del item.metadata_props[:]


def _value_info(value: onnx.ValueInfoProto) -> dict[str, Any]:
    tensor = value.type.tensor_type
    return {
        "name": value.name,
        "shape": [d.dim_param or d.dim_value for d in tensor.shape.dim],
        "dtype": onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name,
    }


def _random_samples(net: SearchedNet, size: tuple[int, ...], count: int) -> NDArray[np.float32]:
    mean, std = (t.cpu().numpy() for t in net.preprocess.like(net.example_input(size)))
    noise = np.random.default_rng(0).standard_normal((count, net.in_chans, *size))
    return (mean + std * noise).astype(np.float32)


@contextlib.contextmanager
def _silence() -> Any:
    """Keep the exporter's progress lines and its warnings about itself off the user's terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
