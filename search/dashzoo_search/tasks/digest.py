"""The fingerprint of a task's arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from dashzoo_search.rows import Array, blocks

__all__ = ["digest"]


def digest(samples: Mapping[str, Array], labels: Mapping[str, Array], kind: str) -> str:
    """SHA-256 of all arrays, by the name of their split, read block by block.

    Args:
        samples: float32 [n, c, …].
        labels: as they were given, integers or strings, for a classification; else as trained on.
        kind: of the task.
    """
    hashed = hashlib.sha256()
    if kind != "classification":
        hashed.update(f"{kind} ".encode())
    for part in sorted(samples):
        y = labels[part]
        if kind == "classification":
            y = np.asarray(y).astype(np.str_)
        for array in (samples[part], y):
            hashed.update(f"{part} {array.shape} ".encode())
            if array.dtype.kind == "U":
                hashed.update("\0".join(np.asarray(array)).encode())
                continue
            for block in blocks(array):
                hashed.update(np.ascontiguousarray(block).data)
    return hashed.hexdigest()
