"""A task from the user's own arrays, in an ``.npz`` file or in memory.

They are ``X_train, y_train, X_test, y_test`` (and ``X_val, y_val`` if there is a validation split
of its own), or ``X, y``, of which a fifth becomes test, by seed. Arrays of other names are left
alone, and nothing pickled is read.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.checks import check_labels, check_lengths, check_samples
from dashzoo_search.tasks.splits import cut_fraction
from dashzoo_search.tasks.task import Task, classification_task

__all__ = ["NAMES", "arrays_task", "read_array", "read_npz", "take_arrays"]

NAMES = ("X", "y", "X_train", "y_train", "X_val", "y_val", "X_test", "y_test")
TEST_FRACTION = 0.2
_SPLIT = {"X_train", "y_train", "X_test", "y_test"}
_EXPECTED = "X_train, y_train, X_test, y_test, or X, y"

Arrays = Mapping[str, NDArray[Any]]


def read_npz(path: Path, *, seed: int) -> Task:
    """Read a task from ``path``.

    Args:
        path: an ``.npz`` file; its stem becomes the task's name.
        seed: chooses the validation samples, and the test samples of a file with ``X, y``.

    Raises:
        BadData: the file, or an array in it, is not as described above.
    """
    arrays = _load(path)
    return arrays_task(arrays, name=path.stem, origin=path.name, seed=seed)


def arrays_task(arrays: Arrays, *, name: str, origin: str, seed: int) -> Task:
    """A task of ``arrays``, as `take_arrays` gives them.

    Args:
        arrays: by name.
        name: of the task.
        origin: name of the file they are from.
        seed: see `read_npz`.

    Raises:
        BadData: naming the array.
    """
    names = set(arrays)
    if names >= _SPLIT:
        if len(names & {"X_val", "y_val"}) == 1:
            raise BadData(f"{origin} holds only one of X_val and y_val; give both or neither")
        val = (arrays["X_val"], arrays["y_val"]) if "X_val" in names else None
        train = (arrays["X_train"], arrays["y_train"])
        test = (arrays["X_test"], arrays["y_test"])
        how = "the file's own splits"
    elif names == {"X", "y"}:
        train, test = _cut_test(arrays["X"], arrays["y"], seed)
        val, how = None, f"test split cut by seed {seed}"
    else:
        held = ", ".join(n for n in NAMES if n in names)
        lacking = ", ".join(n for n in NAMES if n in _SPLIT - names)
        what = f"holds {held} but lacks {lacking}" if held else "holds none of the arrays"
        raise BadData(f"{origin} {what}; save {_EXPECTED} with np.savez")
    return classification_task(
        name,
        train=train,
        test=test,
        val=val,
        seed=seed,
        source=f"the user's own file {origin}, {how}",
    )


def take_arrays(values: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Those of ``values`` that belong to a task, as arrays.

    Raises:
        BadData: naming a value that makes no array of numbers or strings.
    """
    arrays = {}
    for name in NAMES:
        try:
            if name in values:
                arrays[name] = np.asarray(values[name])
        except Exception as error:  # ragged lists, tensors on a device: each has its own exception
            raise BadData(f"{name} makes no array ({error}); give a NumPy array") from error
    return arrays


def read_array(path: Path) -> NDArray[Any]:
    """Read one ``.npy`` array of numbers.

    Raises:
        BadData: the file is missing, pickled, or no array.
    """
    try:
        with path.open("rb") as file:
            array = _plain_array(file)
    except FileNotFoundError as error:
        raise BadData(f"{path} does not exist; give an .npy file of raw samples") from error
    except Exception as error:  # what NumPy raises on foreign bytes is not listed anywhere
        reason = _reason(error)
        raise BadData(
            f"{path.name} is no plain .npy array ({reason}); save the samples with np.save"
        ) from error
    if array.dtype.kind not in "fiub":
        raise BadData(f"{path.name} holds {array.dtype} values; save an array of real numbers")
    return array


def _cut_test(X: NDArray[Any], y: NDArray[Any], seed: int) -> list[tuple[Any, Any]]:
    X, y = check_samples(X, "X"), check_labels(y, "y")
    check_lengths(X, y, "X", "y")
    classes, indices, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise BadData(f"y holds only the class {classes[0]!s}; give at least two classes")
    if counts.max() < 3:
        raise BadData("y has no class of three samples; give one each for train, val and test")
    return [(X[part], y[part]) for part in cut_fraction(indices, TEST_FRACTION, seed=seed)]


def _load(path: Path) -> dict[str, NDArray[Any]]:
    if path.is_file() and not zipfile.is_zipfile(path):
        raise BadData(f"{path.name} is no whole .npz archive; save {_EXPECTED} with np.savez")
    try:
        with zipfile.ZipFile(path) as archive:
            held = set(archive.namelist())
            return {name: _member(archive, name, path) for name in NAMES if f"{name}.npy" in held}
    except BadData:
        raise
    except Exception as error:  # zipfile, too, raises more than BadZipFile on damaged bytes
        raise BadData(
            f"{path.name} cannot be read ({_reason(error)}); save {_EXPECTED} with np.savez"
        ) from error


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    try:
        with archive.open(f"{name}.npy") as file:
            return _plain_array(file)
    except Exception as error:  # as in read_array; encrypted and truncated members come on top
        raise BadData(
            f"{name} in {path.name} cannot be read ({_reason(error)}); "
            "save it as a plain array of numbers or strings"
        ) from error


def _plain_array(file: IO[bytes]) -> NDArray[Any]:
    array = np.load(file, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise BadData("it is an archive")  # NumPy looks at the first bytes, not at the name
    return array


def _reason(error: Exception) -> str:
    if "pickle" in str(error).lower() or "Object arrays" in str(error):
        return "it holds pickled objects, which are never loaded"
    return " ".join(str(error).split()) or type(error).__name__
