"""A zarr group (v2 or v3) that holds arrays ``X``, ``y``, …, read chunk by chunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.rows import Array, Rows
from dashzoo_search.tasks.arrays import EXPECTED, NAMES
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.readers.bounds import check_room

__all__ = ["is_zarr", "read_zarr"]


def is_zarr(folder: Path) -> bool:
    """Whether ``folder`` is a zarr group or says so by its name."""
    named = folder.suffix.lower() == ".zarr"
    return named or (folder / ".zgroup").is_file() or (folder / "zarr.json").is_file()


def read_zarr(folder: Path, options: DataOptions) -> dict[str, Array]:
    """Open the arrays of a group; samples are read when they are asked for.

    Raises:
        BadData: naming the array that is missing, damaged or holds no numbers.
        MissingRuntime: zarr is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise MissingRuntime("zarr", "data") from error
    try:
        group = zarr.open_group(str(folder), mode="r")
        names = [name for name in NAMES if name in group]
        found = {name: group[name] for name in names}
        inside = [] if names else sorted(name for name, _ in group.groups())
    except Exception as error:  # a store raises what its codecs and JSON raise
        raise BadData(
            f"{folder.name} is no zarr group ({_reason(error)}); save {EXPECTED}"
        ) from error
    if inside:
        raise BadData(
            f"{folder.name} holds none of {EXPECTED}, but groups inside; give the path of one, "
            f"such as {folder.name}/{inside[0]:.40}"
        )
    arrays: dict[str, Array] = {}
    for name, array in found.items():
        if not isinstance(array, zarr.Array):
            raise BadData(f"{name} in {folder.name} is a group; save it as an array")
        if array.dtype.kind not in "fiubUT":
            raise BadData(f"{name} in {folder.name} holds {array.dtype} values; save numbers")
        what = f"{name} in {folder.name}"
        check_room(array.shape[:1], 8, f"The index of {what}")
        check_room([array.nchunks], 1024, f"The list of chunks of {what}")
        check_room(array.chunks, array.dtype.itemsize, f"A chunk of {what}")
        source = _Chunked(array, what)
        if name[0] == "X" or array.ndim > 2:
            arrays[name] = Rows.of(source)
            continue
        check_room(array.shape, array.dtype.itemsize, what)
        values = source[np.arange(array.shape[0])] if array.ndim else np.asarray(array[...])
        arrays[name] = values.astype(np.str_) if values.dtype.kind == "T" else values
    return arrays


class _Chunked:
    """Rows of a zarr array; a chunk that is missing is a fault, not a zero."""

    def __init__(self, array: Any, what: str) -> None:
        self._array, self._what = array, what
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype[Any] = array.dtype
        missing = int(array.nchunks) - int(array.nchunks_initialized)
        if missing > 0 and array.dtype.kind in "fiub":
            self._refuse_empty(missing)

    def __getitem__(self, index: Any) -> Any:
        try:
            return self._array.oindex[index]
        except Exception as error:  # codecs raise what they like
            raise BadData(
                f"A chunk of {self._what} does not decode ({_reason(error)}); copy it again"
            ) from error

    def _refuse_empty(self, missing: int) -> None:
        raise BadData(
            f"{self._what} lacks {missing} of its {self._array.nchunks} chunks; copy it again, or "
            "write all of it (write_empty_chunks)"
        )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
