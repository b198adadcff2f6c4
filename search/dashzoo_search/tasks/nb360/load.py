"""From the user's files of a task of NAS-Bench-360 to a `Task`.

They belong into ``$DASHZOO_DATA/nb360/NAME``: either the files as they are distributed, where those
hold no pickles (see `dashzoo_search.tasks.nb360.originals`), or a layout of ours, X_train.npy
[n, c, …] and y_train.npy, and so with val and test. Without a validation split of its own, the last
samples of train become it, as the benchmark does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dashzoo_search.errors import BadData
from dashzoo_search.rows import Array, take
from dashzoo_search.tasks.nb360.lock import check_lock, write_lock
from dashzoo_search.tasks.nb360.record import Record
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.readers.numpy_files import read_npy
from dashzoo_search.tasks.task import Task, make_task

__all__ = ["load_nb360", "nb360_folder"]

PARTS = ("train", "val", "test")
OURS = tuple(f"{of}_{part}.npy" for part in PARTS for of in "Xy")
_OPTIONAL = {"X_val.npy", "y_val.npy"}
_ROUNDED_TO = 1000


def nb360_folder(name: str) -> Path | None:
    """Where the files of a task belong; None where ``$DASHZOO_DATA`` is not set."""
    root = os.environ.get("DASHZOO_DATA")
    return Path(root).expanduser() / "nb360" / name if root else None


def load_nb360(record: Record, *, seed: int) -> Task:
    """Load the user's files.

    Args:
        record: of the task.
        seed: of no effect; the splits are the benchmark's.

    Raises:
        BadData: files are missing, are not what the record says, or have changed since they were
            first loaded.
    """
    folder = nb360_folder(record.name)
    if folder is None or not folder.is_dir():
        where = folder or f"$DASHZOO_DATA/nb360/{record.name}, and set DASHZOO_DATA to a folder"
        raise BadData(
            f"The data of nb360/{record.name} is not here: it cannot be distributed with dashzoo; "
            f"{_belongs(record, str(where))}"
        )
    try:
        there = {file.name for file in folder.iterdir() if file.is_file()}
    except OSError as error:
        raise BadData(f"{folder} cannot be read: {error.strerror}; check the folder") from error
    if record.original and there >= set(record.original.files):
        files, read = record.original.files, record.original.read
    elif there >= set(OURS) - _OPTIONAL:
        files = tuple(name for name in OURS if name in there)
        read = _read_ours
    else:
        raise BadData(
            f"{folder} does not hold all of nb360/{record.name}; {_belongs(record, str(folder))}"
        )
    found = check_lock(folder, files)
    arrays = _with_val(read(folder), record)
    task = make_task(
        f"nb360/{record.name}",
        kind=record.kind,
        train=(arrays["X_train"], arrays["y_train"]),
        val=(arrays["X_val"], arrays["y_val"]),
        test=(arrays["X_test"], arrays["y_test"]),
        seed=seed,
        source=f"NAS-Bench-360 {record.name}: {record.what}; the user's own files, trusted as they "
        "were first seen",
        license=record.license,
        published=record.published,
        loss=record.loss,
        metric=record.metric,
        positive_weight=record.positive_weight,
        names=record.names,
        space=record.space,
    )
    if task.outputs != record.outputs:
        raise BadData(
            f"y_train of nb360/{record.name} has {task.outputs} classes or outputs, not "
            f"{record.outputs}; check how it was made"
        )
    write_lock(folder, found)
    return task


def _read_ours(folder: Path) -> dict[str, Array]:
    return read_npy(folder, DataOptions())


def _with_val(arrays: Mapping[str, Array], record: Record) -> dict[str, Array]:
    """The arrays in three splits, each of the shape that the record says."""
    held = dict(arrays)
    train, val, _ = record.counts
    both = [held.get(f"{name}_train", np.empty(0)) for name in "Xy"]
    if not {"X_val", "y_val"} & held.keys() and {len(of) for of in both} == {train + val}:
        for name, of in zip("Xy", both, strict=True):
            held[f"{name}_train"] = take(of, np.arange(train))
            held[f"{name}_val"] = take(of, np.arange(train, train + val))
    for part, count in zip(PARTS, record.counts, strict=True):
        for name, shape in (("X", record.shape), ("y", record.target_shape)):
            _check(held.get(f"{name}_{part}"), f"{name}_{part}", (count, *shape), record)
    return held


def _check(array: Array | None, name: str, shape: tuple[int, ...], record: Record) -> None:
    if array is None:
        raise BadData(f"{name} of nb360/{record.name} is missing; give it with shape {list(shape)}")
    found = tuple(array.shape)
    near = record.rounded and found and abs(found[0] - shape[0]) <= _ROUNDED_TO
    one = len(shape) > 1 and shape[1] == 1 and record.kind == "dense_regression"
    fits = {shape[1:], shape[2:]} if one else {shape[1:]}
    if not (found and (found[0] == shape[0] or near) and found[1:] in fits):
        raise BadData(
            f"{name} of nb360/{record.name} has shape {list(found)}, not {list(shape)}; "
            "check how it was made, and that the split is the benchmark's"
        )


def _belongs(record: Record, where: str) -> str:
    shapes = " and ".join(
        f"{name} {list(shape)}"
        for name, shape in (
            ("X_train.npy", (record.counts[0], *record.shape)),
            ("y_train.npy", (record.counts[0], *record.target_shape)),
        )
    )
    ours = f"{shapes}, and so val and test {list(record.counts[1:])}"
    either = f"{', '.join(record.original.files)}, or " if record.original else ""
    return f"put {either}{ours}, into {where} (to be had: {record.obtain})"
