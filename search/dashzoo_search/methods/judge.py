"""What a change of kernel costs on held-out samples.

Batch norm takes its statistics from the held-out batch itself: running averages were gathered
under other kernels and would charge a choice for being unlike them. Outputs are scaled by one
temperature for all, the best one for the network as it stands (Guo et al., ICML 2017), so that a
network sure of itself does not lose on loudness. Losses that are not of logits know no temperature.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dashzoo_search.tasks.task import Split
from dashzoo_search.training.objective import CLASSIFY, Objective

__all__ = ["Judge"]

BATCH = 256
_TEMPERATURES = torch.logspace(-1, 0.7, 20, dtype=torch.float64)


class Judge:
    """Held-out samples, ready to score a network.

    Args:
        network: what is scored; its kernels may change between calls.
        split: samples and labels no weight was fitted to.
        objective: whose loss is taken, in its own unit.
    """

    def __init__(self, network: nn.Module, split: Split, objective: Objective = CLASSIFY) -> None:
        self._network, self._objective = network, objective
        device = next(network.parameters()).device
        count = -(-len(split) // BATCH)
        self._batches = [
            split.rows(part).to(device) for part in np.array_split(np.arange(len(split)), count)
        ]
        self._y = split.targets()
        self._scale = 1.0

    def calibrate(self) -> tuple[float, float]:
        """Set the temperature by the network as it stands; its loss, and the metric's value."""
        outputs = self._outputs()
        scales = _TEMPERATURES.tolist() if self._objective.loss.logits else [1.0]
        losses = [self._objective.loss(outputs * scale, self._y).mean().item() for scale in scales]
        best = int(np.nanargmin(losses)) if not np.isnan(losses).all() else 0
        self._scale = scales[best]
        return losses[best], self._objective.metric(outputs.numpy(), self._y.numpy())

    def losses(self) -> NDArray[np.float64]:
        """Loss of each sample ``[n]``; infinite where it is no number."""
        each = self._objective.loss(self._outputs() * self._scale, self._y)
        losses: NDArray[np.float64] = np.nan_to_num(each.numpy(), nan=np.inf, posinf=np.inf)
        return losses

    def _outputs(self) -> Tensor:
        with torch.no_grad(), batch_statistics(self._network):
            return torch.cat([self._network(x) for x in self._batches]).double().cpu()


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Evaluate ``network`` with its batch norms normalising by the batch, running averages kept."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    training = network.training
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    network.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked
        network.train(training)
