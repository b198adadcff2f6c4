"""Files that can be read as they are distributed: plain arrays and bytes, no pickles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.rows import Array
from dashzoo_search.tasks.nb360.record import Original
from dashzoo_search.tasks.readers.numpy_files import read_array, read_members

__all__ = ["CIFAR100", "DEEPSEA", "NINAPRO"]

PARTS = ("train", "val", "test")
_ROW = 2 + 3 * 32 * 32


def read_cifar100(folder: Path) -> dict[str, Array]:
    """``train.bin`` and ``test.bin``: a row is two labels, coarse and fine, and 3×32×32 bytes.

    Raises:
        BadData: a file is not made of such rows.
    """
    arrays: dict[str, Array] = {}
    for part in ("train", "test"):
        data = np.fromfile(folder / f"{part}.bin", np.uint8)
        if len(data) == 0 or len(data) % _ROW:
            raise BadData(
                f"{part}.bin holds {len(data)} bytes, not rows of {_ROW}; "
                "take it from the binary version of CIFAR-100"
            )
        rows = data.reshape(-1, _ROW)
        arrays[f"X_{part}"] = rows[:, 2:].reshape(-1, 3, 32, 32).astype(np.float32) / 255
        arrays[f"y_{part}"] = rows[:, 1].astype(np.int64)
    return arrays


def read_ninapro(folder: Path) -> dict[str, Array]:
    """``ninapro_train.npy`` [n, 52, 16] and ``label_train.npy`` [n], and so on.

    Raises:
        BadData: a file is no plain array.
    """
    arrays: dict[str, Array] = {}
    for part in PARTS:
        X = _swap(read_array(folder / f"ninapro_{part}.npy"), f"ninapro_{part}.npy")
        arrays[f"X_{part}"] = X[:, None]
        arrays[f"y_{part}"] = read_array(folder / f"label_{part}.npy")
    return arrays


def read_deepsea(folder: Path) -> dict[str, Array]:
    """``deepsea_filtered.npz``: ``x_train`` [n, 1000, 4] and ``y_train`` [n, 36], and so on.

    Raises:
        BadData: the archive, or an array in it, cannot be read.
    """
    file = folder / "deepsea_filtered.npz"
    held = read_members(file, [f"{of}_{part}" for part in PARTS for of in "xy"])
    return {
        name.replace("x_", "X_"): _swap(array, f"{name} in {file.name}")
        if name[0] == "x"
        else array
        for name, array in held.items()
    }


def _swap(X: NDArray[np.generic], name: str) -> NDArray[np.generic]:
    if X.ndim != 3:
        raise BadData(f"{name} has shape {list(X.shape)}, not [n, time, channels]; fetch it anew")
    return X.swapaxes(1, 2)


CIFAR100 = Original(files=("train.bin", "test.bin"), read=read_cifar100)
NINAPRO = Original(
    files=tuple(f"{stem}_{part}.npy" for part in PARTS for stem in ("ninapro", "label")),
    read=read_ninapro,
)
DEEPSEA = Original(files=("deepsea_filtered.npz",), read=read_deepsea)
