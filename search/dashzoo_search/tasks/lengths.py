"""Sequences of unequal length, padded with a mask or resampled.

A reader leaves them as an array [n, c, longest] that ends in NaN where a sequence has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.rows import Array, Rows, blocks
from dashzoo_search.tasks.options import DataOptions

__all__ = ["equal_lengths", "ragged", "real_lengths"]

Block = NDArray[Any]


def equal_lengths(
    arrays: Mapping[str, Array], options: DataOptions, origin: str
) -> tuple[dict[str, Array], str]:
    """``arrays`` with all sequences of one length, and how that was reached, in words.

    Args:
        arrays: ``X…`` [n, c, longest], which may end in NaN, and ``y…``.
        options: ``lengths`` and ``size`` are read.
        origin: name of the file, for the error message.

    Raises:
        BadData: lengths differ and nobody said what to do; it names ``--lengths``.
    """
    sequences = [name for name, X in arrays.items() if _may_end(name, X)]
    lengths = {name: real_lengths(arrays[name]) for name in sequences}
    uneven = [n for n in sequences if (lengths[n] < arrays[n].shape[2]).any()]
    differ = len({arrays[name].shape[2] for name in sequences}) > 1
    every = np.concatenate(list(lengths.values())) if lengths else np.zeros(0, int)
    if options.lengths is None:
        if uneven:
            raise BadData(
                f"The sequences in {uneven[0]} of {origin} are {every.min()} to {every.max()} "
                "long; say --lengths pad or --lengths resample"
            )
        if options.sides and sequences:
            raise BadData("--size of sequences goes with --lengths pad or --lengths resample")
        return dict(arrays), ""
    if not sequences or len(options.sides) > 1:
        raise BadData(f"--lengths is for sequences [n, c, l] of one --size; {origin} has others")
    if not (uneven or differ or options.sides):
        return dict(arrays), ""
    if every.min() == 0:
        where = next(n for n in sequences if lengths[n].min() == 0)
        raise BadData(
            f"{where} of {origin} has no number in sample {lengths[where].argmin()}; drop it"
        )
    if options.lengths == "pad":
        size = options.sides[0] if options.sides else int(every.max())
        change: Callable[[Block], Block] = partial(_pad, size=size)
        how = f", sequences padded to {size} with a channel that is 1 where they are real"
    else:
        size = options.sides[0] if options.sides else int(np.median(every))
        change = partial(_resample, size=size)
        how = f", sequences resampled to {size}"
    done = dict(arrays)
    for name in sequences:
        done[name] = _changed(arrays[name], change)
        y = arrays.get(f"y{name[1:]}")
        if y is not None and y.ndim >= 2 and y.shape[-1] == arrays[name].shape[2]:
            if options.lengths == "resample" or y.dtype.kind == "f":
                raise BadData(
                    f"y{name[1:]} of {origin} has a label for every position, which cannot be "
                    "resampled; give integer labels, and --lengths pad"
                )
            done[f"y{name[1:]}"] = _changed(y, partial(_pad_labels, size=size))
    return done, how


def ragged(samples: Sequence[Block]) -> NDArray[np.float32]:
    """One array [n, c, longest], ending in NaN, of ``samples`` [c, l] of unequal length."""
    longest = max(sample.shape[1] for sample in samples)
    X = np.full((len(samples), samples[0].shape[0], longest), np.nan, np.float32)
    for row, sample in zip(X, samples, strict=True):
        row[:, : sample.shape[1]] = sample
    return X


def real_lengths(X: Array) -> NDArray[np.intp]:
    """Length of each sequence of ``X`` [n, c, l] without the NaNs all its channels end in.

    >>> real_lengths(np.array([[[1.0, 2, np.nan]], [[np.nan, 2, 3]]])).tolist()
    [2, 3]
    """
    if X.dtype.kind != "f":
        return np.full(len(X), X.shape[2])
    return np.concatenate([_lengths(block) for block in blocks(X)])


def _lengths(block: Block) -> NDArray[np.intp]:
    if block.dtype.kind != "f":
        return np.full(len(block), block.shape[2])
    real = ~np.logical_and.reduce(np.isnan(block), axis=1)
    return np.where(real.any(1), block.shape[2] - real[:, ::-1].argmax(1), 0)


def _may_end(name: str, X: Array) -> bool:
    return name[0] == "X" and X.ndim == 3 and X.dtype.kind in "fiub" and 0 not in X.shape


def _pad(block: Block, *, size: int) -> Block:
    padded = np.zeros((len(block), block.shape[1] + 1, size), np.float32)
    for row, sample, length in zip(padded, block, _lengths(block), strict=True):
        length = min(int(length), size)
        row[:-1, :length] = sample[:, :length]
        row[-1, :length] = 1
    return padded


def _resample(block: Block, *, size: int) -> Block:
    new = np.zeros((len(block), block.shape[1], size), np.float32)
    for row, sample, length in zip(new, block, _lengths(block), strict=True):
        at = np.linspace(0, max(int(length) - 1, 0), size)
        for channel, values in zip(row, sample, strict=True):
            channel[:] = np.interp(at, np.arange(max(length, 1)), values[: max(length, 1)])
    return new


def _pad_labels(block: Block, *, size: int) -> Block:
    missing = max(0, size - block.shape[-1])
    return np.pad(block, ((0, 0), (0, missing)), constant_values=-1)[..., :size]


def _changed(array: Array, change: Callable[[Block], Block]) -> Array:
    return array.map(change) if isinstance(array, Rows) else change(array)
