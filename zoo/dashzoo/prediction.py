"""What a bundle's network foretells of raw samples, by torch or by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from dashzoo.catalogue import find
from dashzoo.loading import load_with_config
from dashzoo.steps.before import require
from dashzoo_export.artifact import model_path
from dashzoo_export.bundle import EXPORT, read_json
from dashzoo_export.config import read_config
from dashzoo_export.providers import Provider
from dashzoo_export.request import PRECISIONS
from dashzoo_export.session import open_session
from dashzoo_search.errors import BadBundle, BadData
from dashzoo_search.tasks.kinds import KINDS, Kind
from dashzoo_search.training.metrics import predict as forward
from dashzoo_search.training.runtime import resolve_device

__all__ = ["Runtime", "as_labels", "least_sizes", "onnx_file", "predict"]

Runtime = Literal["torch", "onnx"]
Samples = NDArray[np.float32]

_BATCH = 256


def predict(
    name: str | PathLike[str],
    X: ArrayLike,
    *,
    runtime: Runtime = "torch",
    provider: Provider = "cpu",
    dtype: str = "fp32",
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """What the network foretells of raw samples.

    Args:
        name: of the bundle, as `load` takes it.
        X: samples [n, c, l] or [n, c, h, w], as the training data was, not normalised; of other
            sizes where the ONNX model was exported with free ones.
        runtime: ``"torch"`` or ``"onnx"``.
        provider: what it runs on: ``"cpu"``, ``"cuda"`` or, with ONNX, ``"tensorrt"``; never
            another.
        dtype: which ONNX file: ``"fp32"``, ``"fp16"``, ``"bf16"`` or ``"int8"``, where exported.

    Returns:
        A prediction for each sample, and the names along its second axis. By kind of problem:

        - classification: probabilities [n, classes],
        - dense_labels: the same at every position, [n, classes, *size],
        - multilabel: the probability of each label, [n, labels],
        - regression: the numbers [n, outputs],
        - dense_regression: the same at every position, [n, outputs, *size].

    Raises:
        BadData: samples of another shape or type, or with NaN or inf; options that do not go
            together.
        BadBundle: the bundle does not load, or has no such ONNX model.
        UnknownModel, NotFetched, HubFailed: see `load`.
        MissingRuntime: ONNX Runtime is wanted and not installed.
        MissingProvider, UnknownDevice: the provider does not run here.
    """
    bundle = find(name).folder
    if runtime == "onnx":
        return _by_onnx(bundle, X, provider, dtype)
    if provider == "tensorrt" or dtype != "fp32":
        wanted = provider if provider == "tensorrt" else dtype
        raise BadData(f"Only ONNX runs in {wanted}; add --runtime onnx")
    device = resolve_device(provider)
    net, config = load_with_config(bundle)
    samples = _check(X, [config.in_chans, *config.size], {})
    outputs = forward(net.to(device), torch.from_numpy(samples), batch_size=_BATCH)
    return _foretold(outputs.cpu().numpy(), "raw", config.kind), config.label_names


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


def onnx_file(folder: Path, dtype: str) -> Path:
    """The ONNX model of a bundle in a precision.

    Raises:
        BadData: nobody knows the precision.
        BadBundle: it was not exported.
    """
    if dtype not in PRECISIONS:
        raise BadData(f"No precision is called {dtype!r}; take one of {', '.join(PRECISIONS)}")
    require(folder, "export")
    path = folder / model_path(dtype)
    if not path.is_file():
        raise BadBundle(
            f"{folder} lacks {model_path(dtype)}; run 'dashzoo export {folder} --dtype {dtype}' "
            "first, with --out DIR where it is not yours to write into",
            field=model_path(dtype),
        )
    return path


def least_sizes(folder: Path) -> Mapping[str, int]:
    """Axes of the exported model's input that are free, and how small samples may be there.

    Raises:
        BadBundle: onnx/export.json does not say.
    """
    told = read_json(folder / EXPORT).get("input")
    least = told.get("shortest", {}) if isinstance(told, dict) else None
    if not isinstance(least, dict) or not all(isinstance(n, int) for n in least.values()):
        raise BadBundle(f"{EXPORT} is damaged: input; export again", field="input")
    return least


def _by_onnx(
    bundle: Path, X: ArrayLike, provider: Provider, dtype: str
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    config = read_config(bundle)
    session = open_session(onnx_file(bundle, dtype), provider=provider)
    samples = _check(X, session.get_inputs()[0].shape[1:], least_sizes(bundle))
    parts = (samples[i : i + _BATCH] for i in range(0, len(samples), _BATCH))
    outputs = np.concatenate([_run(session, part, bundle) for part in parts])
    told = session.get_modelmeta().custom_metadata_map.get("outputs", "raw")
    return _foretold(outputs, told, config.kind), config.label_names


def _run(session: Any, samples: Samples, bundle: Path) -> Samples:
    try:
        outputs: Samples = session.run(None, {"input": samples})[0]
    except Exception as error:  # the runtime's own exception types are not public
        raise BadBundle(
            f"The ONNX model in {bundle} does not run on {list(samples.shape)} ({error}); "
            f"run 'dashzoo export {bundle}' again",
            field="onnx",
        ) from error
    return outputs


def _foretold(outputs: NDArray[Any], told: str, kind: Kind) -> NDArray[np.float64]:
    """Outputs in the user's terms; ``told`` says whether the graph did that already."""
    values = outputs.astype(np.float64)
    if told == "raw" and KINDS[kind].classes:
        powers = np.exp(values - values.max(1, keepdims=True))
        shares: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
        return shares
    if told == "raw" and kind == "multilabel":
        return (1 + np.tanh(values / 2)) / 2
    return values


def _check(X: ArrayLike, wanted: Sequence[int | str], least: Mapping[str, int]) -> Samples:
    """``X`` as float32, of the shape [n, *wanted]; a free axis has its name there, or its least."""
    raw = np.asarray(X)
    takes = ", ".join(map(str, wanted))
    if raw.dtype.kind not in "fiub":
        raise BadData(f"The samples hold {raw.dtype} values; give real numbers")
    if not _fits(raw.shape[1:], wanted) or not len(raw):
        hint = "; add a batch axis: X[None]" if _fits(raw.shape, wanted) else ""
        raise BadData(
            f"The samples have shape {list(raw.shape)}, this model takes [n, {takes}]{hint}"
        )
    for name, size in zip(wanted, raw.shape[1:], strict=True):
        if isinstance(name, str) and size < least.get(name, 1):
            raise BadData(
                f"The samples have a {name} of {size}, this model needs {least.get(name, 1)} at "
                "least; pad them"
            )
    with np.errstate(over="ignore"):
        samples = np.ascontiguousarray(raw, dtype=np.float32)
    if not np.isfinite(samples).all():
        raise BadData("The samples hold NaN, inf, or a number beyond float32; fill or drop them")
    return samples


def _fits(shape: Sequence[int], wanted: Sequence[int | str]) -> bool:
    return len(shape) == len(wanted) and all(
        isinstance(w, str) or n == w for n, w in zip(shape, wanted, strict=True)
    )
