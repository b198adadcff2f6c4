"""``.npz`` archives, and folders of ``.npy`` files, which are mapped rather than read."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.rows import Array, Rows
from dashzoo_search.tasks.arrays import EXPECTED, NAMES
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.readers.bounds import check_room

__all__ = ["is_array_folder", "read_array", "read_members", "read_npy", "read_npz"]


def read_npz(path: Path, options: DataOptions) -> dict[str, Array]:
    """Read the arrays of an archive; those of other names are left alone.

    Raises:
        BadData: the file, or an array in it, cannot be read.
    """
    arrays = read_members(path, NAMES)
    if not any(name[0] == "X" for name in arrays):
        with zipfile.ZipFile(path) as archive:
            held = ", ".join(sorted(name.removesuffix(".npy") for name in archive.namelist()))
        if held:
            raise BadData(f"{path.name} holds {held:.80} but no X; save {EXPECTED}, by these names")
    return dict(arrays)


def read_members(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Read those of ``names`` that an archive holds.

    Raises:
        BadData: the file, or an array in it, cannot be read.
    """
    if path.is_file() and not zipfile.is_zipfile(path):
        raise BadData(f"{path.name} is no whole .npz archive; save {EXPECTED} with np.savez")
    try:
        with zipfile.ZipFile(path) as archive:
            held = set(archive.namelist())
            return {name: _member(archive, name, path) for name in names if f"{name}.npy" in held}
    except BadData:
        raise
    except Exception as error:  # zipfile, too, raises more than BadZipFile on damaged bytes
        raise BadData(
            f"{path.name} cannot be read ({_reason(error)}); save {EXPECTED} with np.savez"
        ) from error


def is_array_folder(folder: Path) -> bool:
    """Whether ``folder`` holds arrays of our names."""
    return any((folder / f"{name}.npy").is_file() for name in NAMES)


def read_npy(path: Path, options: DataOptions) -> dict[str, Array]:
    """Map the arrays of a folder, or of the folder of one of them; numbers stay on disk.

    Raises:
        BadData: naming the file that is no array of numbers (or of strings, for labels).
    """
    folder = path if path.is_dir() else path.parent
    if not path.is_dir() and path.stem not in NAMES:
        raise BadData(f"{path.name} is none of {EXPECTED}; name the files so, in one folder")
    files = {name: folder / f"{name}.npy" for name in NAMES}
    return {name: _mapped(file) for name, file in files.items() if file.is_file()}


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


def _mapped(path: Path) -> Array:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # as in read_array
        raise BadData(
            f"{path.name} is no plain .npy array ({_reason(error)}); save it with np.save"
        ) from error
    if not isinstance(array, np.ndarray):
        raise BadData(f"{path.name} is an archive; save it with np.save, or call it .npz")
    return Rows.of(array) if array.ndim else np.asarray(array)


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    try:
        check_room([archive.getinfo(f"{name}.npy").file_size], 1, f"{name} in {path.name}")
        with archive.open(f"{name}.npy") as file:
            return _plain_array(file)
    except BadData:
        raise
    except Exception as error:  # as in read_array; encrypted and truncated members come on top
        raise BadData(
            f"{name} in {path.name} cannot be read ({_reason(error)}); "
            "save it as a plain array of numbers or strings"
        ) from error


def _plain_array(file: IO[bytes]) -> NDArray[Any]:
    array = np.load(file, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise TypeError("it is an archive")  # NumPy looks at the first bytes, not at the name
    return array


def _reason(error: Exception) -> str:
    if any(word in str(error) for word in ("pickle", "Pickle", "Object arrays", "Python objects")):
        return "it holds pickled objects, which are never loaded"
    return " ".join(str(error).split()) or type(error).__name__
