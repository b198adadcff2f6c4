"""A folder that appears whole or not at all, made under a hidden name beside it.

The hidden folder is locked by the process that fills it. What a killed one left is known by the
lock that nobody holds, and goes when the next is made.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dashzoo_export.bundle import SUMS, invalidate, refuse_overwrite
from dashzoo_export.lock import locked

__all__ = ["new_folder"]

_LOCK = "draft.lock"
_DRAFT = "draft"


@contextmanager
def new_folder(target: Path, *, force: bool) -> Iterator[Path]:
    """A hidden folder beside ``target`` that takes its place when the block ends well.

    A folder that is there already, empty or ours, stays the same folder and gets the new files.
    Hidden folders that killed processes left beside ``target`` are removed.

    Args:
        target: must be free, or ours and ``force`` given.
        force: replace what is there, once the new folder is complete.

    Raises:
        BundleExists: see `refuse_overwrite`.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100  resolve() would follow links
    refuse_overwrite(target, force=force)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _draft(target) as draft:
        yield draft
        refuse_overwrite(target, force=force)
        _put(draft, target)


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A folder to write into, in a hidden one beside ``target`` that is locked while we live."""
    prefix = f".{target.name}.draft-"
    for left in target.parent.glob(f"{glob.escape(prefix)}*"):
        _remove_if_dead(left)
    hidden = Path(tempfile.mkdtemp(dir=target.parent, prefix=prefix))
    try:
        with locked(hidden / ".new") as held:
            if held:  # it gets the name that others look for once it is held
                (hidden / ".new").rename(hidden / _LOCK)
            draft = hidden / _DRAFT
            draft.mkdir(mode=0o755)
            yield draft
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _remove_if_dead(hidden: Path) -> None:
    """Remove the draft of a process that is no more; any other folder is left alone."""
    with contextlib.suppress(OSError):  # gone, another's, or its process lives (BundleExists)
        lock = hidden / _LOCK
        names = {path.name for path in hidden.iterdir()}
        if hidden.is_symlink() or not lock.is_file() or not names <= {_LOCK, _DRAFT}:
            return
        with locked(lock) as held:
            if held:
                shutil.rmtree(hidden)


def _put(draft: Path, target: Path) -> None:
    """Give ``draft`` the name ``target``, or, where that folder exists, move the files into it.

    A mount point or a working directory cannot be renamed. SHA256SUMS leaves first and comes last.
    """
    if not target.exists():
        draft.rename(target)
        return
    invalidate(target)
    for old in target.iterdir():
        invalidate(target, old.name)
    entries = sorted(draft.iterdir(), key=lambda path: path.name == SUMS)
    for entry in entries:
        shutil.move(entry, target / entry.name)
