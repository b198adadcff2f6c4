"""ONNX Runtime sessions that run on the provider they were asked to run on, or refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dashzoo_search.errors import BadBundle, MissingRuntime, UnknownDevice

__all__ = ["CPU", "open_session", "require_runtime"]

CPU = "CPUExecutionProvider"


def require_runtime() -> Any:
    """Import onnxruntime.

    Raises:
        MissingRuntime: it is not installed; names the extra.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingRuntime("onnxruntime", "cpu") from error
    return onnxruntime


def open_session(model: Path | bytes, *, provider: str = CPU, threads: int | None = None) -> Any:
    """An `onnxruntime.InferenceSession` on ``provider``.

    ONNX Runtime falls back to the CPU without a word; this checks, and forbids it.

    Args:
        model: a file, or its bytes.
        provider: the execution provider's full name.
        threads: cores for one operator; None lets the runtime decide.

    Raises:
        MissingRuntime: onnxruntime is not installed.
        UnknownDevice: the provider is not available, or did not take the model.
        BadBundle: the model does not load.
    """
    runtime = require_runtime()
    available = runtime.get_available_providers()
    if provider not in available:
        raise UnknownDevice(provider, available, hint="For CUDA install 'dashzoo[gpu]'.")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    if provider != CPU:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    source = model if isinstance(model, bytes) else str(model)
    try:
        session = runtime.InferenceSession(source, options, providers=[provider])
    except Exception as error:  # the runtime's own exception types are not public
        where = "the ONNX model" if isinstance(model, bytes) else str(model)
        raise BadBundle(f"{where} does not load on {provider}: {error}", field="onnx") from error
    if session.get_providers()[0] != provider:
        raise UnknownDevice(
            provider, session.get_providers(), hint="The runtime fell back to another provider."
        )
    return session
