"""What must hold before a step starts: the steps before it, and a folder it can write into."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from dashzoo_export.bundle import CONFIG, EXPORT, ONNX, RESULTS, WEIGHTS
from dashzoo_search.errors import BadBundle, BundleExists

__all__ = ["require", "require_writable"]

_LEAVES = {"train": (CONFIG, WEIGHTS, RESULTS), "export": (ONNX, EXPORT)}


def require(folder: Path, *steps: Literal["train", "export"]) -> None:
    """Refuse a folder in which one of ``steps`` has not been done.

    Raises:
        BadBundle: naming the first missing file, and the step that writes it.
    """
    if not folder.is_dir():
        raise BadBundle(f"{folder} is no folder; give a bundle", field=str(folder))
    for step in steps:
        for name in _LEAVES[step]:
            if not (folder / name).is_file():
                raise BadBundle(
                    f"{folder} lacks {name}; run 'dashzoo {step} {folder}' first", field=name
                )


def require_writable(folder: Path) -> None:
    """Refuse, before any training, a folder that cannot be made or written into.

    Raises:
        BundleExists: a file, or somebody else's folder, is in the way.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise BundleExists(f"{there} is no folder we can write into; give another --out")
