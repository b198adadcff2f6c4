"""Are these samples and labels fit for training? Each check names the array and the next step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData

__all__ = ["check_labels", "check_lengths", "check_samples"]

_LARGEST = np.iinfo(np.int64).max
_EXACT = 2.0**53  # floats above it skip integers


def check_samples(X: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Samples [n, c, l] or [n, c, h, w] of finite numbers, as float32.

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
        raise BadData(f"{name} is empty (shape {list(X.shape)}); give at least one sample")
    with np.errstate(over="ignore"):
        floats = np.ascontiguousarray(X, dtype=np.float32)
    finite = np.isfinite(floats)
    if not finite.all():
        where = int(np.flatnonzero(~finite.reshape(len(X), -1).all(1))[0])
        value = X[where][~finite[where]][0]
        if np.isfinite(value):
            raise BadData(f"{name} holds {value:.3g} in sample {where}, beyond float32; rescale it")
        raise BadData(
            f"{name} holds {value} in sample {where}; fill or drop such samples before the run"
        )
    return floats


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
        if not np.isfinite(y).all():
            raise BadData(f"{name} holds NaN or inf; give integer or string labels")
        if not np.array_equal(y, np.rint(y)):
            raise BadData(f"{name} holds fractions; only classification is supported: give labels")
    if len(y) and y.max() > (_EXACT if y.dtype.kind == "f" else _LARGEST):
        raise BadData(f"{name} holds {y.max()}, too large for a label; number the classes from 0")
    if len(y) and y.dtype.kind == "f" and y.min() < -_EXACT:
        raise BadData(f"{name} holds {y.min()}, too large for a label; number the classes from 0")
    return y.astype(np.int64)


def check_lengths(X: NDArray[Any], y: NDArray[Any], X_name: str, y_name: str) -> None:
    """One label a sample.

    Raises:
        BadData: naming both arrays.
    """
    if len(X) != len(y):
        raise BadData(
            f"{X_name} has {len(X)} samples but {y_name} has {len(y)} labels; "
            "give one label a sample"
        )
