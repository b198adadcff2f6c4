"""What is checked before a training starts: the options, the data, the loss and the metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dashzoo import __version__
from dashzoo.workfiles import SearchRecord
from dashzoo_search.candidates import starts
from dashzoo_search.pipeline import Init, Ship
from dashzoo_search.plan import batch_macs
from dashzoo_search.tasks import Task
from dashzoo_search.training import world
from dashzoo_search.training.objective import Objective
from dashzoo_search.training.precision import resolve_precision
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import limit_threads

__all__ = ["TrainOptions", "TrainPlan", "plan_training"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What `train` can be told; see `steps.train`."""

    epochs: int | None = None
    init: Init | None = None
    baseline: bool = True
    ship: Ship = "best"
    precision: str | None = None
    pick: int | None = None

    def __post_init__(self) -> None:
        if self.init is not None:
            starts(self.init)  # refuses other words before anything is trained

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """A training, checked and ready to start.

    Attributes:
        record: of the search.
        task: its data.
        objective: what it is trained on and judged by.
        recipe: of both networks.
        options: what was asked for.
        device: to train on.
    """

    record: SearchRecord
    task: Task
    objective: Objective
    recipe: Recipe
    options: TrainOptions
    device: torch.device

    def identity(self) -> dict[str, Any]:
        """Everything that decides the results; see `SearchPlan`."""
        history = {"history", "seconds", "cpu_seconds", "resumed"}
        return {
            "command": "train",
            "dashzoo": __version__,
            "torch": torch.__version__,
            "search": {k: v for k, v in asdict(self.record).items() if k not in history},
            "options": self.options.to_json(),
            "recipe": self.recipe.to_json(),
            "device": self.device.type,
        }


def plan_training(
    folder: Path,
    record: SearchRecord,
    options: TrainOptions,
    *,
    device: torch.device,
    threads: int | None = None,
    trust: Sequence[str | None] = (),
) -> TrainPlan:
    """Check what `train` was told, and load the data; nothing is written.

    Args:
        folder: where the search is.
        record: of it.
        options: what was asked for.
        device: to train on.
        threads, trust: see `train`.

    Raises:
        DashzooError: in one sentence.
    """
    if options.pick is not None:
        record = record.picked(options.pick)
    if options.init is None:
        options = replace(options, init="scratch" if record.architect() is None else "searched")
    task = world.each_by_itself(lambda: record.task(folder))
    objective = Objective.of(task, trusted=trust)
    searched = record.recipe()
    longest = Recipe.for_samples(len(task.train), batch_size=searched.batch_size).epochs
    recipe = replace(
        searched,
        epochs=options.epochs or longest,
        precision=resolve_precision(options.precision or searched.precision, device),
    )
    limit_threads(threads, work=batch_macs(record.build_plan(), task, recipe.batch_size))
    return TrainPlan(
        record=record,
        task=task,
        objective=objective,
        recipe=recipe,
        options=options,
        device=device,
    )
