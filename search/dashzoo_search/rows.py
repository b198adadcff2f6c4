"""Arrays larger than memory: rows chosen by an index, and read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Rows", "blocks", "join", "take", "whole"]

BLOCK_BYTES = 4 * 2**20

Index = NDArray[np.intp]
Convert = Callable[[NDArray[Any]], NDArray[Any]]


class Source(Protocol):
    """An array on disk: a memory map, or a zarr array."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __getitem__(self, key: Index, /) -> Any: ...


class Rows:
    """Rows of arrays on disk, in any order; of all that an array can do, indexing and its shape.

    What is kept is an index, so a selection of rows, or a selection of it, copies no data.

    Args:
        parts: the arrays, each with what makes a block of its rows [m, …] one of ours.
        index: rows [n], counted through all parts.

    >>> rows = Rows.of(np.arange(12).reshape(4, 3)).take(np.array([3, 1]))
    >>> rows.shape, rows[0].tolist(), rows[::-1].tolist()
    ((2, 3), [9, 10, 11], [[3, 4, 5], [9, 10, 11]])
    """

    def __init__(self, parts: tuple[tuple[Source, Convert], ...], index: Index) -> None:
        self._parts, self._index = parts, index
        self._ends = np.cumsum([source.shape[0] for source, _ in parts])
        like = self._like()
        self.shape: tuple[int, ...] = (len(index), *like.shape[1:])
        self.dtype: np.dtype[Any] = like.dtype

    @classmethod
    def of(cls, source: Source) -> Rows:
        """All rows of ``source`` [n, …], as they are."""
        return cls(((source, np.asarray),), np.arange(source.shape[0]))

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        index = self._index[key]
        return self._read(index) if np.ndim(index) else self._read(np.array([index]))[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)

    @property
    def ndim(self) -> int:
        """Axes, that of the rows included."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the array it stands for."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    def take(self, index: NDArray[Any]) -> Rows:
        """The rows at ``index`` (integers, or a mask)."""
        return Rows(self._parts, self._index[index])

    def map(self, convert: Convert) -> Rows:
        """The same rows, every block of them changed by ``convert`` when it is read."""
        chained = tuple((source, _then(first, convert)) for source, first in self._parts)
        return Rows(chained, self._index)

    def join(self, other: Rows) -> Rows:
        """Our rows, then those of ``other``."""
        beyond = self._ends[-1] + other._index
        return Rows(self._parts + other._parts, np.concatenate([self._index, beyond]))

    def _read(self, index: Index) -> NDArray[Any]:
        if (index[1:] < index[:-1]).any():  # a file is read from front to back
            order = np.argsort(index, kind="stable")
            rows = self._read(index[order])
            out = np.empty_like(rows)
            out[order] = rows
            return out
        cuts = [0, *np.searchsorted(index, self._ends)]
        read = [
            convert(np.asarray(source[index[start:stop] - (end - source.shape[0])]))
            for (source, convert), end, start, stop in zip(
                self._parts, self._ends, cuts[:-1], cuts[1:], strict=True
            )
            if stop > start
        ]
        if not read:
            return self._like()[:0]
        return read[0] if len(read) == 1 else np.concatenate(read)

    def _like(self) -> NDArray[Any]:
        source, convert = self._parts[0]
        return convert(np.zeros((1, *source.shape[1:]), source.dtype))


Array = NDArray[Any] | Rows


def blocks(array: Array) -> Iterator[NDArray[Any]]:
    """``array`` in pieces of consecutive rows, none much larger than `BLOCK_BYTES`."""
    row = max(1, array.nbytes // max(1, len(array)))
    step = max(1, BLOCK_BYTES // row)
    for start in range(0, len(array), step):
        yield array[start : start + step]


def take(array: Array, index: NDArray[Any]) -> Array:
    """The rows of ``array`` at ``index`` (integers, or a mask); those on disk stay there."""
    return array.take(index) if isinstance(array, Rows) else array[index]


def join(one: Array, other: Array) -> Array:
    """The rows of both; those on disk stay there."""
    if isinstance(one, Rows) or isinstance(other, Rows):
        return _rows(one).join(_rows(other))
    return np.concatenate([one, other])


def whole(array: Array) -> NDArray[Any]:
    """``array`` in memory."""
    return np.asarray(array)


def _rows(array: Array) -> Rows:
    return array if isinstance(array, Rows) else Rows.of(array)


def _then(first: Convert, second: Convert) -> Convert:
    return lambda block: second(first(block))
