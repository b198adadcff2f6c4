"""ONNX Runtime sessions that run on the provider they were asked to run on, or refuse."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashzoo_export.providers import CPU, require_runtime, short_name, start, trouble
from dashzoo_search.errors import BadBundle, DashzooError, MissingProvider

__all__ = ["CPU", "open_session", "require_runtime"]


def open_session(
    model: Path | bytes,
    *,
    provider: str = CPU,
    threads: int | None = None,
    config: Mapping[str, str] | None = None,
) -> Any:
    """An `onnxruntime.InferenceSession` on ``provider``, every node of it.

    Args:
        model: a file, or its bytes.
        provider: ``cpu``, ``cuda`` or ``tensorrt``, or the runtime's own name of one.
        threads: cores for one operator; None lets the runtime decide.
        config: session configuration entries, by the runtime's names.

    Raises:
        MissingRuntime: onnxruntime is not installed.
        MissingProvider: the provider does not run here.
        BadBundle: the model does not load, or holds a node the provider has no kernel for.
    """
    runtime = require_runtime()
    short = short_name(provider)
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised
    if threads is not None:
        options.intra_op_num_threads = threads
    for key, value in (config or {}).items():
        options.add_session_config_entry(key, value)
    where = "The ONNX model" if isinstance(model, bytes) else str(model)
    try:
        if isinstance(model, Path) and not model.is_file():
            raise BadBundle(f"{where} is not there; run 'dashzoo export' again", field="onnx")
        return start(model if isinstance(model, bytes) else str(model), short, options)
    except BadBundle:
        raise
    except Exception as error:
        if short != "cpu" and (reason := trouble(short)):
            raise MissingProvider(reason) from error
        if isinstance(error, DashzooError):
            raise
        raise BadBundle(
            f"{where} does not load on {short} ({error}); run 'dashzoo export' again", field="onnx"
        ) from error
