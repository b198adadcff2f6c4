"""Scores of a network, always over the whole split."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dashzoo_search.tasks.task import Split
from dashzoo_search.training import world
from dashzoo_search.training.objective import CLASSIFY, Objective, Score

__all__ = ["Score", "evaluate", "predict", "split_outputs"]


def predict(network: nn.Module, X: Tensor, *, batch_size: int = 256) -> Tensor:
    """Raw outputs [n, outputs, …] of ``network``, in eval mode on its device, for [n, c, …]."""
    return _outputs(network, torch.split(X, batch_size))


def evaluate(
    network: nn.Module, split: Split, objective: Objective = CLASSIFY, *, batch_size: int = 256
) -> Score:
    """Score ``network`` on the whole of ``split``; several processes share the work.

    Raises:
        BadData: the metric has no value on this split.
    """
    return objective.score(split_outputs(network, split, batch_size=batch_size), split.targets())


def split_outputs(network: nn.Module, split: Split, *, batch_size: int = 256) -> Tensor:
    """Raw outputs of ``network`` [n, outputs, …] for ``split``, on the CPU, in every process."""
    index = torch.arange(len(split))
    alone = len(split) < world.size()
    parts = torch.split(index if alone else world.share(index), batch_size)
    outputs = _outputs(network, (split.rows(part.numpy()) for part in parts))
    return (outputs if alone else world.join_rows(outputs)).cpu()


def _outputs(network: nn.Module, parts: Iterable[Tensor]) -> Tensor:
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    with torch.inference_mode():
        outputs = [network(part.to(device)) for part in parts]
    network.train(training)
    return torch.cat(outputs)
