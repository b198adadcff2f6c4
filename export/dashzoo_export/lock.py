"""One process at a time in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dashzoo_search.errors import BundleExists

try:
    import fcntl
except ImportError:  # not on Windows: there, two at once are the user's to avoid
    fcntl = None  # type: ignore[assignment]

__all__ = ["locked"]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock ``path`` in the block; the system frees it when the process dies.

    Yields:
        Whether it is held: some systems have no locks, and nobody knows of another there.

    Raises:
        BundleExists: another process holds it.
    """
    held = False
    with path.open("w") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
            except BlockingIOError as error:
                raise BundleExists(
                    f"Another dashzoo is at work in {path.parent.parent}; wait for it, or give "
                    "another --out"
                ) from error
            except OSError:  # some network file systems have no locks
                pass
        yield held
