"""The int8 form of a float32 graph: static, per channel, with quantise–dequantise pairs.

Weights are symmetric int8, activations unsigned with a zero of their own, biases float32: what the
integer kernels of CPUs take. ONNX Runtime makes signed activations unsigned by itself, but not
where a result is used twice, so that a residual network would stay in float there. TensorRT takes
signed activations only: use fp16 on a GPU.

The range of an activation is that of its extremes, or of all but the outermost: heavy tails want
the latter, fields whose extremes matter the former. Some are made, and the one nearest to the float
model on the calibration samples is kept.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from dashzoo_export.parity import TOLERANCES
from dashzoo_export.session import open_session, require_runtime

__all__ = ["CALIBRATION_SAMPLES", "quantized"]

# Of 128, the sharpest fronts of Burgers' equation are cut, and err six times as much.
CALIBRATION_SAMPLES = 512
KEPT = (99.999, 99.9)  # percent of an activation, where its tails are cut
MEMORY = 2**30  # bytes
ENOUGH = 0.7  # of what the certificate tolerates, as it looks at other samples
_FEWEST = 32
_BATCH = 16


def quantized(
    model: onnx.ModelProto, samples: NDArray[np.float32], *, wide: Collection[str]
) -> onnx.ModelProto:
    """``model`` in int8, with the ranges of activations that suit ``samples`` best.

    Where that errs by much, the first one, two, four, … convolutions stay in float32, up to half
    of all: they see the finest differences.

    Args:
        model: float32.
        samples: real ones [n, c, …].
        wide: names of the nodes that stay in float32.

    Raises:
        MissingRuntime: onnxruntime is not installed.
    """
    require_runtime()
    wanted = _outputs(model, samples)
    convs = [node.name for node in model.graph.node if node.op_type == "Conv"]
    found, least = _best_ranges(model, samples, wide, wanted)
    for first in (2**n for n in range(len(convs).bit_length() - 1)):
        if least <= ENOUGH:
            break
        one, error = _best_ranges(model, samples, {*wide, *convs[:first]}, wanted)
        if error < least:
            found, least = one, error
    return found


def _best_ranges(
    model: onnx.ModelProto,
    samples: NDArray[np.float32],
    wide: Collection[str],
    wanted: NDArray[np.float64],
) -> tuple[onnx.ModelProto, float]:
    """The model that errs least on average, and its error as a share of what is tolerated."""
    from onnxruntime.quantization import CalibrationMethod

    made = [_calibrated(model, samples, wide, CalibrationMethod.MinMax)]
    # Histograms are made of all activations at once, which large networks have no room for.
    some = samples[: MEMORY // _activation_bytes(model, samples.shape[2:])]
    for kept in KEPT if len(some) >= min(_FEWEST, len(samples)) else ():
        how = CalibrationMethod.Percentile
        made.append(_calibrated(model, some, wide, how, CalibPercentile=kept))
    errors = [np.abs(_outputs(one, samples) - wanted) for one in made]
    best = min(range(len(made)), key=lambda i: float(errors[i].mean()))
    scale, tolerated = float(np.abs(wanted).max()) or 1.0, TOLERANCES["int8"]
    largest, mean = float(errors[best].max()) / scale, float(errors[best].mean()) / scale
    return made[best], max(largest / tolerated.largest, mean / tolerated.mean)


def _activation_bytes(model: onnx.ModelProto, size: tuple[int, ...]) -> int:
    """Of all that a sample of ``size`` leaves between nodes, in float32."""
    inferred = onnx.shape_inference.infer_shapes(model)
    total = 4 * math.prod(size)
    for value in inferred.graph.value_info:
        sides = value.type.tensor_type.shape.dim
        total += 4 * math.prod(side.dim_value or max(size) for side in list(sides)[1:])
    return total


def _outputs(model: onnx.ModelProto, samples: NDArray[np.float32]) -> NDArray[np.float64]:
    session = open_session(model.SerializeToString())
    parts = (samples[i : i + _BATCH] for i in range(0, len(samples), _BATCH))
    found: list[NDArray[np.float32]] = [session.run(None, {"input": x})[0] for x in parts]
    return np.concatenate(found).astype(np.float64)


def _calibrated(
    model: onnx.ModelProto,
    samples: NDArray[np.float32],
    wide: Collection[str],
    method: Any,
    **options: float,
) -> onnx.ModelProto:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # it has no types
        def __init__(self) -> None:
            # Batches of one size, as histograms want them.
            size = max(n for n in range(1, _BATCH + 1) if len(samples) % n == 0)
            parts = range(0, len(samples), size)
            self.batches = iter([{"input": samples[i : i + size]} for i in parts])

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
            calibrate_method=method,
            extra_options={"QuantizeBias": False, **options},
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


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the tool's advice and progress off the user's terminal."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
