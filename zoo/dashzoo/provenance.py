"""Where a result was made: versions, commit, machine, date."""

from __future__ import annotations

import datetime
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dashzoo import __version__
from dashzoo_search.training.runtime import describe_machine

__all__ = ["git_commit", "provenance"]


def provenance(device: torch.device) -> dict[str, Any]:
    """What results.json says under ``provenance``."""
    packages = {name: version(name) for name in ("torch", "timm", "numpy")}
    return {
        "dashzoo": __version__,
        **packages,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        **describe_machine(device),
        "created": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def git_commit() -> str | None:
    """Commit of the checkout dashzoo runs from, ``-dirty`` if changed; None when installed."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists() or not (root / "zoo" / "dashzoo").is_dir():
        return None
    describe = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *describe],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
