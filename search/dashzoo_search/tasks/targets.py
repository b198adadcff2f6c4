"""Are these labels what their kind of problem is trained on? As it is trained on them, if so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.rows import Array, Rows, blocks, whole
from dashzoo_search.tasks.checks import check_finite, check_labels
from dashzoo_search.tasks.kinds import KINDS, Kind

__all__ = ["check_targets", "encode", "outputs_of"]

IGNORED = -1
MOST_LABELS = 4096


def check_targets(y: Array, kind: Kind, size: tuple[int, ...], name: str) -> Array:
    """Labels of ``kind``: integers or strings [n] of a classification, else as `Split` has them.

    Args:
        y: as they were given.
        kind: of problem.
        size: length, or height and width, of a sample.
        name: of the array, for the error message.

    Raises:
        BadData: naming the array ``name``.
    """
    if kind == "classification":
        return check_labels(whole(y), name)
    if y.dtype.kind not in "fiub":
        raise BadData(f"{name} holds {y.dtype} values; a {kind} needs {KINDS[kind].labels}")
    if y.ndim == 0 or not _fits(y.shape[1:], kind, size):
        at = f" of samples of size {list(size)}" if KINDS[kind].dense else ""
        raise BadData(f"{name} has shape {list(y.shape)}; a {kind}{at} needs {KINDS[kind].labels}")
    if kind == "dense_labels":
        for block in blocks(y):
            odd = block[~((block >= IGNORED) & (block < MOST_LABELS) & (block == np.rint(block)))]
            if len(odd):
                raise BadData(f"{name} holds {odd[0]}; dense labels are {KINDS[kind].labels}")
        return _change(y, lambda block: block.astype(np.int64))
    y = check_finite(y, name)
    if kind == "multilabel":
        for block in blocks(y):
            if not ((block == 0) | (block == 1)).all():
                raise BadData(f"{name} holds more than {KINDS[kind].labels}; say another --kind")
        return whole(y)
    if kind == "regression":
        return whole(y) if y.ndim == 2 else whole(y)[:, None]
    return y if y.ndim == 2 + len(size) else _change(y, lambda block: block[:, None])


def outputs_of(
    labels: Mapping[str, Array], kind: Kind, names: tuple[str, ...] | None
) -> tuple[str, ...]:
    """Names of the classes, labels or outputs, and whether all splits have the same.

    Args:
        labels: of each split, by its name, as `check_targets` gives them; ``train`` among them.
        kind: of problem.
        names: what the user calls them; of no use to a classification, whose labels are names.

    Raises:
        BadData: naming the array.
    """
    if kind == "classification":
        return _classes({part: whole(y) for part, y in labels.items()})
    if kind == "dense_labels":
        most = {part: max(int(block.max()) for block in blocks(y)) for part, y in labels.items()}
        if most["train"] < 1:
            raise BadData("y_train holds fewer than two labels; number them from 0")
        count = len(names) if names else most["train"] + 1
        for part, largest in most.items():
            if largest >= count:
                raise BadData(f"y_{part} has the label {largest}, but there are {count} classes")
    else:
        count = labels["train"].shape[1]
        for part, y in labels.items():
            if y.shape[1] != count:
                raise BadData(
                    f"y_{part} has {y.shape[1]} outputs, y_train {count}; make them alike"
                )
    if names is not None and len(names) != count:
        raise BadData(f"There are {len(names)} names for {count} outputs; give one for each")
    if names is not None:
        return names
    stem = "y" if kind in ("regression", "dense_regression") else ""
    return (stem,) if stem and count == 1 else tuple(f"{stem}{i}" for i in range(count))


def encode(labels: Mapping[str, Array], kind: Kind) -> Mapping[str, Array]:
    """``labels`` as `Split` has them: class indices of a classification; others are so already."""
    if kind != "classification":
        return labels
    classes = np.unique(whole(labels["train"]))
    return {part: np.searchsorted(classes, whole(y)).astype(np.int64) for part, y in labels.items()}


def _classes(labels: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
    classes = np.unique(labels["train"])
    if len(classes) < 2:
        raise BadData(f"y_train holds only the class {classes[0]!s}; give at least two classes")
    for part, y in labels.items():
        if y.dtype.kind != classes.dtype.kind:
            raise BadData(f"y_{part} and y_train hold labels of different types; make them alike")
        if len(foreign := np.setdiff1d(y, classes)):
            raise BadData(
                f"y_{part} has the class {foreign[0]!s}, which y_train lacks; "
                "remove it or add training samples of it"
            )
    return tuple(str(c) for c in classes)


def _fits(shape: tuple[int, ...], kind: Kind, size: tuple[int, ...]) -> bool:
    if kind == "multilabel":
        return len(shape) == 1 and shape[0] > 0
    if kind == "regression":
        return len(shape) == 0 or (len(shape) == 1 and shape[0] > 0)
    if kind == "dense_labels":
        return shape == size
    return shape == size or (len(shape) == 1 + len(size) and shape[0] > 0 and shape[1:] == size)


def _change(y: Array, convert: Callable[[NDArray[Any]], NDArray[Any]]) -> Array:
    return y.map(convert) if isinstance(y, Rows) else convert(y)
