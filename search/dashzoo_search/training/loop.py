"""Train a network on a task's train split; validation picks the epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from dashzoo_search.errors import TrainingFailed
from dashzoo_search.measure import Measure
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.architecture import Architect, architecture_of
from dashzoo_search.training.metrics import Score, evaluate
from dashzoo_search.training.objective import CLASSIFY, Objective
from dashzoo_search.training.progress import OnEpoch, quiet
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.resume import Stage
from dashzoo_search.training.runtime import Stopwatch
from dashzoo_search.training.steps import Batches, Stepper, weight_optimizer
from dashzoo_search.training.tree import Tree, expect_like

__all__ = ["NARROWER", "FitResult", "fit", "memory_guard"]

NARROWER = "narrow --kernels and --dilations"


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """How a training run went.

    Attributes:
        val: validation score of the epoch that was kept.
        best_epoch: that epoch, from 1; 0 when the weights it started from were best.
        epochs: epochs run.
        seconds, cpu_seconds: what it took.
        skipped_steps: steps skipped because a gradient was not a number.
        judged_epochs: epochs of the training before it that ``val`` is of, where this one was
            fitted to the validation split too; else 0.
    """

    val: Score
    best_epoch: int
    epochs: int
    seconds: float
    cpu_seconds: float
    skipped_steps: int
    judged_epochs: int = 0

    def after(self, judged: FitResult) -> FitResult:
        """This training with the validation score of another, and the time of both."""
        return replace(
            self,
            val=judged.val,
            seconds=round(self.seconds + judged.seconds, 2),
            cpu_seconds=round(self.cpu_seconds + judged.cpu_seconds, 2),
            skipped_steps=self.skipped_steps + judged.skipped_steps,
            judged_epochs=judged.epochs,
        )

    def to_json(self) -> dict[str, Any]:
        """What results.json says of it."""
        return {
            "val": self.val.to_json(),
            "best_epoch": self.best_epoch,
            "epochs": self.epochs,
            "judged_epochs": self.judged_epochs,
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
    objective: Objective = CLASSIFY,
    generator: torch.Generator,
    on_epoch: OnEpoch = quiet,
    stage: str = "train",
    keep: Literal["best", "last"] = "best",
    architect: Architect | None = None,
) -> FitResult:
    """Train ``network`` in place and leave it with the weights of its best epoch on ``val``.

    Where a journal is active, this is a stage of it that can be killed and started again.

    Args:
        network: on the device it is to be trained on.
        train, val: disjoint splits.
        recipe: epochs, batch size and optimiser.
        objective: what it is trained on, and the epoch chosen by.
        generator: shuffles the batches.
        on_epoch: told after every epoch.
        stage: what progress is reported as.
        keep: ``"last"`` keeps the last epoch instead, whatever ``val`` says.
        architect: steps the transforms of XD-operations; None: they stay as they are.

    Raises:
        TrainingFailed: ten steps in a row without a finite gradient, or out of memory.
        BadBundle: a checkpoint does not fit.
        BadData: the metric has no value on ``val``.
    """
    watch = Stopwatch()
    device = next(network.parameters()).device
    batches = Batches(train, recipe.batch_size, device=device, generator=generator)
    steps = recipe.epochs * len(batches)
    architecture = list(architecture_of(network))
    for p in architecture:
        p.requires_grad_(architect is not None)
    theirs = {id(p) for p in architecture}
    parameters = [p for p in network.parameters() if p.requires_grad and id(p) not in theirs]
    optimizer, schedule = weight_optimizer(parameters, recipe, steps)
    step = Stepper(
        network,
        parameters,
        optimizer,
        schedule,
        objective=objective,
        precision=recipe.precision,
        beside=architect.stepped(architecture, steps) if architect and architecture else None,
    )
    best = _Best(network, objective.measure)
    running = Stage(
        stage,
        {"network": network, "step": step, "best": best, "batches": generator},
        on_epoch,
        device,
    )
    with memory_guard():
        for epoch in running.epochs(recipe.epochs):
            network.train()
            losses = [step(x, y) for x, y in batches]
            score = evaluate(network, val, objective)
            # Of equally good epochs on few samples, the one the schedule has settled more.
            wanted = keep == "last" or score.better_than(best.score)
            if math.isfinite(score.loss) and wanted:
                best.take(score, epoch)
            running.tell(sum(losses) / len(losses), score.value, rate=step.rate)
    if best.score is None:
        raise TrainingFailed("The validation loss was never a number; lower --lr")
    network.load_state_dict(best.weights)
    network.eval()
    return FitResult(
        val=best.score,
        best_epoch=best.epoch,
        epochs=recipe.epochs,
        seconds=round(watch.seconds, 2),
        cpu_seconds=round(watch.cpu_seconds, 2),
        skipped_steps=step.skipped,
    )


_NO_MEMORY = ("can't allocate memory", "ALLOC_FAILED", "out of memory")


class _Best:
    """The best epoch so far, as one part of the state."""

    def __init__(self, network: nn.Module, metric: Measure) -> None:
        self._network, self._metric = network, metric
        self.score: Score | None = None
        self.epoch = 0
        self.weights: dict[str, Any] = {}

    def take(self, score: Score, epoch: int) -> None:
        self.score, self.epoch = score, epoch
        self.weights = copy.deepcopy(self._network.state_dict())

    def state_dict(self) -> Tree:
        score = self.score.to_json() if self.score else None
        return {"score": score, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state: Tree) -> None:
        wanted: Tree = {"score": None, "epoch": 0, "weights": {}}
        if state.get("score") is not None:
            wanted = {
                "score": {"metric": "", "value": 0.0, "loss": 0.0},
                "epoch": 0,
                "weights": self._network.state_dict(),
            }
        expect_like(state, wanted, "best")
        told = state["score"]
        self.score = Score(told["value"], told["loss"], self._metric) if told else None
        self.epoch, self.weights = state["epoch"], state["weights"]


@contextmanager
def memory_guard(*saving: str) -> Iterator[None]:
    """Turn running out of memory into one sentence with the knobs that help.

    Args:
        saving: what helps here, beside a smaller batch.

    Raises:
        TrainingFailed: the device, or the machine, had no memory left.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # torch raises OutOfMemoryError on devices, but a plain RuntimeError on the CPU and where a
        # library under it had no memory left.
        told = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not told and not any(words in str(error) for words in _NO_MEMORY):
            raise
        knobs = ", or ".join(("lower --batch-size", *saving))
        raise TrainingFailed(f"Out of memory; {knobs}") from error
