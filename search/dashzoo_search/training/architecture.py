"""How the transforms of XD-operations learn, beside the weights and apart from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from dashzoo_search.errors import BadData
from dashzoo_search.ops.xd import XDConv
from dashzoo_search.training.steps import Stepped, one_cycle

__all__ = ["Architect", "ArchitectureOptimizer", "architecture_of", "usual_optimizer"]

ArchitectureOptimizer = Literal["adam", "sgd"]
_RATES: Mapping[str, float] = {"adam": 1e-3, "sgd": 0.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Architect:
    """The architecture's optimiser; its rate follows the weights' schedule, nothing is decayed.

    Roberts et al. (NeurIPS 2021) take Adam for images, SGD with momentum 0.5 for Darcy flow.

    Args:
        optimizer: ``"adam"`` or ``"sgd"``.
        lr: peak learning rate; None: 1e-3 of Adam, 0.1 of SGD, as they do.

    Raises:
        BadData: no such optimiser, or a rate that is none.

    >>> Architect(optimizer="sgd").rate
    0.1
    """

    optimizer: ArchitectureOptimizer = "adam"
    lr: float | None = None

    def __post_init__(self) -> None:
        if self.optimizer not in get_args(ArchitectureOptimizer):
            raise BadData(f"arch_optimizer must be adam or sgd, not {self.optimizer!r}")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise BadData(f"arch_lr must be a positive number, not {self.lr}")

    @property
    def rate(self) -> float:
        """The peak learning rate."""
        return _RATES[self.optimizer] if self.lr is None else self.lr

    def stepped(self, parameters: list[nn.Parameter], steps: int) -> Stepped:
        """``parameters`` with their optimiser, for a training of so many steps."""
        optimizer: Optimizer
        if self.optimizer == "adam":
            optimizer = torch.optim.Adam(parameters, lr=self.rate)
        else:
            optimizer = torch.optim.SGD(parameters, lr=self.rate, momentum=0.5)
        schedule = LambdaLR(optimizer, lambda step: one_cycle(step, steps))
        return Stepped(parameters=parameters, optimizer=optimizer, schedule=schedule)


def usual_optimizer(kind: str) -> ArchitectureOptimizer:
    """What is taken for a kind of problem where nothing is said: as published.

    >>> usual_optimizer("dense_regression")
    'sgd'
    """
    return "sgd" if kind == "dense_regression" else "adam"


def architecture_of(network: nn.Module) -> Iterator[nn.Parameter]:
    """The twiddles of every XD-operation in ``network``."""
    for layer in network.modules():
        if isinstance(layer, XDConv):
            yield from layer.architecture()
