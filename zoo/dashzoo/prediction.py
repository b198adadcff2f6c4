"""Class probabilities of a bundle's network for raw samples, by torch or by ONNX Runtime."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from dashzoo.loading import load_with_config
from dashzoo.steps.before import require
from dashzoo_export.bundle import ONNX
from dashzoo_export.config import NetworkConfig, read_config
from dashzoo_export.session import open_session
from dashzoo_search.errors import BadData
from dashzoo_search.training.metrics import predict as forward

__all__ = ["Runtime", "predict"]

Runtime = Literal["torch", "onnx"]

_BATCH = 256


def predict(
    folder: str | PathLike[str], X: ArrayLike, *, runtime: Runtime = "torch"
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Class probabilities for raw samples.

    Args:
        folder: of the bundle.
        X: samples [n, c, l] or [n, c, h, w], as the training data was, not normalised.
        runtime: ``"torch"`` or ``"onnx"``.

    Returns:
        Probabilities [n, classes], and the classes' labels.

    Raises:
        BadData: samples of another shape or type, or with NaN or inf.
        BadBundle: the bundle does not load, or has no ONNX model.
        MissingRuntime: ONNX Runtime is wanted and not installed.
    """
    bundle = Path(folder)
    if runtime == "torch":
        net, config = load_with_config(bundle)
        outputs = forward(net, torch.from_numpy(_check(X, config)), batch_size=_BATCH).numpy()
    else:
        config = read_config(bundle)
        samples = _check(X, config)
        require(bundle, "export")
        session = open_session(bundle / ONNX)
        parts = (samples[i : i + _BATCH] for i in range(0, len(samples), _BATCH))
        outputs = np.concatenate([session.run(None, {"input": part})[0] for part in parts])
    logits = outputs.astype(np.float64)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True), config.label_names


def _check(X: ArrayLike, config: NetworkConfig) -> NDArray[np.float32]:
    raw = np.asarray(X)
    wanted = [config.in_chans, *config.size]
    takes = ", ".join(map(str, wanted))
    if raw.dtype.kind not in "fiub":
        raise BadData(f"The samples hold {raw.dtype} values; give real numbers")
    if list(raw.shape[1:]) != wanted or not len(raw):
        hint = "; add a batch axis: X[None]" if list(raw.shape) == wanted else ""
        raise BadData(
            f"The samples have shape {list(raw.shape)}, this model takes [n, {takes}]{hint}"
        )
    with np.errstate(over="ignore"):
        samples = np.ascontiguousarray(raw, dtype=np.float32)
    if not np.isfinite(samples).all():
        raise BadData("The samples hold NaN, inf, or a number beyond float32; fill or drop them")
    return samples
