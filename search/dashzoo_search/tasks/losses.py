"""Losses by name: how wrong a network is, sample by sample.

Each takes raw outputs and targets as `Split` has them and gives a number a sample, [n]; training
lowers their mean. So of dense labels every sample counts as much, however many of its positions
have a label, and one without any label counts as 0. Kernels are judged by the same numbers.

| name | of a sample |
|---|---|
| cross_entropy | −log p of its class, in nats; of dense labels the mean over labelled positions |
| binary_cross_entropy | mean over labels of −w·y·log p − (1 − y)·log(1 − p), w `positive_weight` |
| mse, mae | mean of (ŷ − y)², or of abs(ŷ − y), over outputs and positions |
| relative_l2 | ‖ŷ − y‖ / ‖y‖ over outputs and positions; ‖ŷ‖ where y is 0 |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.kinds import KINDS, Kind
from dashzoo_search.tasks.targets import IGNORED

__all__ = ["LOSSES", "Loss", "binary_cross_entropy"]

LossFunction = Callable[[Tensor, Tensor], Tensor]

_CLASSES: tuple[Kind, ...] = ("classification", "dense_labels")
_NUMBERS: tuple[Kind, ...] = ("regression", "dense_regression")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A loss.

    Attributes:
        name: of the loss, or a dotted path to the user's own function.
        of: from outputs [n, outputs, …] and targets to a number a sample, [n].
        kinds: of problems it can train.
        logits: whether a common factor on all outputs only says how sure they are.
        nats: whether it is minus a log likelihood, so that two losses compare by their difference;
            others, errors, compare by their ratio.
    """

    name: str
    of: LossFunction
    kinds: tuple[Kind, ...] = tuple(KINDS)
    logits: bool = False
    nats: bool = False

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A number a sample, [n].

        Raises:
            BadData: the user's own function fails, or gives something else.
        """
        try:
            losses = self.of(outputs, targets)
        except Exception as error:  # whatever the user's function raises
            if self.name in LOSSES or isinstance(error, torch.OutOfMemoryError):
                raise
            raise BadData(
                f"The loss {self.name} fails on {len(outputs)} samples "
                f"({type(error).__name__}: {error}); mend it, or take another --loss"
            ) from error
        if not isinstance(losses, Tensor) or losses.shape != (len(outputs),):
            shape = list(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
            raise BadData(
                f"The loss {self.name} gives {shape} for {len(outputs)} samples; return a tensor "
                "with one number a sample, [n]"
            )
        return losses


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Of classes [n] or, with -1 where there is none, [n, *size]; outputs [n, classes, …]."""
    if targets.is_floating_point():
        raise TypeError("cross entropy is of classes, and these are numbers")
    losses = F.cross_entropy(outputs, targets, ignore_index=IGNORED, reduction="none")
    if targets.ndim == 1:
        return losses
    labelled = (targets != IGNORED).flatten(1).sum(1).clamp_min(1)
    return losses.flatten(1).sum(1) / labelled


def binary_cross_entropy(positive_weight: float = 1.0) -> LossFunction:
    """Of labels [n, labels], a positive one counting ``positive_weight`` times."""

    def of(outputs: Tensor, targets: Tensor) -> Tensor:
        weight = torch.tensor(positive_weight, dtype=targets.dtype, device=targets.device)
        losses = F.binary_cross_entropy_with_logits(
            outputs, targets, pos_weight=weight, reduction="none"
        )
        return losses.flatten(1).mean(1)

    return of


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error."""
    return (outputs - targets).square().flatten(1).mean(1)


def mae(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error."""
    return (outputs - targets).abs().flatten(1).mean(1)


def relative_l2(outputs: Tensor, targets: Tensor) -> Tensor:
    """‖ŷ − y‖ / ‖y‖."""
    norm = torch.linalg.vector_norm(targets.flatten(1), dim=1)
    error = torch.linalg.vector_norm((outputs - targets).flatten(1), dim=1)
    relative: Tensor = error / torch.where(norm > 0, norm, torch.ones_like(norm))
    return relative


LOSSES: Mapping[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss(name="cross_entropy", of=cross_entropy, kinds=_CLASSES, logits=True, nats=True),
        Loss(
            name="binary_cross_entropy",
            of=binary_cross_entropy(),
            kinds=("multilabel",),
            nats=True,
        ),
        Loss(name="mse", of=mse, kinds=_NUMBERS),
        Loss(name="mae", of=mae, kinds=_NUMBERS),
        Loss(name="relative_l2", of=relative_l2, kinds=_NUMBERS),
    )
}
