"""A task: three disjoint splits of checked arrays, what the labels mean, and where it came from.

The test split is sealed: its arrays come out through `SealedSplit.open`, which counts, so that a
result can say how often test was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dashzoo_search.errors import BadData
from dashzoo_search.rows import Array, join, take
from dashzoo_search.space import SearchSpace
from dashzoo_search.tasks.checks import check_groups, check_lengths, check_samples
from dashzoo_search.tasks.digest import digest
from dashzoo_search.tasks.kinds import KINDS, Kind, guess_kind
from dashzoo_search.tasks.splits import cut_fraction, cut_last, folds
from dashzoo_search.tasks.targets import check_targets, encode, outputs_of

__all__ = ["SealedSplit", "Split", "Task", "classification_task", "make_task"]

VALIDATION_FRACTION = 0.2

Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Split:
    """Samples and what is to be told of each; either may be larger than memory.

    Attributes:
        X: float32 [n, c, …].
        y: by kind,

            - classification: int64 [n],
            - multilabel: float32 [n, labels] of zeros and ones,
            - regression: float32 [n, outputs],
            - dense_regression: float32 [n, outputs, *size],
            - dense_labels: int64 [n, *size], -1 where there is none.
        groups: numbers int64 [n] of what must not be on both sides of a cut, or None.
        by_time: whether samples are in order of time, oldest first, so that parts are cut off its
            end, and folds are stretches of it, whatever the seed.
    """

    X: Array
    y: Array
    groups: NDArray[np.int64] | None = None
    by_time: bool = False

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, index: Any) -> Tensor:
        """The samples at ``index`` (integers, a mask or a slice), as a tensor [m, c, …]."""
        return torch.from_numpy(self.X[index])

    def targets(self, index: Any = slice(None)) -> Tensor:
        """Of the samples at ``index`` what `y` says, as a tensor [m, …]."""
        return torch.from_numpy(self.y[index])

    def take(self, index: NDArray[Any]) -> Split:
        """The samples at ``index``; those on disk stay there."""
        groups = self.groups[index] if self.groups is not None else None
        return Split(take(self.X, index), take(self.y, index), groups, self.by_time)

    def join(self, other: Split) -> Split:
        """Our samples, then those of ``other``."""
        groups = None
        if self.groups is not None and other.groups is not None:
            groups = np.concatenate([self.groups, other.groups])
        X, y = join(self.X, other.X), join(self.y, other.y)
        return Split(X, y, groups, self.by_time and other.by_time)

    @property
    def strata(self) -> NDArray[np.int64]:
        """Numbers [n] of what cuts and folds keep in balance: classes, where there are any."""
        if self.y.ndim == 1 and isinstance(self.y, np.ndarray) and self.y.dtype.kind == "i":
            return self.y
        return np.zeros(len(self), np.int64)

    def cut(self, fraction: float, *, seed: int, array: str = "y") -> tuple[Split, Split]:
        """The rest, and about ``fraction`` of the samples: see `cut_fraction` and `cut_last`."""
        if self.by_time:
            rest, cut = cut_last(len(self), fraction, groups=self.groups)
            return self.take(rest), self.take(cut)
        rest, cut = cut_fraction(self.strata, fraction, seed=seed, array=array, groups=self.groups)
        return self.take(rest), self.take(cut)

    def folds(self, count: int, *, seed: int) -> list[Index]:
        """Indices of ``count`` parts; see `splits.folds`. Groups come before time."""
        if self.by_time and self.groups is None:
            return list(np.array_split(np.arange(len(self)), count))
        return folds(self.strata, count, seed=seed, groups=self.groups)


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
    """A problem to be learnt.

    Attributes:
        name: what `load_task` took, without any local folder.
        train, val, test: disjoint; val is cut from train unless the data brings its own.
        classes: label of each class index, or name of each label or output.
        source: one sentence on where the data comes from.
        license: of the data, as far as known.
        sha256: of all arrays as they were loaded.
        published: rows of figures from the literature, each with its source.
        kind: what is to be told of a sample, see `Kind`.
        loss, metric: names of what it is trained on and judged by.
        positive_weight: what a positive label counts in the loss, a negative one counting 1.
        guessed: what nobody said, and why it was taken; a sentence each.
        space: kernel sizes and dilations to search by default; None takes DASH's.
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
    kind: Kind = "classification"
    loss: str = KINDS["classification"].loss
    metric: str = KINDS["classification"].metric
    positive_weight: float = 1.0
    guessed: tuple[str, ...] = field(default=())
    space: SearchSpace | None = None

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

    @property
    def outputs(self) -> int:
        """Outputs of a network for a sample, or for each of its positions."""
        return len(self.classes)

    @property
    def dense(self) -> bool:
        """Whether there is an output for every position of a sample."""
        return KINDS[self.kind].dense

    def describe(self) -> dict[str, Any]:
        """What results.json says of the task."""
        return {
            "name": self.name,
            "kind": self.kind,
            "loss": self.loss,
            "metric": self.metric,
            "positive_weight": self.positive_weight,
            "guessed": list(self.guessed),
            "dims": self.dims,
            "channels": self.channels,
            "size": list(self.size),
            "classes": list(self.classes),
            "counts": {"train": len(self.train), "val": len(self.val), "test": len(self.test)},
            "source": self.source,
            "license": self.license,
            "sha256": self.sha256,
        }


Pair = tuple[Array, Array]


def make_task(
    name: str,
    *,
    kind: Kind | None = None,
    train: Pair,
    test: Pair,
    val: Pair | None = None,
    seed: int,
    source: str,
    license: str = "unknown",
    published: tuple[Mapping[str, Any], ...] = (),
    loss: str | None = None,
    metric: str | None = None,
    positive_weight: float = 1.0,
    names: tuple[str, ...] | None = None,
    groups: Mapping[str, NDArray[Any]] | None = None,
    by_time: bool = False,
    space: SearchSpace | None = None,
) -> Task:
    """Check raw arrays and make a task of them.

    Args:
        name: for the report.
        kind: of problem; None guesses it from the labels, and says so.
        train, test, val: pairs of samples [n, c, l] or [n, c, h, w] and labels, see `KINDS`;
            those of a classification are integers or strings. Without ``val`` a fifth of train is
            cut off, stratified, by ``seed``.
        seed: chooses the validation samples.
        source, license, published: see `Task`.
        loss, metric: names; None takes those usual for the kind.
        positive_weight: see `Task`.
        names: of labels or outputs.
        groups: by split, integers or strings [n]; no group is cut in two.
        by_time: whether samples are in order of time, so that the last of train become val.
        space: see `Task`.

    Raises:
        BadData: naming the array and what is wrong with it.
    """
    named = {"train": train, "test": test} | ({"val": val} if val is not None else {})
    samples = {part: check_samples(X, f"X_{part}") for part, (X, _) in named.items()}
    size = samples["train"].shape[2:]
    guessed: tuple[str, ...] = ()
    if kind is None:
        kind, why = guess_kind(train[1], size, "y_train")
        if why:
            guessed = (f"kind is {kind}: {why}",)
    labels = {}
    for part, (_, y) in named.items():
        labels[part] = check_targets(y, kind, samples[part].shape[2:], f"y_{part}")
        check_lengths(samples[part], labels[part], f"X_{part}", f"y_{part}")
    for part, X in samples.items():
        if X.shape[1:] != samples["train"].shape[1:]:
            raise BadData(
                f"A sample of X_{part} has shape {list(X.shape[1:])}, one of X_train "
                f"{list(samples['train'].shape[1:])}; make them alike"
            )
    classes = outputs_of(labels, kind, names)
    encoded = encode(labels, kind)
    numbers = check_groups(groups or {}, samples)
    splits = {
        part: Split(samples[part], encoded[part], numbers.get(part), by_time) for part in named
    }
    sha256 = digest(samples, labels, kind)
    if val is None:
        whole = splits["train"]
        splits["train"], splits["val"] = whole.cut(VALIDATION_FRACTION, seed=seed, array="y_train")
    return Task(
        name=name,
        train=splits["train"],
        val=splits["val"],
        test=SealedSplit(splits["test"]),
        classes=classes,
        source=source,
        license=license,
        sha256=sha256,
        published=published,
        kind=kind,
        loss=loss or KINDS[kind].loss,
        metric=metric or KINDS[kind].metric,
        positive_weight=positive_weight,
        guessed=guessed,
        space=space,
    )


def classification_task(name: str, *, train: Pair, test: Pair, **more: Any) -> Task:
    """`make_task` of the kind most are."""
    return make_task(name, kind="classification", train=train, test=test, **more)
