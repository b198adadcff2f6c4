"""No file makes us take more memory than there is: sizes it declares are checked beforehand."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from dashzoo_search.errors import BadData

__all__ = ["check_room", "machine_memory"]


def machine_memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_room(shape: Sequence[int], itemsize: int, what: str) -> None:
    """Refuse an array that would take more than half of the machine's memory.

    Args:
        shape: that is declared.
        itemsize: bytes of a number.
        what: the file, and what of it.

    Raises:
        BadData: it would; pairs of .npy files are not read whole.
    """
    wanted, there = math.prod(map(int, shape)) * itemsize, machine_memory()
    if wanted > there // 2:
        raise BadData(
            f"{what} declares {wanted / 2**30:,.1f} GiB, and this machine has "
            f"{there / 2**30:,.1f} GiB; save X and y as .npy files in a folder, which are not "
            "read whole"
        )
