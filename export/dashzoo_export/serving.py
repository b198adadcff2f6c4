"""What an export adds around a network: its length is given to samples, probabilities told."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from dashzoo_search.networks.searched import SearchedNet

__all__ = ["Outputs", "Served"]

Outputs = Literal["raw", "softmax", "sigmoid"]


class Served(nn.Module):
    """A network as its users call it.

    Args:
        network: takes raw samples of its own size.
        pad: length that sequences of any length are padded with zeros or cut to, with a channel
            behind the others that is 1 where they are real, as ``--lengths pad`` made the task;
            None takes samples as they are.
        outputs: what is told: the network's own, probabilities that sum to one, or one
            probability each.

    Shape:
        what the network takes, or [b, c − 1, any length] with ``pad``; what it gives.
    """

    def __init__(
        self, network: SearchedNet, *, pad: int | None = None, outputs: Outputs = "raw"
    ) -> None:
        super().__init__()
        self.network, self.pad, self.outputs = network, pad, outputs

    def forward(self, x: Tensor) -> Tensor:
        if self.pad is not None:
            # By constant amounts, so that no runtime computes a shape: too much, then the rest off.
            x = F.pad(x, (0, 0, 0, 1), value=1.0)
            x = F.pad(x, (0, self.pad))[..., : self.pad]
        y: Tensor = self.network(x)
        if self.outputs == "softmax":
            return y.softmax(1)
        return y.sigmoid() if self.outputs == "sigmoid" else y

    def example_input(self, size: tuple[int, ...], batch: int = 1) -> Tensor:
        """Zeros that it takes, of a sample's ``size``."""
        x = self.network.example_input(size, batch)
        return x if self.pad is None else x[:, :-1]
