"""Train a network on a task's train split; validation picks the epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from dashzoo_search.errors import TrainingFailed
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.metrics import Score, evaluate
from dashzoo_search.training.progress import OnEpoch, Progress, quiet
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import Stopwatch
from dashzoo_search.training.steps import Batches, Stepper, weight_optimizer

__all__ = ["FitResult", "fit", "memory_guard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """How a training run went.

    Attributes:
        val: validation score of the epoch that was kept.
        best_epoch: that epoch, from 1; 0 when the weights it started from were best.
        epochs: epochs run.
        seconds, cpu_seconds: what it took.
        skipped_steps: steps skipped because a gradient was not a number.
    """

    val: Score
    best_epoch: int
    epochs: int
    seconds: float
    cpu_seconds: float
    skipped_steps: int

    def to_json(self) -> dict[str, Any]:
        """What results.json says of it."""
        return {
            "val": self.val.to_json(),
            "best_epoch": self.best_epoch,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "skipped_steps": self.skipped_steps,
        }


def fit(
    network: nn.Module,
    train: Split,
    val: Split,
    recipe: Recipe,
    *,
    generator: torch.Generator,
    on_epoch: OnEpoch = quiet,
    stage: str = "train",
    keep: Literal["best", "last"] = "best",
) -> FitResult:
    """Train ``network`` in place and leave it with the weights of its best epoch on ``val``.

    Args:
        network: on the device it is to be trained on.
        train, val: disjoint splits.
        recipe: epochs, batch size and optimiser.
        generator: shuffles the batches.
        on_epoch: told after every epoch.
        stage: what progress is reported as.
        keep: ``"last"`` keeps the last epoch instead, whatever ``val`` says.

    Raises:
        TrainingFailed: ten steps in a row without a finite gradient, or out of memory.
    """
    watch = Stopwatch()
    device = next(network.parameters()).device
    batches = Batches(train, recipe.batch_size, device=device, generator=generator)
    parameters = list(network.parameters())
    optimizer, schedule = weight_optimizer(parameters, recipe, recipe.epochs * len(batches))
    step = Stepper(network, parameters, optimizer, schedule)
    best: Score | None = None
    best_epoch, best_state = 0, network.state_dict()
    with memory_guard():
        for epoch in range(1, recipe.epochs + 1):
            network.train()
            losses = [step(x, y) for x, y in batches]
            score = evaluate(network, val)
            # Of equally accurate epochs on few samples, the one the schedule has settled more.
            wanted = keep == "last" or score.better_than(best)
            if math.isfinite(score.loss) and wanted:
                best, best_epoch = score, epoch
                best_state = copy.deepcopy(network.state_dict())
            on_epoch(
                Progress(stage, epoch, recipe.epochs, sum(losses) / len(losses), score.accuracy)
            )
    if best is None:
        raise TrainingFailed("The validation loss was never a number; lower --lr")
    network.load_state_dict(best_state)
    network.eval()
    return FitResult(
        val=best,
        best_epoch=best_epoch,
        epochs=recipe.epochs,
        skipped_steps=step.skipped,
        **watch.to_json(),
    )


@contextmanager
def memory_guard() -> Iterator[None]:
    """Turn running out of memory into one sentence with the knob that helps.

    Raises:
        TrainingFailed: the device, or the machine, had no memory left.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # torch raises OutOfMemoryError on devices but a plain RuntimeError on the CPU.
        told = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not told and "can't allocate memory" not in str(error):
            raise
        raise TrainingFailed(
            "Out of memory; lower --batch-size, or narrow --kernels and --dilations"
        ) from error
