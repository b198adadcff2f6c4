"""``nb360.lock``: hashes of the files of a folder, taken when they were first loaded.

Nobody published hashes of these files, so the first ones seen are trusted, and later ones must be
the same. It is written as sha256sum does, so ``sha256sum -c nb360.lock`` checks it too.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from dashzoo_search.errors import BadData

__all__ = ["LOCK", "check_lock", "write_lock"]

LOCK = "nb360.lock"

log = logging.getLogger(__name__)

_LINE = re.compile(r"([0-9a-f]{64})  ([\w.-]+)")


def check_lock(folder: Path, files: Iterable[str]) -> dict[str, str]:
    """Compare files with the lock beside them, if there is one.

    Args:
        folder: of the files and the lock.
        files: names of all that are read.

    Returns:
        Their hashes by name, for `write_lock`.

    Raises:
        BadData: a file has changed, or the lock is of other files or none.
    """
    path = folder / LOCK
    found = {name: _hash(folder / name) for name in sorted(files)}
    if not path.exists():
        return found
    known = _read(path)
    for name in sorted(known.keys() | found):
        if known.get(name) != found.get(name):
            what = "has changed" if name in known and name in found else "has come or gone"
            raise BadData(
                f"{folder / name} {what} since the data was first loaded; restore it, or delete "
                f"{LOCK} to trust the files as they are now"
            )
    return found


def write_lock(folder: Path, found: Mapping[str, str]) -> None:
    """Keep hashes, unless there is a lock; where it cannot be written, with a warning."""
    path = folder / LOCK
    if path.exists():
        return
    part = path.with_name(f"{LOCK}.part")
    try:
        part.write_text("".join(f"{value}  {name}\n" for name, value in found.items()), "utf-8")
        part.replace(path)
    except OSError as error:
        log.warning("%s cannot be written (%s); the files are not checked", path, error)


def _hash(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise BadData(f"{file} cannot be read: {error.strerror}; check the file") from error


def _read(path: Path) -> dict[str, str]:
    try:
        matches = [_LINE.fullmatch(line) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise BadData(f"{path} cannot be read ({error}); delete it") from error
    known = {match[2]: match[1] for match in matches if match}
    if not known or len(known) != len(matches):
        raise BadData(f"{path} is no list of hashes; delete it to trust the files as they are now")
    return known
