"""Mean and standard deviation of arrays, by channel or by position, kept as a network's buffers."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from dashzoo_search.rows import Array, blocks

__all__ = ["CONSTANT", "InputNorm", "Moments", "Per"]

Per = Literal["channel", "position"]
InputNorm = Literal["channel", "position", "sample"]

CONSTANT = 1e-6  # of the largest value, what float32 cannot tell from no change at all


class Moments(nn.Module):
    """Mean and standard deviation, zero and one until they are fitted.

    Args:
        channels: of the arrays.
        size: their length, or height and width, for moments of every position of a channel; empty
            for those of channels.
        constant: what stands for the standard deviation where nothing ever changes.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, size: tuple[int, ...] = (), *, constant: float = 1.0) -> None:
        super().__init__()
        self.constant = constant
        self.register_buffer("mean", torch.zeros(channels, *size))
        self.register_buffer("std", torch.ones(channels, *size))

    def fit(self, X: Array) -> None:
        """Set them to those of ``X`` [n, c, …], which is read block by block."""
        axes = (0,) if self.mean.ndim > 1 else (0, *range(2, X.ndim))
        count = np.prod([X.shape[axis] for axis in axes])
        mean = sum(block.sum(axes, dtype=np.float64) for block in blocks(X)) / count
        row = mean.reshape(*mean.shape, *(1,) * (X.ndim - 1 - mean.ndim))
        std = np.sqrt(sum(np.square(block - row).sum(axes) for block in blocks(X)) / count)
        largest = np.max([np.abs(block).max(axes) for block in blocks(X)], 0)
        std[std <= CONSTANT * largest] = self.constant
        self.mean.copy_(torch.from_numpy(mean))
        self.std.copy_(torch.from_numpy(std))

    def like(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation with axes to go with ``x`` [b, c, …]."""
        ones = (1,) * (x.ndim - 1 - self.mean.ndim)
        return self.mean.view(*self.mean.shape, *ones), self.std.view(*self.std.shape, *ones)

    def extra_repr(self) -> str:
        """Shape of the moments, for printing."""
        return "×".join(map(str, self.mean.shape))
