"""The last two states of a stage, in a folder, each whole or not there.

A checkpoint is one file named ``NUMBER-DIGEST.safetensors``: written beside, flushed to disk and
renamed, so a kill leaves the one before; and its name holds the SHA-256 of its bytes, so a torn or
altered one is passed over. Not promised: protection from somebody who can write the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from pathlib import Path

from dashzoo_search.errors import BadBundle
from dashzoo_search.training.tree import Tree, decode, encode

__all__ = ["Checkpoints", "write_durably"]

KEPT = 2
SUFFIX = ".safetensors"

_log = logging.getLogger(__name__)


class Checkpoints:
    """The newest checkpoints of one stage.

    Args:
        folder: need not exist before the first is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, number: int, tree: Tree) -> None:
        """Write ``tree`` as checkpoint ``number``; keep the one before it, remove older ones.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        data = encode(tree)
        digest = hashlib.sha256(data).hexdigest()
        write_durably(self.folder / f"{number:09d}-{digest}{SUFFIX}", data)
        for old in self._newest_first()[KEPT:]:
            old.unlink(missing_ok=True)

    def load(self) -> Tree | None:
        """The newest one that is whole, or None; damaged ones are passed over with a warning."""
        for path in self._newest_first():
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                if path.stem.partition("-")[2] != digest:
                    raise BadBundle("its bytes have changed", field=path.name)
                return decode(path)
            except (BadBundle, OSError) as error:
                _log.warning("Checkpoint %s is passed over: %s", path, error)
        return None

    def _newest_first(self) -> list[Path]:
        found = [p for p in self.folder.glob(f"*-*{SUFFIX}") if p.stem.partition("-")[0].isdigit()]
        return sorted(found, key=lambda p: int(p.stem.partition("-")[0]), reverse=True)


def write_durably(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path``, bring it to the disk, and move it there.

    Raises:
        OSError: it could not be written; what was at ``path`` is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    # The rename itself lasts a power cut only once the folder is on the disk.
    with contextlib.suppress(OSError):  # some systems cannot open a folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
