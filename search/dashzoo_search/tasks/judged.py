"""Can a task be trained and judged as it says? Its loss and metric are tried beforehand."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import torch

from dashzoo_search.errors import BadData, UnknownObjective
from dashzoo_search.rows import blocks
from dashzoo_search.tasks.symptoms import Finding
from dashzoo_search.tasks.task import Split, Task
from dashzoo_search.training.objective import Objective

__all__ = ["absent", "judged"]

TRIED = 16
MOST_OUTPUTS = 2**25
SHOWN = 3


def absent(task: Task, parts: Mapping[str, Split]) -> Iterator[Finding]:
    """Classes of which there is no sample to judge by, or of dense labels none to learn from."""
    if task.kind == "dense_labels":
        counts = sum(
            np.bincount(block[block >= 0], minlength=task.outputs) for block in blocks(task.train.y)
        )
        if missing := np.flatnonzero(counts == 0).tolist():
            yield Finding(
                about="absent",
                severity="warning",
                what=f"Labels are counted up to {task.outputs - 1}, and {len(missing)} of them are "
                f"nowhere in the training split, the first being {missing[0]}",
                mend="Number labels from 0 without gaps, and put -1 where there is none.",
            )
    if task.kind != "classification":
        return
    for name, split in parts.items():
        counts = np.bincount(split.strata, minlength=task.outputs)
        missing = [task.classes[i] for i in np.flatnonzero(counts == 0)]
        if name != "train" and missing:
            more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
            yield Finding(
                about="absent",
                severity="warning",
                what=f"No sample of {name} is of the class {', '.join(missing[:SHOWN])}{more}",
                mend="Give more samples, or split them otherwise, as by another --seed.",
            )


def judged(
    task: Task, parts: Mapping[str, Split], trusted: Collection[str | None]
) -> Iterator[Finding]:
    """A loss or metric that is not there, does not fit, or has no value on a split.

    Args:
        task: that names them.
        parts: its splits.
        trusted: dotted paths that the user gave, see `Objective.of`.
    """
    tried = ""
    try:
        objective = Objective.of(task, trusted=trusted)
        rng = np.random.default_rng(0)
        for name, split in parts.items():
            if name == "train":
                split = split.take(np.arange(min(TRIED, len(split))))
            shape = (len(split), task.outputs, *(task.size if task.dense else ()))
            if np.prod(shape, dtype=float) > MOST_OUTPUTS:
                continue
            outputs, targets = rng.standard_normal(shape), split.targets()
            if name == "train":
                losses = objective.loss(torch.from_numpy(outputs).float(), targets)
                if not losses.isfinite().all():
                    raise BadData(
                        f"The loss {objective.loss.name} is no finite number on a few training "
                        "samples; mend it, or take another --loss"
                    )
            else:
                tried = f", of {name}"
                objective.metric(outputs, targets.numpy())
    except (BadData, UnknownObjective) as error:
        what, _, mend = str(error).rpartition("; ")
        if not what:
            what, mend = str(error).rstrip("."), "name another by --loss or --metric"
        yield Finding(
            about="objective",
            severity="fault",
            what=what + tried,
            mend=f"{mend[0].upper()}{mend[1:].rstrip('.')}.",
        )
