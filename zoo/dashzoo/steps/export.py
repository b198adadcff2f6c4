"""Step three: a trained network in, ``onnx/`` with models and their certificate out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo.catalogue import find
from dashzoo.loading import load_with_config
from dashzoo.steps.before import require
from dashzoo.steps.task import task_of
from dashzoo.workfiles import SearchRecord
from dashzoo_export.artifact import export_onnx
from dashzoo_export.bundle import CONFIG, RESULTS, WEIGHTS, WORK, invalidate
from dashzoo_export.certificate import VALIDATION_SAMPLES
from dashzoo_export.config import NetworkConfig
from dashzoo_export.draft import new_folder
from dashzoo_export.lower import Lowering, lowering_costs
from dashzoo_export.providers import Provider
from dashzoo_export.quantize import CALIBRATION_SAMPLES
from dashzoo_export.request import Request
from dashzoo_export.session import require_runtime
from dashzoo_search.errors import BadData
from dashzoo_search.networks.searched import ARCHITECTURE, SearchedNet
from dashzoo_search.rows import Array
from dashzoo_search.tasks.kinds import KINDS

__all__ = ["description", "export", "some"]


def export(
    name: str | PathLike[str],
    *,
    out: str | PathLike[str] | None = None,
    lowering: Lowering = "auto",
    provider: Provider = "cpu",
    precisions: Sequence[str] = ("fp32",),
    dynamic: Sequence[str] = (),
    softmax: bool = False,
    any_length: bool = False,
    measure: bool = False,
) -> dict[str, Any]:
    """Lower a trained network to ONNX and prove it; writes ``onnx/``.

    Args:
        name: the folder where `train` was; or a model as `load` takes it, with ``out``.
        out: a new folder that gets the trained network, and its models; None takes that of
            ``name``.
        lowering: form of the convolutions, ``"auto"`` being the cheapest for each.
        provider: what the models are to run on, whose costs decide; see `lowering_costs`.
        precisions: files to write, of ``"fp32"`` (always written), ``"fp16"``, ``"bf16"`` and
            ``"int8"``.
        dynamic: axes that are to be free beside the batch: ``"length"``, or ``"height"`` and
            ``"width"``.
        softmax: tell probabilities: of classes by softmax, of labels by sigmoid.
        any_length: take sequences of any length, padded or cut in the graph as the task's were.
        measure: time every layer on ``provider``, in its form and as an ordinary convolution.

    Returns:
        What onnx/export.json holds: files, lowering per layer, the certificate.

    Raises:
        DashzooError: in one sentence; nothing that looks whole is left.
    """
    require_runtime()
    found = find(name)
    folder = found.own() if out is None else found.folder
    require(folder, "train")
    if out is not None:
        folder = _copied(folder, Path(out))
    net, config = load_with_config(folder)
    task = task_of(folder)
    request = Request(
        lowering=lowering,
        costs=lowering_costs(provider),
        precisions=tuple(precisions),
        dynamic=tuple(dynamic),
        outputs=_outputs(config) if softmax else "raw",
        pad=_padded(folder) if any_length else False,
    )
    invalidate(folder, "onnx")
    return export_onnx(
        net,
        folder,
        size=config.size,
        metadata=description(net, config),
        weights=folder / WEIGHTS,
        request=request,
        samples=None if task is None else some(task.val.X, VALIDATION_SAMPLES),
        calibration=None if task is None else some(task.train.X, CALIBRATION_SAMPLES),
        classes=KINDS[config.kind].classes,
        timed_on=provider if measure else None,
    )


def _copied(folder: Path, out: Path) -> Path:
    """What `train` left in ``folder``, and the search before it, in a folder of its own."""
    with new_folder(out, force=False) as draft:
        for name in (CONFIG, WEIGHTS, RESULTS):
            shutil.copyfile(folder / name, draft / name)
        if SearchRecord.is_in(folder):
            shutil.copytree(folder / WORK, draft / WORK)
    return out


def description(net: SearchedNet, config: NetworkConfig) -> dict[str, str]:
    """What a model says of the network it was made from."""
    return {
        "producer": "dashzoo",
        "architecture": ARCHITECTURE,
        "backbone": config.backbone,
        "kind": config.kind,
        "kernels": json.dumps(config.kernels.to_json()),
        "labels": json.dumps(config.label_names, ensure_ascii=False),
        "mean": json.dumps(net.preprocess.mean.tolist()),
        "std": json.dumps(net.preprocess.std.tolist()),
    }


def some(X: Array, count: int) -> NDArray[np.float32]:
    """At most ``count`` of the samples, evenly spread over them all."""
    index = np.arange(len(X)) if len(X) <= count else np.linspace(0, len(X) - 1, count).astype(int)
    samples: NDArray[np.float32] = X[index]
    return samples


def _outputs(config: NetworkConfig) -> Any:
    if KINDS[config.kind].classes:
        return "softmax"
    if config.kind == "multilabel":
        return "sigmoid"
    raise BadData(
        f"The outputs of {config.kind} are numbers, no probabilities; leave --softmax out"
    )


def _padded(folder: Path) -> bool:
    said = SearchRecord.read(folder).data_options if SearchRecord.is_in(folder) else {}
    lengths = said.get("lengths")
    if lengths == "pad":
        return True
    if lengths == "resample":
        raise BadData(
            "The task's sequences were resampled in float64, which no runtime does: in a graph "
            "positions are float32, off by up to the length × 6e-8 samples; resample before the "
            "model, and leave --any-length out"
        )
    raise BadData("The task's sequences are of one length; leave --any-length out")
