"""A task from the user's own arrays, wherever a reader found them.

They are ``X_train, y_train, X_test, y_test`` (and ``X_val, y_val`` if there is a validation split
of its own), or ``X, y``, of which a fifth becomes test, by seed or, with ``split="time"``, the last
fifth. Beside them may stand ``groups`` (or ``groups_train``, …), one a sample, which no cut tears
apart, and ``classes``, the names of labels or outputs. Sequences that end in NaN are of unequal
length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.rows import Array, take, whole
from dashzoo_search.tasks.cells import check_cells
from dashzoo_search.tasks.checks import check_groups, check_labels, check_lengths, check_samples
from dashzoo_search.tasks.kinds import guess_kind
from dashzoo_search.tasks.lengths import equal_lengths
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.splits import cut_fraction, cut_last
from dashzoo_search.tasks.targets import check_targets
from dashzoo_search.tasks.task import Task, make_task

__all__ = ["EXPECTED", "NAMES", "TEST_FRACTION", "arrays_task", "take_arrays"]

NAMES = (
    "X", "y", "X_train", "y_train", "X_val", "y_val", "X_test", "y_test",
    "groups", "groups_train", "groups_val", "groups_test", "classes",
)  # fmt: skip
TEST_FRACTION = 0.2
EXPECTED = "X_train, y_train, X_test, y_test, or X, y"
_SPLIT = {"X_train", "y_train", "X_test", "y_test"}
_HERE = DataOptions()


def arrays_task(
    arrays: Mapping[str, Array],
    *,
    name: str,
    origin: str,
    seed: int,
    options: DataOptions = _HERE,
) -> Task:
    """A task of ``arrays``.

    Args:
        arrays: by the names above; of a table also ``columns`` and ``rows``, for error messages.
        name: of the task.
        origin: name of the file they are from.
        seed: chooses the validation samples, and the test samples of ``X, y``.
        options: what the user said of them.

    Raises:
        BadData: naming the array.
    """
    held = {part: value for part, value in arrays.items() if part[0] in "Xy"}
    groups, names = _beside(arrays, origin)
    check_cells(arrays, origin)
    if set(held) >= _SPLIT and not {"X", "y"} & set(held):
        if len({"X_val", "y_val"} & set(held)) == 1:
            raise BadData(f"{origin} holds only one of X_val and y_val; give both or neither")
        if options.split == "time" and "X_val" in held:
            raise BadData(f"{origin} has its own splits, so that --split time has nothing to do")
        held, same = equal_lengths(held, options, origin)
        parts = {
            part: (held[f"X_{part}"], held[f"y_{part}"])
            for part in ("train", "val", "test")
            if f"X_{part}" in held
        }
        how = "the file's own splits"
        for missing in set(parts) - set(groups) if groups else ():
            raise BadData(f"{origin} holds groups, but not groups_{missing}; give all or none")
        _keep_apart(groups, origin)
    elif set(held) == {"X", "y"}:
        held, same = equal_lengths(held, options, origin)
        rest, cut, how = _cut_test(held["X"], held["y"], groups.get(""), seed, options)
        parts = {
            part: (take(held["X"], index), take(held["y"], index))
            for part, index in (("train", rest), ("test", cut))
        }
        if "" in groups:
            groups = {"train": groups[""][rest], "test": groups[""][cut]}
    else:
        there = ", ".join(n for n in NAMES if n in held)
        wanted = {"X", "y"} if set(held) <= {"X", "y"} else _SPLIT
        lacking = ", ".join(n for n in NAMES if n in wanted - set(held))
        what = f"holds {there} but lacks {lacking}" if there else "holds none of the arrays"
        raise BadData(f"{origin} {what}; save {EXPECTED}, by these names")
    return make_task(
        name,
        kind=options.kind,
        train=parts["train"],
        test=parts["test"],
        val=parts.get("val"),
        seed=seed,
        source=f"the user's own file {origin}, {how}{same}",
        loss=options.loss,
        metric=options.metric,
        positive_weight=options.positive_weight,
        names=names,
        groups=groups,
        by_time=options.split == "time",
    )


def take_arrays(values: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Those of ``values`` that belong to a task, as arrays.

    Raises:
        BadData: naming a value that makes no array of numbers or strings.
    """
    arrays = {}
    for name in NAMES:
        try:
            if name in values:
                arrays[name] = np.asarray(values[name])
        except Exception as error:  # ragged lists, tensors on a device: each has its own exception
            raise BadData(f"{name} makes no array ({error}); give a NumPy array") from error
    return arrays


def _beside(
    arrays: Mapping[str, Array], origin: str
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...] | None]:
    """Groups by split (``""`` being all), and the names of outputs."""
    groups = {
        name.removeprefix("groups").removeprefix("_"): whole(value)
        for name, value in arrays.items()
        if name.startswith("groups")
    }
    if "classes" not in arrays:
        return groups, None
    classes = whole(arrays["classes"])
    if classes.ndim != 1 or classes.dtype.kind not in "Uiu":
        raise BadData(f"classes in {origin} must be names, [outputs]; give strings")
    return groups, tuple(map(str, classes))


def _keep_apart(groups: Mapping[str, NDArray[Any]], origin: str) -> None:
    for part in groups:
        for other in groups:
            if part < other and len(both := np.intersect1d(groups[part], groups[other])):
                raise BadData(
                    f"{origin} has the group {both[0]!s} in {part} and in {other}; "
                    "keep each group in one split"
                )


def _cut_test(
    X: Array, y: Array, groups: NDArray[Any] | None, seed: int, options: DataOptions
) -> tuple[NDArray[np.intp], NDArray[np.intp], str]:
    X = check_samples(X, "X")
    kind = options.kind or guess_kind(y, X.shape[2:])[0]
    strata = np.zeros(y.shape[0] if y.ndim else 0, np.int64)
    if kind == "classification":
        labels = check_labels(whole(y), "y")
        classes, strata, counts = np.unique(labels, return_inverse=True, return_counts=True)
    check_lengths(X, strata, "X", "y")
    if kind == "classification":
        if len(classes) < 2:
            raise BadData(f"y holds only the class {classes[0]!s}; give at least two classes")
        if counts.max() < 3:
            number = ", or say --kind regression" if labels.dtype.kind == "i" else ""
            raise BadData(
                f"y has no class of three samples; give one each for train, val and test{number}"
            )
    elif len(strata) < 3:
        raise BadData("X holds fewer than three samples; give one each for train, val and test")
    if kind != "classification":
        check_targets(y, kind, X.shape[2:], "y")  # before the cut, so that the sample is the file's
    numbers = None
    if groups is not None:
        numbers = check_groups({"": groups}, {"": X})[""]
        if (count := len(np.unique(numbers))) < len(("train", "val", "test")):
            raise BadData(
                f"The samples are of {'one group' if count == 1 else 'two groups'} only; give at "
                "least three, for train, val and test"
            )
    if options.split == "time":
        rest, cut = cut_last(len(strata), TEST_FRACTION, groups=numbers)
        return rest, cut, "the last fifth being test"
    rest, cut = cut_fraction(strata, TEST_FRACTION, seed=seed, groups=numbers)
    whole_groups = ", no group being cut in two" if groups is not None else ""
    return rest, cut, f"test split cut by seed {seed}{whole_groups}"
