"""Are these samples and labels fit for training? Each check names the array and the next step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.rows import Array, Rows, blocks

__all__ = ["check_finite", "check_groups", "check_labels", "check_lengths", "check_samples"]

_LARGEST = np.iinfo(np.int64).max
_EXACT = 2.0**53  # floats above it skip integers


def check_samples(X: Array, name: str) -> Array:
    """Samples [n, c, l] or [n, c, h, w] of finite numbers, as float32; `Rows` stay on disk.

    Raises:
        BadData: naming the array ``name``.
    """
    if X.dtype.kind not in "fiub":
        raise BadData(f"{name} holds {X.dtype} values; give real numbers")
    if X.ndim not in (3, 4):
        hint = f"; add a channel axis: {name}[:, None]" if X.ndim == 2 else ""
        raise BadData(
            f"{name} has shape {list(X.shape)}; "
            f"give sequences [n, c, l] or images [n, c, h, w]{hint}"
        )
    if 0 in X.shape:
        raise BadData(
            f"{name} is empty (shape {list(X.shape)}); give at least one sample, channel and value"
        )
    return check_finite(X, name)


def check_finite(values: Array, name: str) -> Array:
    """``values`` [n, …] as float32, every one of them finite.

    Raises:
        BadData: naming the array ``name`` and the first sample at fault.
    """
    floats = values.map(_as_float32) if isinstance(values, Rows) else _as_float32(values)
    start = 0
    for block in blocks(floats):
        finite = np.isfinite(block)
        if not finite.all():
            where = int(np.flatnonzero(~finite.reshape(len(block), -1).all(1))[0])
            first = np.flatnonzero(~finite[where].reshape(-1))[0]
            value = values[start + where].reshape(-1)[first]
            said = f"in sample {start + where}"
            if np.isfinite(value):
                raise BadData(f"{name} holds {value:.3g} {said}, beyond float32; rescale it")
            raise BadData(f"{name} holds {value} {said}; fill or drop such samples before the run")
        start += len(block)
    return floats


def _as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)


def check_labels(y: NDArray[Any], name: str) -> NDArray[Any]:
    """Labels [n] as int64 or strings.

    Raises:
        BadData: naming the array ``name``.
    """
    if y.ndim != 1:
        hint = f", such as {name}.argmax(1) of one-hot rows" if y.ndim == 2 else ""
        raise BadData(f"{name} has shape {list(y.shape)}; give one label a sample, [n]{hint}")
    if y.dtype.kind not in "iubfU":
        hint = f", such as {name}.astype(str)" if y.dtype.kind in "SO" else ""
        raise BadData(f"{name} holds {y.dtype} values; give integer or string labels{hint}")
    if y.dtype.kind == "U":
        try:
            "\n".join(np.unique(y)).encode()
        except ValueError as error:
            raise BadData(f"{name} holds text that is not Unicode; give plain strings") from error
        return y
    if y.dtype.kind == "f":
        if not (finite := np.isfinite(y)).all():
            at = int(finite.argmin())
            raise BadData(f"{name} holds {y[at]} in sample {at}; give integer or string labels")
        if not (even := y == np.rint(y)).all():
            at = int(even.argmin())
            raise BadData(
                f"{name} holds fractions, such as {y[at]:g} in sample {at}; give labels, or say "
                "--kind regression"
            )
    if len(y) and y.max() > (_EXACT if y.dtype.kind == "f" else _LARGEST):
        raise BadData(f"{name} holds {y.max()}, too large for a label; number the classes from 0")
    if len(y) and y.dtype.kind == "f" and y.min() < -_EXACT:
        raise BadData(f"{name} holds {y.min()}, too large for a label; number the classes from 0")
    return y.astype(np.int64)


def check_lengths(X: Array, y: Array, X_name: str, y_name: str) -> None:
    """One label a sample.

    Raises:
        BadData: naming both arrays.
    """
    if len(X) != len(y):
        raise BadData(
            f"{X_name} has {len(X)} samples but {y_name} has {len(y)} labels; "
            "give one label a sample"
        )


def check_groups(
    groups: Mapping[str, NDArray[Any]], samples: Mapping[str, Array]
) -> dict[str, NDArray[np.int64]]:
    """Groups by split as numbers, those of one name alike in all splits.

    Raises:
        BadData: naming the array.
    """
    whole = {part: _as_integers(of) for part, of in groups.items()}
    for part, of in whole.items():
        name = f"groups_{part}" if part else "groups"
        if of.shape != (len(samples[part]),) or of.dtype.kind not in "iubU":
            raise BadData(
                f"{name} holds {of.dtype} values of shape {list(of.shape)}; "
                f"give an integer or a string for each of {len(samples[part])} samples"
            )
    if not groups:
        return {}
    if len({of.dtype.kind == "U" for of in whole.values()}) > 1:
        raise BadData("The groups of some splits are numbers, of others text; make them alike")
    _, numbers = np.unique(np.concatenate(list(whole.values())), return_inverse=True)
    ends = np.cumsum([len(of) for of in whole.values()])[:-1]
    return dict(zip(groups, np.split(numbers.astype(np.int64), ends), strict=True))


def _as_integers(groups: NDArray[Any]) -> NDArray[Any]:
    """Numbers of groups that were saved as fractions but are none, as integers."""
    if groups.dtype.kind != "f" or not (np.isfinite(groups) & (groups == np.rint(groups))).all():
        return groups
    return groups.astype(np.int64)
