"""The int8 form of a float32 graph: static, per channel, with quantise–dequantise pairs.

Weights are symmetric int8, activations unsigned with a zero of their own, biases float32: what the
integer kernels of CPUs take. ONNX Runtime makes signed activations unsigned by itself, but not
where a result is used twice, so that a residual network would stay in float there. TensorRT takes
signed activations only: use fp16 on a GPU.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from dashzoo_export.session import require_runtime

__all__ = ["CALIBRATION_SAMPLES", "quantized"]

CALIBRATION_SAMPLES = 128
_BATCH = 16


def quantized(
    model: onnx.ModelProto, samples: NDArray[np.float32], *, wide: Collection[str]
) -> onnx.ModelProto:
    """``model`` in int8, calibrated on the extremes of its activations.

    Args:
        model: float32.
        samples: real ones [n, c, …].
        wide: names of the nodes that stay in float32.

    Raises:
        MissingRuntime: onnxruntime is not installed.
    """
    require_runtime()
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # it has no types
        def __init__(self) -> None:
            parts = range(0, len(samples), _BATCH)
            self.batches = iter([{"input": samples[i : i + _BATCH]} for i in parts])

        def get_next(self) -> dict[str, Any] | None:
            return next(self.batches, None)

    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        # Given the model itself, the tool moves its weights to a file.
        onnx.save(_with_own_constants(model, wide), source)
        quantize_static(
            source,
            target,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=sorted(wide),
            extra_options={"QuantizeBias": False},
        )
        return onnx.load(target)


def _with_own_constants(model: onnx.ModelProto, wide: Collection[str]) -> onnx.ModelProto:
    """A copy in which nodes that stay in float32 share no constant with others.

    Equal constants are stored once, and what one node wants quantised all of them would get so.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in copy.graph.initializer}
    shared = {name for node in copy.graph.node if node.name not in wide for name in node.input}
    for node in (node for node in copy.graph.node if node.name in wide):
        for place, name in enumerate(node.input):
            if name in constants and name in shared:
                own = copy.graph.initializer.add()
                own.CopyFrom(constants[name])
                own.name = node.input[place] = f"{node.name}.{place}"
    return copy


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the tool's advice about its own pre-processing off the user's terminal."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
