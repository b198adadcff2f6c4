"""A task: three disjoint splits of checked arrays, what the labels mean, and where it came from.

The test split is sealed: its arrays come out through `SealedSplit.open`, which counts, so that a
result can say how often test was read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.checks import check_labels, check_lengths, check_samples
from dashzoo_search.tasks.splits import cut_fraction

__all__ = ["SealedSplit", "Split", "Task", "classification_task"]

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

VALIDATION_FRACTION = 0.2


@dataclass(frozen=True, slots=True)
class Split:
    """Samples ``X`` [n, c, …] and class indices ``y`` [n]."""

    X: Floats
    y: Labels

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: NDArray[np.intp]) -> Split:
        """The samples at ``index``."""
        return Split(self.X[index], self.y[index])


class SealedSplit:
    """A split that counts how often it is read."""

    def __init__(self, split: Split) -> None:
        self._split = split
        self.reads = 0

    def __len__(self) -> int:
        return len(self._split)

    def open(self) -> Split:
        """The samples; every call is counted."""
        self.reads += 1
        return self._split


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A classification problem.

    Attributes:
        name: what `load_task` took, without any local folder.
        train, val, test: disjoint; val is cut from train unless the data brings its own.
        classes: label of each class index.
        source: one sentence on where the data comes from.
        license: of the data, as far as known.
        sha256: of all arrays as they were loaded.
        published: rows of figures from the literature, each with its source.
    """

    name: str
    train: Split
    val: Split
    test: SealedSplit
    classes: tuple[str, ...]
    source: str
    license: str
    sha256: str
    published: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def channels(self) -> int:
        """Channels of a sample."""
        return int(self.train.X.shape[1])

    @property
    def size(self) -> tuple[int, ...]:
        """Length, or height and width, of a sample."""
        return tuple(self.train.X.shape[2:])

    @property
    def dims(self) -> int:
        """1 for sequences, 2 for images."""
        return len(self.size)

    def describe(self) -> dict[str, Any]:
        """What results.json says of the task."""
        return {
            "name": self.name,
            "kind": "classification",
            "dims": self.dims,
            "channels": self.channels,
            "size": list(self.size),
            "classes": list(self.classes),
            "counts": {"train": len(self.train), "val": len(self.val), "test": len(self.test)},
            "source": self.source,
            "license": self.license,
            "sha256": self.sha256,
        }


def classification_task(
    name: str,
    *,
    train: tuple[NDArray[Any], NDArray[Any]],
    test: tuple[NDArray[Any], NDArray[Any]],
    val: tuple[NDArray[Any], NDArray[Any]] | None = None,
    seed: int,
    source: str,
    license: str = "unknown",
    published: tuple[Mapping[str, Any], ...] = (),
) -> Task:
    """Check raw arrays and make a task of them.

    Args:
        name: for the report.
        train, test, val: pairs of samples [n, c, l] or [n, c, h, w] and labels [n], integers or
            strings; without ``val`` a fifth of train is cut off, stratified, by ``seed``.
        seed: chooses the validation samples.
        source, license, published: see `Task`.

    Raises:
        BadData: naming the array and what is wrong with it.
    """
    named = {"train": train, "test": test} | ({"val": val} if val is not None else {})
    samples = {part: check_samples(X, f"X_{part}") for part, (X, _) in named.items()}
    labels = {part: check_labels(y, f"y_{part}") for part, (_, y) in named.items()}
    for part, X in samples.items():
        check_lengths(X, labels[part], f"X_{part}", f"y_{part}")
        if X.shape[1:] != samples["train"].shape[1:]:
            raise BadData(
                f"A sample of X_{part} has shape {list(X.shape[1:])}, one of X_train "
                f"{list(samples['train'].shape[1:])}; make them alike"
            )
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
    splits = {
        part: Split(samples[part], np.searchsorted(classes, labels[part]).astype(np.int64))
        for part in named
    }
    digest = _digest(samples, labels)
    if val is None:
        rest, cut = cut_fraction(splits["train"].y, VALIDATION_FRACTION, seed=seed, array="y_train")
        splits["train"], splits["val"] = splits["train"].take(rest), splits["train"].take(cut)
    return Task(
        name=name,
        train=splits["train"],
        val=splits["val"],
        test=SealedSplit(splits["test"]),
        classes=tuple(str(c) for c in classes),
        source=source,
        license=license,
        sha256=digest,
        published=published,
    )


def _digest(samples: Mapping[str, Floats], labels: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for part in sorted(samples):
        for array in (samples[part], labels[part].astype(np.str_)):
            digest.update(f"{part} {array.shape} ".encode())
            digest.update("\0".join(array).encode() if array.dtype.kind == "U" else array.tobytes())
    return digest.hexdigest()
