"""One optimisation step, and the batches, optimiser and schedule around it.

Both loops, the search and the retraining, are made of these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from dashzoo_search.errors import TrainingFailed
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.recipe import Recipe

__all__ = ["Batches", "Stepper", "one_cycle", "weight_optimizer"]

MAX_BAD_STEPS = 10
CLIP_NORM = 5.0
WARM_UP = 0.2
START = 0.04


class Batches:
    """Shuffled batches of a split, the last no smaller than the others by more than one.

    Args:
        split: samples and labels.
        batch_size: samples a batch, at most.
        device: where the batches go.
        generator: shuffles.
    """

    def __init__(
        self, split: Split, batch_size: int, *, device: torch.device, generator: torch.Generator
    ) -> None:
        self._X, self._y = torch.from_numpy(split.X), torch.from_numpy(split.y)
        self._device, self._generator = device, generator
        self._count = math.ceil(len(split) / batch_size)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self._y), generator=self._generator)
        for index in order.tensor_split(self._count):
            yield self._X[index].to(self._device), self._y[index].to(self._device)


def weight_optimizer(
    parameters: Iterable[nn.Parameter], recipe: Recipe, steps: int
) -> tuple[Optimizer, LambdaLR]:
    """AdamW and its schedule; biases, norms and other vectors are not decayed."""
    vectors: list[nn.Parameter] = []
    matrices: list[nn.Parameter] = []
    for p in parameters:
        (vectors if p.ndim < 2 else matrices).append(p)
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = AdamW([g for g in groups if g["params"]], lr=recipe.lr)
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


class Stepper:
    """Steps an optimiser on cross entropy, and skips steps whose loss or gradient is not a number.

    Args:
        network: in training mode.
        parameters: those the optimiser owns; their gradient norm is clipped to 5.
        optimizer: steps them.
        schedule: of its learning rate, stepped with it.

    Attributes:
        skipped: bad steps so far; ten in a row raise TrainingFailed.
    """

    def __init__(
        self,
        network: nn.Module,
        parameters: Iterable[nn.Parameter],
        optimizer: Optimizer,
        schedule: LambdaLR | None = None,
    ) -> None:
        self.network, self.optimizer, self.schedule = network, optimizer, schedule
        self.parameters = list(parameters)
        self.skipped = 0
        self._bad_in_a_row = 0

    def __call__(self, x: Tensor, y: Tensor, penalty: Tensor | None = None) -> float:
        """One step on a batch, with ``penalty`` added to its loss; returns its cross entropy."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.network(x), y)
        total = loss if penalty is None else loss + penalty
        grads = torch.autograd.grad(total, self.parameters, allow_unused=True)
        for p, g in zip(self.parameters, grads, strict=True):
            p.grad = g
        norm = nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        if torch.isfinite(norm) and torch.isfinite(loss):
            self.optimizer.step()
            if self.schedule is not None:
                self.schedule.step()
            self._bad_in_a_row = 0
        else:
            self.skipped += 1
            self._bad_in_a_row += 1
            if self._bad_in_a_row == MAX_BAD_STEPS:
                raise TrainingFailed(
                    f"Loss or gradient was not a number for {MAX_BAD_STEPS} steps in a row; "
                    "lower --lr"
                )
        return loss.item()
