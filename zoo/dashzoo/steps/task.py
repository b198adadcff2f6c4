"""The task a bundle was trained on: from the search's own record, or else by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dashzoo.workfiles import SearchRecord
from dashzoo_cards.facts import load_facts
from dashzoo_search.errors import BadData, DashzooError
from dashzoo_search.tasks import DataOptions, Task, load_task, task_names

__all__ = ["task_of", "trained_on"]


def trained_on(folder: Path) -> Task:
    """The task a network in ``folder`` was trained on, array for array.

    A published bundle has no record of its search, so nothing is taken from it but the names of
    tasks, losses and metrics that this dashzoo knows, and what was said of the data.

    Raises:
        BadData: the data are not to be had here, or are others.
        DashzooError: as `load_task` raises it.
    """
    if SearchRecord.is_in(folder):
        return SearchRecord.read(folder).task(folder)
    facts = load_facts(folder)
    name = facts.task.name
    if name not in task_names():
        raise BadData(
            f"{name} is no task that has a name here, and the bundle brings no data; see "
            "'dashzoo tasks' for those that have"
        )
    said = replace(
        DataOptions.from_json(facts.data_options),
        loss=facts.objective.loss,
        metric=facts.objective.metric.name,
    )
    task = load_task(name, seed=facts.seed, options=said)
    if task.sha256 != facts.task.sha256:
        raise BadData(
            f"The data of {name} here are not what the bundle was trained on; take the packages "
            "its card names"
        )
    return task


def task_of(folder: Path) -> Task | None:
    """The same, or None where it cannot be had."""
    try:
        return trained_on(folder)
    except DashzooError:  # random samples remain
        return None
