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
from torch.optim.lr_scheduler import OneCycleLR

from dashzoo_search.errors import TrainingFailed
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.recipe import Recipe

__all__ = ["Batches", "Stepper", "weight_optimizer"]

MAX_BAD_STEPS = 10
CLIP_NORM = 5.0


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
) -> tuple[Optimizer, OneCycleLR]:
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
    schedule = OneCycleLR(optimizer, recipe.lr, total_steps=steps + 1, pct_start=0.2)
    return optimizer, schedule


class Stepper:
    """Steps an optimiser on cross entropy, and skips steps whose loss or gradient is not a number.

    Args:
        network: in training mode.
        parameters: those the optimiser owns; their gradient norm is clipped to 5.
        optimizer: steps them.
        penalty: added to the loss, such as a price on kernels.

    Attributes:
        skipped: bad steps so far; ten in a row raise TrainingFailed.
    """

    def __init__(
        self, network: nn.Module, parameters: Iterable[nn.Parameter], optimizer: Optimizer
    ) -> None:
        self.network, self.optimizer = network, optimizer
        self.parameters = list(parameters)
        self.skipped = 0
        self._bad_in_a_row = 0

    def __call__(self, x: Tensor, y: Tensor, penalty: Tensor | None = None) -> float:
        """One step on a batch; returns its cross entropy."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.network(x), y)
        total = loss if penalty is None else loss + penalty
        grads = torch.autograd.grad(total, self.parameters, allow_unused=True)
        for p, g in zip(self.parameters, grads, strict=True):
            p.grad = g
        norm = nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        if torch.isfinite(norm) and torch.isfinite(loss):
            self.optimizer.step()
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
