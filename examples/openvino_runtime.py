"""Run a bundle's ONNX model with Intel's OpenVINO, without torch.

pip install 'dashzoo[openvino]'
python examples/openvino_runtime.py BUNDLE X.npy
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import openvino


def outputs(bundle: Path, X: np.ndarray, dtype: str = "fp32") -> np.ndarray:
    """What the network gives for raw samples [n, c, …], before any softmax.

    OpenVINO may compute in bfloat16 where the processor has it; float32 is asked for.
    """
    name = "model.onnx" if dtype == "fp32" else f"model.{dtype}.onnx"
    model = openvino.compile_model(
        bundle / "onnx" / name, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return model(X.astype(np.float32))[0]


if __name__ == "__main__":
    print(outputs(Path(sys.argv[1]), np.load(sys.argv[2])))
