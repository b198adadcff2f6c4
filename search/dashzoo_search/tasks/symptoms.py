"""What may be wrong with data that loads: a check each, which says what it found and the mend.

Checks that compare samples with samples look at `MOST` of them and at `WIDEST` values of each,
spread evenly; a leak in the rest goes unseen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.rows import Array, blocks
from dashzoo_search.tasks.task import Split, Task

__all__ = [
    "Finding",
    "alike_neighbours",
    "axes",
    "balance",
    "constant",
    "duplicates",
    "ids",
    "leaks",
    "scale",
]

MOST = 2000
WIDEST = 4096
RARE, SKEWED = 5, 10
SCALES = 100
FEWEST = 10
SWAPPED = 4

Severity = Literal["fault", "warning", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing the doctor found.

    Attributes:
        about: a word: ``"duplicates"``, ``"leak"``, …
        severity: ``"fault"`` if nothing can be trained, ``"warning"`` if results will mislead.
        what: in a sentence.
        mend: what to do about it.
    """

    about: str
    severity: Severity
    what: str
    mend: str


def balance(task: Task) -> Iterator[Finding]:
    """Classes with few samples, or far fewer than others."""
    if task.kind != "classification":
        return
    counts = np.bincount(task.train.strata, minlength=task.outputs)
    rarest = int(counts.argmin())
    if counts[rarest] < RARE:
        yield Finding(
            about="balance",
            severity="warning",
            what=f"Only {counts[rarest]} training samples are of the class {task.classes[rarest]}",
            mend="Give more of them, or join the class with another.",
        )
    elif counts.max() > SKEWED * counts[rarest]:
        most = int(counts.argmax())
        yield Finding(
            about="balance",
            severity="note",
            what=f"{task.classes[most]} has {counts[most]} training samples, "
            f"{task.classes[rarest]} only {counts[rarest]}",
            mend="Judge by --metric f1, since always naming the first would score well.",
        )


def constant(task: Task) -> Iterator[Finding]:
    """Channels that never change."""
    low = np.min([block.min((0, *range(2, block.ndim))) for block in blocks(task.train.X)], 0)
    high = np.max([block.max((0, *range(2, block.ndim))) for block in blocks(task.train.X)], 0)
    for channel in np.flatnonzero(low == high):
        yield Finding(
            about="constant",
            severity="note",
            what=f"Channel {channel} is {low[channel]:g} throughout the training split",
            mend="Leave it out.",
        )


def scale(task: Task) -> Iterator[Finding]:
    """Channels that are far larger in some samples than in others, which normalised vanish."""
    spread = np.concatenate(
        [
            block.reshape(*block.shape[:2], -1).std(2, dtype=np.float64)
            for block in blocks(task.train.X)
        ]
    )
    for channel, of in enumerate(spread.T):
        small, large = np.percentile(of[of > 0], (10, 90)) if of.any() else (1.0, 1.0)
        if large > SCALES * small:
            yield Finding(
                about="scale",
                severity="warning",
                what=f"Channel {channel} varies by more than {large:.2g} in a tenth of the "
                f"training samples, and by less than {small:.2g} in another",
                mend="Add --input-norm sample if scale tells nothing, or take logarithms.",
            )
            return


def axes(task: Task) -> Iterator[Finding]:
    """Samples that look as if their channels came last."""
    _, channels, *size = task.train.X.shape
    last = size[-1]
    if len(size) == 1 and channels >= SWAPPED * last:
        told, mend = f"are {last} long", "X.swapaxes(1, 2)"
    elif len(size) == 2 and last in (1, 3, 4) and min(channels, size[0]) > SWAPPED:
        told, mend = f"are {size[0]}×{last}", "X.transpose(0, 3, 1, 2)"
    else:
        return
    yield Finding(
        about="axes",
        severity="warning",
        what=f"Samples have {channels} channels and {told}, as if channels came last",
        mend=f"If they do, save {mend}.",
    )


def duplicates(parts: Mapping[str, Split], together: str = "") -> Iterator[Finding]:
    """Samples that occur again, in their own split or in another.

    Args:
        parts: the splits.
        together: how to keep samples on one side of a split, where that can be said.
    """
    where: dict[bytes, set[str]] = {}
    told: dict[bytes, set[bytes]] = {}
    again = dict.fromkeys(parts, 0)
    for name, split in parts.items():
        for digest, label in zip(_digests(split.X), _digests(split.y), strict=True):
            again[name] += name in where.setdefault(digest, set())
            where[digest].add(name)
            told.setdefault(digest, set()).add(label)
    for name, other in (("val", "train"), ("test", "train"), ("test", "val")):
        both = [of for of in where.values() if {name, other} <= of]
        shared = sum(other == "train" or "train" not in of for of in both)
        if shared:
            called = "the training split" if other == "train" else other
            yield Finding(
                about="duplicates",
                severity="warning",
                what=f"Samples of {name} that are in {called} too: {shared}",
                mend=f"Drop them, or {together}." if together else "Drop them.",
            )
    for name in parts:
        if again[name]:
            yield Finding(
                about="duplicates",
                severity="note",
                what=f"Samples of {name} that repeat others in it: {again[name]}",
                mend="Drop the repeats.",
            )
    if torn := sum(len(labels) > 1 for labels in told.values()):
        yield Finding(
            about="labels",
            severity="warning",
            what=f"Samples that occur with different labels: {torn}",
            mend="Settle which label is right.",
        )


def leaks(task: Task, parts: Mapping[str, Split], columns: Sequence[str] = ()) -> Iterator[Finding]:
    """Single values of a sample that tell the label of unseen samples without fail.

    Args:
        task: to look at.
        parts: its splits.
        columns: of the table it was read from, if it was one.
    """
    if task.dense or task.kind == "multilabel":
        return
    held = [_spread(split) for name, split in parts.items() if name != "train"]
    X, y = _spread(task.train)
    features = np.linspace(0, X.shape[1] - 1, min(X.shape[1], WIDEST)).round().astype(int)
    unseen, truth = (np.concatenate(both) for both in zip(*held, strict=True))
    if len(truth) < FEWEST or len(np.unique(truth, axis=0)) < 2:
        return
    found = []
    for feature in features:
        values, asked = X[:, feature], unseen[:, feature]
        if task.kind == "regression":
            error = np.abs(_nearest(values, y, asked) - truth).mean()
            told = _correlation(values, y[:, 0]) > 1 - 1e-6 and error < 0.1 * truth.std()
        else:
            told = np.array_equal(_nearest(values, y, asked), truth)
        if told:
            found.append(int(feature))
    if found:
        where = _where(found[0], task.train.X.shape[1:], columns)
        more = f" (and {len(found) - 1} more values)" if len(found) > 1 else ""
        yield Finding(
            about="leak",
            severity="warning",
            what=f"The value of {where} alone{more} tells the label of every unseen sample",
            mend="Leave it out if it is the label, an id or the like in another guise.",
        )


def ids(X: Array, mend: str, columns: Sequence[str] = ()) -> Iterator[Finding]:
    """Values that only ever grow from row to row, as ids and times do."""
    if len(X) < FEWEST:
        return
    growing = np.ones(X[:1].size, bool)
    last = None
    for block in blocks(X):
        rows = np.asarray(block).reshape(len(block), -1)
        rows = rows if last is None else np.concatenate([last, rows])
        growing &= np.logical_and.reduce(rows[1:] > rows[:-1])
        last = rows[-1:]
    if growing.any():
        where = _where(int(growing.argmax()), X.shape[1:], columns)
        yield Finding(
            about="id",
            severity="warning",
            what=f"The value of {where} grows from row to row, like an id or a time",
            mend=mend,
        )


def alike_neighbours(X: Array, y: Array, mend: str) -> Iterator[Finding]:
    """Rows far more like the next than like others of their label, as overlapping windows are."""
    if len(X) < 2 * FEWEST or y.ndim != 1:
        return
    labels = np.unique(np.asarray(y), return_inverse=True)[1]
    same = np.flatnonzero(labels[1:] == labels[:-1])
    if len(same) < FEWEST:
        return
    first = same[np.linspace(0, len(same) - 1, min(len(same), MOST // 4)).round().astype(int)]
    rng = np.random.default_rng(0)
    other = np.array([rng.choice(np.flatnonzero(labels == labels[i])) for i in first])
    here, there, far = (np.asarray(X[at], np.float64) for at in (first, first + 1, other))
    apart = np.abs(here - far).mean()
    near = np.abs(here - there).mean()
    if near < 0.5 * apart:
        yield Finding(
            about="order",
            severity="warning",
            what="Neighbouring rows are less than half as far apart as others of their label, and "
            "a split by seed puts them on both sides",
            mend=mend,
        )


def _where(value: int, shape: tuple[int, ...], columns: Sequence[str]) -> str:
    """What the user calls a value of a sample of ``shape``, by its place in memory."""
    channel, *position = map(int, np.unravel_index(value, shape))
    at = ", ".join(map(str, position))
    if len(columns) == np.prod(shape):  # a row a sample
        return f"column {columns[value]}"
    # In long form columns are channels; padding adds one.
    if len(columns) in (shape[0], shape[0] - 1) and channel < len(columns):
        return f"column {columns[channel]} at {at}"
    return f"channel {channel} at {at}"


def _digests(array: Array) -> Iterator[bytes]:
    for block in blocks(array):
        for row in np.ascontiguousarray(block):
            yield hashlib.blake2b(row.tobytes(), digest_size=12).digest()


def _spread(split: Split) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    at = np.linspace(0, len(split) - 1, min(len(split), MOST)).round().astype(int)
    return split.X[at].reshape(len(at), -1), split.y[at]


def _nearest(
    values: NDArray[np.float32], labels: NDArray[np.float32], asked: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Labels of the nearest values."""
    order = np.argsort(values, kind="stable")
    values, labels = values[order], labels[order]
    right = np.searchsorted(values, asked).clip(1, len(values) - 1)
    left_is_nearer = asked - values[right - 1] < values[right] - asked
    nearest: NDArray[np.float32] = labels[right - left_is_nearer]
    return nearest


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    a, b = a - a.mean(dtype=np.float64), b - b.mean(dtype=np.float64)
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float(abs((a * b).sum()) / scale) if scale else 0.0
