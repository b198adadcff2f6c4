"""A look at data before anything runs: what it is, what is wrong with it, what a run will take.

Nothing is written or trained. A fault that keeps the data from loading is a finding like others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dashzoo_search.errors import BadBackbone, BadData
from dashzoo_search.rows import Array, blocks, whole
from dashzoo_search.tasks.arrays import arrays_task
from dashzoo_search.tasks.estimate import Estimate, Suggestion, estimate, suggest
from dashzoo_search.tasks.judged import absent, judged
from dashzoo_search.tasks.lengths import real_lengths
from dashzoo_search.tasks.load import load_task, read_file, task_names
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.readers.bounds import machine_memory
from dashzoo_search.tasks.symptoms import (
    Finding,
    alike_neighbours,
    axes,
    balance,
    constant,
    duplicates,
    ids,
    leaks,
    scale,
)
from dashzoo_search.tasks.task import Task
from dashzoo_search.tasks.ways import Ways

__all__ = ["ArrayFacts", "Report", "doctor"]

LONG = 6 * 3600
_OF_TABLES = ("columns", "rows")  # not what anything is trained on
_NOTHING_SAID = DataOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayFacts:
    """An array as the file has it.

    Attributes:
        shape, dtype: of it.
        nan, infinite: values that are no numbers, and none that are finite.
        lengths: least, median and greatest length of sequences that end in NaN; or None.
    """

    shape: tuple[int, ...]
    dtype: str
    nan: int
    infinite: int
    lengths: tuple[int, int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the doctor says.

    Attributes:
        data: what was looked at.
        arrays: by name, as the file has them; of a named task as it is trained on.
        task: as `Task.describe` has it; None where the data does not load.
        classes: samples of each class, by split.
        findings: worst first.
        suggestion: what to search in.
        estimate: what a run will take, on this machine.
    """

    data: str
    arrays: Mapping[str, ArrayFacts]
    task: Mapping[str, Any] | None
    classes: Mapping[str, Mapping[str, int]]
    findings: tuple[Finding, ...]
    suggestion: Suggestion | None
    estimate: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {**asdict(self), "estimate": self.estimate.to_json() if self.estimate else None}


def doctor(data: str, *, seed: int = 0, options: DataOptions = _NOTHING_SAID) -> Report:
    """Look at a named task, a file or a folder.

    Args:
        data: as `load_task` takes it.
        seed: of the splits.
        options: what the user says of the data.

    Raises:
        UnknownTask: no such task, file or folder.
        BadData: the file cannot be read at all.
        MissingRuntime: an extra is not installed.
    """
    raw: dict[str, Array] = {}
    columns: list[str] = []
    task, findings, ways = None, [], Ways()
    if data in task_names() or not Path(data).exists():
        task = load_task(data, seed=seed, options=options)
        raw = _as_trained(task)
    else:
        path = Path(data)
        path = path if path.name else path.resolve()
        read = read_file(path, options)
        raw = {name: array for name, array in read.items() if name.split("_")[0] not in _OF_TABLES}
        columns = list(whole(read.get("columns", np.empty(0))))
        ways = Ways.of(path, options, split="X" not in raw)
        try:
            task = arrays_task(read, name=path.stem, origin=path.name, seed=seed, options=options)
        except BadData as error:
            what, _, mend = str(error).partition("; ")
            mend = mend or "change the data"
            findings.append(
                Finding(
                    about="data", severity="fault", what=what, mend=f"{mend[0].upper()}{mend[1:]}."
                )
            )
        if task and "X" in raw and "groups" not in raw and options.split != "time":
            findings += [
                *ids(raw["X"], ways.of_time, columns),
                *alike_neighbours(raw["X"], raw["y"], ways.of_neighbours),
            ]
        if task and ways.arrays:
            findings += axes(task)
    arrays = {name: _facts(name, array) for name, array in raw.items()}
    suggestion = told = None
    if task is not None:
        findings += _symptoms(task, ways, columns, (options.loss, options.metric))
        suggestion = suggest(task.size, task.space, dense=task.dense)
        try:
            told = estimate(task, suggestion)
            findings += _room(told)
        except BadBackbone as error:
            findings.append(
                Finding(
                    about="size",
                    severity="warning",
                    what=str(error),
                    mend="Give larger images, or --resize.",
                )
            )
    order = ("fault", "warning", "note")
    return Report(
        data=data,
        arrays=arrays,
        task=task.describe() if task else None,
        classes=_counts(task) if task else {},
        findings=tuple(sorted(findings, key=lambda finding: order.index(finding.severity))),
        suggestion=suggestion,
        estimate=told,
    )


def _as_trained(task: Task) -> dict[str, Array]:
    parts = {"train": task.train, "val": task.val, "test": task.test.open()}
    return {
        f"{name}_{part}": getattr(split, name) for part, split in parts.items() for name in "Xy"
    }


def _symptoms(
    task: Task, ways: Ways, columns: list[str], said: tuple[str | None, ...]
) -> Iterator[Finding]:
    parts = {"train": task.train, "val": task.val, "test": task.test.open()}
    yield from judged(task, parts, said)
    yield from absent(task, parts)
    yield from balance(task)
    yield from constant(task)
    yield from scale(task)
    yield from duplicates(parts, ways.together)
    yield from leaks(task, parts, columns)


def _room(told: Estimate) -> Iterator[Finding]:
    there = machine_memory()
    if told.memory > there:
        yield Finding(
            about="memory",
            severity="warning",
            what=f"A run will want about {told.memory / 2**30:.1f} GiB of the machine's "
            f"{there / 2**30:.1f}",
            mend="Lower --batch-size, narrow --kernels and --dilations, or search with --scout 0.",
        )
    if told.total_seconds > LONG:
        yield Finding(
            about="time",
            severity="note",
            what=f"A run will take about {told.total_seconds / 3600:.0f} hours here, "
            f"{told.seconds['scout'] / 3600:.0f} of them for the scout",
            mend="Search with --scout 0, narrow --kernels and --dilations, --resize images, or "
            "use a GPU.",
        )


def _facts(name: str, array: Array) -> ArrayFacts:
    nan = infinite = 0
    if array.dtype.kind == "f" and array.ndim:
        for block in blocks(array):
            nan += int(np.isnan(block).sum())
            infinite += int(np.isinf(block).sum())
    lengths = None
    if nan and name[0] == "X" and array.ndim == 3:
        every = real_lengths(array)
        if every.min() < array.shape[2]:
            lengths = (int(every.min()), int(np.median(every)), int(every.max()))
    return ArrayFacts(
        shape=tuple(array.shape),
        dtype=str(array.dtype),
        nan=nan,
        infinite=infinite,
        lengths=lengths,
    )


def _counts(task: Task) -> dict[str, dict[str, int]]:
    parts = {"train": task.train, "val": task.val, "test": task.test.open()}
    counts: dict[str, dict[str, int]] = {}
    for name, split in parts.items():
        if task.kind == "classification":
            each = np.bincount(whole(split.y), minlength=task.outputs)
        elif task.kind == "multilabel":
            each = whole(split.y).sum(0).astype(int)
        elif task.kind == "dense_labels":
            each = np.zeros(task.outputs, int)
            for block in blocks(split.y):
                each += np.bincount(block[block >= 0], minlength=task.outputs)
        else:
            continue
        counts[name] = dict(zip(task.classes, each.tolist(), strict=True))
    return counts
