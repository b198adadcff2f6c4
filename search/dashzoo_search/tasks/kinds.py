"""Kinds of problems, what they are trained on and judged by, and which one labels speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dashzoo_search.errors import BadData
from dashzoo_search.rows import Array, blocks, whole

__all__ = ["KINDS", "Kind", "Usual", "guess_kind"]

Kind = Literal["classification", "multilabel", "regression", "dense_regression", "dense_labels"]

MOST_GUESSED_CLASSES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What is usual for a kind.

    Attributes:
        loss, metric: names.
        dense: whether there is an output for every position of a sample.
        classes: whether outputs are those of classes, of which one is right.
        labels: the shape and type of what it learns, in words.
    """

    loss: str
    metric: str
    dense: bool
    labels: str
    classes: bool = False


KINDS: Mapping[Kind, Usual] = {
    "classification": Usual(
        loss="cross_entropy",
        metric="accuracy",
        dense=False,
        labels="one integer or string a sample, [n]",
        classes=True,
    ),
    "multilabel": Usual(
        loss="binary_cross_entropy", metric="map", dense=False, labels="zeros and ones [n, labels]"
    ),
    "regression": Usual(
        loss="mse", metric="rmse", dense=False, labels="numbers [n] or [n, outputs]"
    ),
    "dense_regression": Usual(
        loss="mse", metric="rmse", dense=True, labels="numbers [n, outputs, *size] or [n, *size]"
    ),
    "dense_labels": Usual(
        loss="cross_entropy",
        metric="accuracy",
        dense=True,
        labels="integers [n, *size] from 0, -1 where there is none",
        classes=True,
    ),
}


def guess_kind(y: Array, size: tuple[int, ...], name: str = "y") -> tuple[Kind, str]:
    """The kind of problem that labels ``y`` of samples of ``size`` speak of, and why.

    The reason is empty where nothing else can be meant.

    Args:
        y: as they were given.
        size: length, or height and width, of a sample.
        name: of the array, for the error message.

    Raises:
        BadData: they speak of several; it names ``--kind``.

    >>> guess_kind(np.array([0.5, 1.25]), (8,))
    ('regression', 'y holds one fraction a sample')
    """
    whole_numbers = y.dtype.kind in "iub"
    shape = f"{name} has shape {list(y.shape)}"
    if y.ndim == 1:
        if y.dtype.kind != "f":
            count = len(np.unique(whole(y))) if y.dtype.kind in "iu" else 0
            if count > MOST_GUESSED_CLASSES:
                return "classification", (
                    f"{name} holds {count} different integers; if they are quantities, say "
                    "--kind regression"
                )
            return "classification", ""
        values = np.unique(whole(y))
        if not np.array_equal(values, np.rint(values)):
            return "regression", f"{name} holds one fraction a sample"
        if len(values) > MOST_GUESSED_CLASSES:
            raise BadData(
                f"{name} holds {len(values)} different whole numbers, saved as fractions; "
                "say --kind classification or --kind regression"
            )
        return "classification", f"{name} holds few different whole numbers"
    if y.dtype.kind not in "iubf" or y.ndim == 0:
        return "classification", "nothing else fits"  # whose check says what is wrong
    if y.ndim == 2 and y.shape[1] == 1 and size != (1,):
        values = np.unique(whole(y))
        if np.array_equal(values, np.rint(values)):
            raise BadData(
                f"{shape}; give one label a sample, [n], as {name}[:, 0] does, or say --kind "
                "multilabel or --kind regression"
            )
    if y.ndim == 2 and all(((block == 0) | (block == 1)).all() for block in blocks(y)):
        if y.shape[1:] == size:
            raise BadData(
                f"{shape}, zeros and ones, as many as a sample is long; "
                "say --kind multilabel or --kind dense_labels"
            )
        if all((block.sum(1) == 1).all() for block in blocks(y)):
            raise BadData(
                f"{shape} and one 1 in every row; give one label a sample, [n], as "
                f"{name}.argmax(1) does, or say --kind multilabel"
            )
        return "multilabel", f"{shape} and holds zeros and ones"
    if y.shape[1:] == size:
        kind: Kind = "dense_labels" if whole_numbers else "dense_regression"
        return kind, f"{shape}, that of the samples"
    if y.ndim == 2 + len(size) and y.shape[2:] == size and not whole_numbers:
        return "dense_regression", f"{shape}, a value for every position"
    if y.ndim == 2 and not whole_numbers:
        return "regression", f"{shape} and holds fractions"
    raise BadData(
        f"{shape}, which can be read in several ways; give one label a sample, [n], or say --kind"
    )
