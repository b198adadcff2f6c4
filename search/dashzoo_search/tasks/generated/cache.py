"""Generated arrays on disk: a safetensors file each, in `cache_folder`, checked by its own hash.

The folder is ``$DASHZOO_CACHE``, or else ``~/.cache/dashzoo``. A file appears whole or not at all;
one that does not hold what it says is taken for absent, with a warning. A folder that cannot be
written costs time, not the run.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

__all__ = ["cache_folder", "digest", "read", "write"]

log = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]


def cache_folder() -> Path:
    """Where generated data is kept."""
    return Path(os.environ.get("DASHZOO_CACHE") or "~/.cache/dashzoo").expanduser()


def digest(arrays: Arrays) -> str:
    """SHA-256 of names, types, shapes and values, whatever the order of the names."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        total.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def read(path: Path) -> dict[str, NDArray[Any]] | None:
    """What `write` left at ``path``, or None if it is absent or damaged."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            claimed = (file.metadata() or {}).get("sha256")
    except (SafetensorError, OSError) as error:
        log.warning("%s cannot be read (%s); it is made again", path, error)
        return None
    if digest(arrays) != claimed:
        log.warning("%s does not match its hash; it is made again", path)
        return None
    return arrays


def write(path: Path, arrays: Arrays) -> None:
    """Save ``arrays`` with their digest."""
    data = save(dict(arrays), metadata={"sha256": digest(arrays)})
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            part = Path(file.name)
            file.write(data)
        part.replace(path)
    except OSError as error:
        log.warning("%s cannot be written (%s); it will be made again next time", path, error)
        if part is not None:
            part.unlink(missing_ok=True)
