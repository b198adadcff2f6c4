"""A task from the user's own ``.npz`` file.

The file holds ``X_train, y_train, X_test, y_test`` (and ``X_val, y_val`` if there is a validation
split of its own), or ``X, y``, of which a fifth becomes test, by seed. Nothing pickled is read.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.splits import cut_fraction
from dashzoo_search.tasks.task import Task, classification_task

__all__ = ["read_array", "read_npz"]

TEST_FRACTION = 0.2
_EXPECTED = "X_train, y_train, X_test, y_test, or X, y"


def read_npz(path: Path, *, seed: int) -> Task:
    """Read a task from ``path``.

    Args:
        path: an ``.npz`` file; its stem becomes the task's name.
        seed: chooses the validation samples, and the test samples of a file with ``X, y``.

    Raises:
        BadData: the file, or an array in it, is not as described above.
    """
    arrays = _load(path)
    names = set(arrays)
    if {"X_train", "y_train", "X_test", "y_test"} <= names:
        if len(names & {"X_val", "y_val"}) == 1:
            raise BadData(f"{path.name} holds only one of X_val and y_val; give both or neither")
        val = (arrays["X_val"], arrays["y_val"]) if "X_val" in names else None
        train = (arrays["X_train"], arrays["y_train"])
        test = (arrays["X_test"], arrays["y_test"])
        how = "the file's own splits"
    elif {"X", "y"} <= names:
        X, y = arrays["X"], arrays["y"]
        if y.ndim != 1 or X.ndim < 1 or len(X) != len(y):
            raise BadData(
                f"X has shape {list(X.shape)} and y {list(y.shape)}; give one label a sample"
            )
        if len(y) == 0:
            raise BadData("X and y are empty; give at least two samples of every class")
        _, indices = np.unique(y, return_inverse=True)
        rest, cut = cut_fraction(indices, TEST_FRACTION, seed=seed, array="y")
        train, test, val = (X[rest], y[rest]), (X[cut], y[cut]), None
        how = f"test split cut by seed {seed}"
    else:
        held = ", ".join(sorted(names)) or "nothing"
        raise BadData(f"{path.name} holds {held}; save the arrays {_EXPECTED}")
    return classification_task(
        path.stem,
        train=train,
        test=test,
        val=val,
        seed=seed,
        source=f"the user's own file {path.name}, {how}",
    )


def read_array(path: Path) -> NDArray[Any]:
    """Read one ``.npy`` array of numbers.

    Raises:
        BadData: the file is missing, pickled, or no array.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise BadData(f"{path} does not exist; give an .npy file of raw samples") from error
    except (OSError, ValueError, EOFError) as error:
        raise BadData(
            f"{path.name} is no plain .npy array ({error}); save it with np.save"
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise BadData(f"{path.name} is no array of numbers; save it with np.save")
    return array


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise BadData(f"{path.name} holds a single array; save {_EXPECTED} with np.savez")
            return {name: _member(file, name, path) for name in file.files}
    except BadData:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError) as error:
        raise BadData(
            f"{path.name} is not a readable .npz file ({error}); save {_EXPECTED} with np.savez"
        ) from error


def _member(file: Any, name: str, path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = file[name]
    except ValueError as error:
        if "pickle" in str(error).lower():
            raise BadData(
                f"{name} in {path.name} holds pickled objects, which are never loaded; "
                "save it as plain numbers or strings"
            ) from error
        raise
    return array
