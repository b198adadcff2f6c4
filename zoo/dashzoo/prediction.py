"""What a bundle's network foretells of raw samples, by torch or by ONNX Runtime."""

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
from dashzoo_search.tasks.kinds import KINDS, Kind
from dashzoo_search.training.metrics import predict as forward

__all__ = ["Runtime", "as_labels", "predict"]

Runtime = Literal["torch", "onnx"]

_BATCH = 256


def predict(
    folder: str | PathLike[str], X: ArrayLike, *, runtime: Runtime = "torch"
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """What the network foretells of raw samples.

    Args:
        folder: of the bundle.
        X: samples [n, c, l] or [n, c, h, w], as the training data was, not normalised.
        runtime: ``"torch"`` or ``"onnx"``.

    Returns:
        A prediction for each sample, and the names along its second axis. By kind of problem:

        - classification: probabilities [n, classes],
        - dense_labels: the same at every position, [n, classes, *size],
        - multilabel: the probability of each label, [n, labels],
        - regression: the numbers [n, outputs],
        - dense_regression: the same at every position, [n, outputs, *size].

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
    return _foretold(outputs.astype(np.float64), config.kind), config.label_names


def as_labels(
    values: NDArray[np.float64], names: tuple[str, ...], kind: Kind
) -> NDArray[np.str_] | NDArray[np.int64] | NDArray[np.float64]:
    """What `predict` gives, in the layout of the labels the network was trained on.

    >>> as_labels(np.array([[0.1, 0.9]]), ("gun", "point"), "classification").tolist()
    ['point']
    """
    if kind == "classification":
        labels: NDArray[np.str_] = np.array(names, np.str_)[values.argmax(1)]
        return labels
    if kind == "dense_labels":
        return np.asarray(values.argmax(1), np.int64)
    return (values > 0.5).astype(np.int64) if kind == "multilabel" else values


def _foretold(outputs: NDArray[np.float64], kind: Kind) -> NDArray[np.float64]:
    if KINDS[kind].classes:
        powers = np.exp(outputs - outputs.max(1, keepdims=True))
        shares: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
        return shares
    return (1 + np.tanh(outputs / 2)) / 2 if kind == "multilabel" else outputs


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
