"""One optimisation step, and the batches, optimiser and schedule around it.

Both loops, the search and the retraining, are made of these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from dashzoo_search.errors import BadBundle, BadData, TrainingFailed
from dashzoo_search.tasks.task import Split
from dashzoo_search.training import world
from dashzoo_search.training.faults import faulty_layer
from dashzoo_search.training.objective import CLASSIFY, Objective
from dashzoo_search.training.precision import Precision, autocast, scaler
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.shared_norm import shared_statistics
from dashzoo_search.training.state import give, take
from dashzoo_search.training.tree import Tree, expect_like

__all__ = ["Batches", "Stepped", "Stepper", "one_cycle", "weight_optimizer"]

MAX_BAD_STEPS = 10
CLIP_NORM = 5.0
WARM_UP = 0.2
START = 0.04


class Batches:
    """Shuffled batches of a split, the last no smaller than the others by more than one.

    With several processes each gets its share of every batch; the batches are those one gets.

    Args:
        split: samples and labels.
        batch_size: samples a batch, at most.
        device: where the batches go.
        generator: shuffles.

    Raises:
        BadData: a process would be left without a sample.
    """

    def __init__(
        self, split: Split, batch_size: int, *, device: torch.device, generator: torch.Generator
    ) -> None:
        self._split, self._device, self._generator = split, device, generator
        self._count = math.ceil(len(split) / batch_size)
        if (least := len(split) // self._count) < world.size():
            raise BadData(
                f"Batches of {least} samples cannot be shared by {world.size()} processes; raise "
                "--batch-size, or start fewer"
            )

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self._split), generator=self._generator)
        for batch in order.tensor_split(self._count):
            index = world.share(batch).numpy()
            x, y = self._split.rows(index), self._split.targets(index)
            yield x.to(self._device), y.to(self._device)


def weight_optimizer(
    parameters: Iterable[nn.Parameter],
    recipe: Recipe,
    steps: int,
    *,
    rates: Mapping[nn.Parameter, float] | None = None,
) -> tuple[Optimizer, LambdaLR]:
    """AdamW and its schedule; biases, norms and other vectors are not decayed.

    Args:
        parameters: to step.
        recipe: learning rate, weight decay and momentum.
        steps: of the whole training.
        rates: learning rate over the recipe's, of parameters that have their own.
    """
    rates = rates or {}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for p in parameters:
        decay = recipe.weight_decay if p.ndim >= 2 else 0.0
        groups.setdefault((decay, rates.get(p, 1.0)), []).append(p)
    optimizer = AdamW(
        [
            {"params": members, "weight_decay": decay, "lr": recipe.lr * rate}
            for (decay, rate), members in groups.items()
        ],
        lr=recipe.lr,
        betas=(recipe.momentum, 0.999),
    )
    return optimizer, LambdaLR(optimizer, lambda step: one_cycle(step, steps))


def one_cycle(step: int, steps: int) -> float:
    """Share of the peak learning rate: half a cosine up over the first fifth, then one down to 0.

    >>> [round(one_cycle(step, 10), 2) for step in (0, 1, 2, 6, 10)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    top = max(1.0, WARM_UP * steps)
    if step < top:
        return START + (1 - START) * (1 - math.cos(math.pi * step / top)) / 2
    return (1 + math.cos(math.pi * min(1.0, (step - top) / max(1.0, steps - top)))) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """Parameters, the optimiser that owns them, and the schedule of its learning rate."""

    parameters: list[nn.Parameter]
    optimizer: Optimizer
    schedule: LambdaLR | None

    def state_dict(self) -> Tree:
        """Of optimiser and schedule."""
        schedule = None if self.schedule is None else take(self.schedule)
        return {"optimizer": take(self.optimizer), "schedule": schedule}

    def load_state_dict(self, state: Any, where: str) -> None:
        """Put it back; raises BadBundle where it does not fit."""
        told = state if isinstance(state, dict) else {}
        for key in ("optimizer", "schedule"):
            if key not in told:
                raise BadBundle(f"{where}/{key} is missing", field=f"{where}/{key}")
        give(self.optimizer, told["optimizer"], f"{where}/optimizer")
        if self.schedule is not None:
            give(self.schedule, told["schedule"], f"{where}/schedule")
        elif told["schedule"] is not None:
            raise BadBundle(f"{where}/schedule is unexpected", field=f"{where}/schedule")


class Stepper:
    """Steps an optimiser on a loss, and skips steps where that or a gradient is not a number.

    With several processes each gives its share of the batch, and all take the same step: on the
    gradient of the mean over the whole batch.

    Args:
        network: in training mode.
        parameters: those the optimiser owns; their gradient norm is clipped to 5.
        optimizer: steps them.
        schedule: of its learning rate, stepped with it.
        objective: its loss is what is stepped on, the mean over the samples of the batch.
        precision: of forward pass and loss.
        beside: others that are stepped on the same loss, their gradient clipped by itself.

    Attributes:
        skipped: bad steps so far; ten in a row raise TrainingFailed with the layer at fault.
    """

    def __init__(
        self,
        network: nn.Module,
        parameters: Iterable[nn.Parameter],
        optimizer: Optimizer,
        schedule: LambdaLR | None = None,
        *,
        objective: Objective = CLASSIFY,
        precision: Precision = "fp32",
        beside: Stepped | None = None,
    ) -> None:
        self._objective = objective
        self.network, self.optimizer, self.schedule = network, optimizer, schedule
        self.parameters = list(parameters)
        self._own = Stepped(parameters=self.parameters, optimizer=optimizer, schedule=schedule)
        self._beside = beside
        self._all = (self._own,) if beside is None else (self._own, beside)
        self.skipped = 0
        self._bad_in_a_row = 0
        self._precision = precision
        self._scaler = scaler(precision, self.parameters[0].device)

    @property
    def rate(self) -> float:
        """Learning rate of the next step, of the first group of parameters."""
        return float(self.optimizer.param_groups[0]["lr"])

    def __call__(self, x: Tensor, y: Tensor, penalty: Tensor | None = None) -> float:
        """One step on a batch; returns its loss.

        Args:
            x, y: the batch.
            penalty: added to the loss, in units of `Objective.scale`.

        Raises:
            TrainingFailed: the tenth bad step in a row.
        """
        for each in self._all:
            each.optimizer.zero_grad(set_to_none=True)
        # A bad batch must leave no trace in the running statistics either.
        statistics = [(buffer, buffer.clone()) for buffer in _statistics(self.network)]
        with shared_statistics():
            loss = self._loss(x, y)
        total = loss / self._objective.scale
        total = total if penalty is None else total + penalty
        loss = self._set_gradients(loss.detach(), total, len(y))
        norms = []
        for each in self._all:
            self._scaler.unscale_(each.optimizer)
            gradients = [p.grad for p in each.parameters if p.grad is not None]
            norms.append(nn.utils.get_total_norm(gradients))
        if torch.isfinite(loss) and all(map(torch.isfinite, norms)):
            for each, norm in zip(self._all, norms, strict=True):
                nn.utils.clip_grads_with_norm_(each.parameters, CLIP_NORM, norm)
                each.optimizer.step()
                if each.schedule is not None:
                    each.schedule.step()
            self._bad_in_a_row = 0
        else:
            for buffer, before in statistics:
                buffer.copy_(before)
            self.skipped += 1
            self._bad_in_a_row += 1
            if self._bad_in_a_row == MAX_BAD_STEPS:
                self._give_up(x, y)
        self._scaler.update()
        return loss.item()

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        with autocast(self._precision, x.device):
            return self._objective.loss(self.network(x), y).mean()

    def _set_gradients(self, loss: Tensor, total: Tensor, samples: int) -> Tensor:
        """Leave the gradient of the whole batch in place; returns its loss."""
        alone = world.size() == 1
        total = self._scaler.scale(total if alone else total * samples)
        parameters = [p for each in self._all for p in each.parameters]
        gradients = torch.autograd.grad(total, parameters, allow_unused=True)
        if not alone:
            # Shares differ by a sample, so sums are added up, and divided by the whole at the end.
            seen = torch.stack([loss * samples, torch.full_like(loss, samples)])
            added = [g for g in gradients if g is not None]
            world.add_up([*added, seen])
            loss = seen[0] / seen[1]
            for gradient in added:
                gradient.div_(seen[1])
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = g
        return loss

    def _give_up(self, x: Tensor, y: Tensor) -> NoReturn:
        told = world.gather(faulty_layer(self.network, lambda: self._loss(x, y)))
        raise TrainingFailed(
            f"Loss or gradient was not a number for {MAX_BAD_STEPS} steps in a row, first in "
            f"{told[0]}; lower --lr"
        )

    def state_dict(self) -> Tree:
        """Optimiser, schedule, loss scale and counters; the network's owner keeps the network."""
        state: Tree = {
            **self._own.state_dict(),
            "scaler": self._scaler.state_dict(),
            "skipped": self.skipped,
            "bad_in_a_row": self._bad_in_a_row,
        }
        return state if self._beside is None else {**state, "beside": self._beside.state_dict()}

    def load_state_dict(self, state: Tree) -> None:
        """Put it back.

        Raises:
            BadBundle: it does not fit.
        """
        theirs = {key: None for key in ("optimizer", "schedule", "beside") if key in state}
        expect_like({**state, **theirs}, {**self.state_dict(), **theirs}, "step")
        self._own.load_state_dict(state, "step")
        if self._beside is not None:
            self._beside.load_state_dict(state["beside"], "step/beside")
        elif "beside" in state:
            raise BadBundle("step/beside is unexpected", field="step/beside")
        self._scaler.load_state_dict(state["scaler"])
        self.skipped, self._bad_in_a_row = state["skipped"], state["bad_in_a_row"]


def _statistics(network: nn.Module) -> Iterator[Tensor]:
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            yield from module.buffers(recurse=False)
