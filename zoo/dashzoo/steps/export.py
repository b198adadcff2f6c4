"""Step three: a trained network in, ``onnx/`` with a model and its certificate out."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo.loading import load_with_config
from dashzoo.steps.before import require
from dashzoo.workfiles import SearchRecord
from dashzoo_export.bundle import WEIGHTS, invalidate
from dashzoo_export.onnx import export_onnx
from dashzoo_export.session import require_runtime
from dashzoo_search.errors import DashzooError
from dashzoo_search.tasks.kinds import KINDS

__all__ = ["export"]


def export(folder: str | PathLike[str]) -> dict[str, Any]:
    """Lower a trained network to ONNX and compare; writes ``onnx/``.

    Args:
        folder: where `train` was.

    Returns:
        What onnx/export.json holds: lowering per layer, errors against torch.

    Raises:
        DashzooError: in one sentence; nothing that looks whole is left.
    """
    folder = Path(folder)
    require(folder, "train")
    require_runtime()
    net, config = load_with_config(folder)
    metadata = {
        "producer": "dashzoo",
        "backbone": config.backbone,
        "kind": config.kind,
        "kernels": json.dumps(config.kernels.to_json()),
        "labels": json.dumps(config.label_names, ensure_ascii=False),
        "mean": json.dumps(net.preprocess.mean.tolist()),
        "std": json.dumps(net.preprocess.std.tolist()),
    }
    samples = _real_samples(folder)
    invalidate(folder, "onnx")
    return export_onnx(
        net,
        folder,
        size=config.size,
        metadata=metadata,
        weights=folder / WEIGHTS,
        samples=samples,
        classes=KINDS[config.kind].classes,
    )


def _real_samples(folder: Path) -> NDArray[np.float32] | None:
    """Some validation samples, where the task can still be loaded."""
    try:
        return SearchRecord.read(folder).task(folder).val.X[:3]
    except DashzooError:  # the data may be gone or changed; random samples remain
        return None
