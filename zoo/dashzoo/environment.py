"""What is installed here and what of it works: versions, providers, compilers, conflicts."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from dashzoo import __version__
from dashzoo_export.providers import PROVIDERS, trouble, wheels
from dashzoo_search.errors import MissingRuntime

__all__ = ["PACKAGES", "environment"]

PACKAGES = ("torch", "timm", "numpy", "onnx", "onnxscript", "openvino", "executorch")


def environment() -> dict[str, Any]:
    """Look at what networks are trained, exported and run with.

    Returns:
        ``versions``, None where a package is not installed; ``cuda``, what torch sees, and the name
        of the first GPU; ``providers``, by short name: None where a model of one node ran on it, or
        why not; ``findings``, faults with their mends, as those of data have them.
    """
    found: dict[str, Any] = {
        "versions": {
            "dashzoo": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
            "onnxruntime": None,
            **wheels(),
        },
        "cuda": _cuda(),
        "providers": {},
        "findings": [],
    }
    try:
        found["providers"] = {provider: trouble(provider) for provider in PROVIDERS}
    except MissingRuntime as error:
        found["findings"].append(_finding("onnxruntime is not installed", _mend(error)))
    if len(wheels()) > 1:
        both = " and ".join(f"{name} {number}" for name, number in wheels().items())
        found["findings"].append(
            _finding(
                f"{both} are both installed, and the files of one lie over the other's",
                "Run: pip uninstall -y onnxruntime onnxruntime-gpu, then: "
                "pip install 'dashzoo[gpu]', or 'dashzoo[cpu]' where there is no GPU.",
            )
        )
    works = found["providers"].get("cuda", "") is None
    if found["cuda"]["gpu"] and found["providers"] and not works:
        found["findings"].append(
            _finding(
                f"torch sees {found['cuda']['gpu']}, ONNX Runtime does not run on it",
                "Run: pip uninstall -y onnxruntime onnxruntime-gpu, then: "
                "pip install 'dashzoo[gpu]'.",
            )
        )
    return found


def _cuda() -> dict[str, Any]:
    import torch

    sees = torch.cuda.is_available()
    return {
        "torch_built_for": torch.version.cuda,
        "gpu": torch.cuda.get_device_name(0) if sees else None,
    }


def _finding(what: str, mend: str) -> dict[str, str]:
    return {"severity": "fault", "what": what, "mend": mend}


def _mend(error: MissingRuntime) -> str:
    return f"Run: pip install 'dashzoo[{error.extra}]', or 'dashzoo[gpu]' where there is a GPU."


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
