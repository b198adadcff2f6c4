"""Batch statistics, estimated afresh after a network's kernels have changed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from dashzoo_search.tasks.task import Split

__all__ = ["reestimate"]


def reestimate(network: nn.Module, train: Split, *, batch_size: int = 64) -> None:
    """Set every batch norm's mean and variance to the average over ``train``, in place."""
    device = next(network.parameters()).device

    def batches() -> Iterator[Tensor]:
        for part in torch.split(torch.arange(len(train)), batch_size):
            yield train.rows(part.numpy()).to(device)

    update_bn(batches(), network)
    network.eval()
