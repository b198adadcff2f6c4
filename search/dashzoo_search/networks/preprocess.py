"""The first module of every saved network: raw samples in, what the backbone was trained on out.

Normalising inside the network is what makes torch, timm and ONNX take the same raw inputs.
Mean and standard deviation are buffers, so they travel in the weights file.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dashzoo_search.rows import Array, blocks

__all__ = ["Preprocess"]


class Preprocess(nn.Module):
    """(x − mean) / std per channel, then onto the plane the backbone works on.

    Args:
        in_chans: channels of the raw input.
        dims: 1 for sequences [b, c, l], 2 for images [b, c, h, w].
        resize: height and width to interpolate images to (bilinear); None keeps the size.

    Shape:
        [b, c, l] → [b, c, 1, l], or [b, c, h, w] → [b, c, h', w'].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, in_chans: int, dims: int, resize: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.dims = dims
        self.resize = resize
        self.register_buffer("mean", torch.zeros(in_chans))
        self.register_buffer("std", torch.ones(in_chans))

    def fit(self, X: Array) -> None:
        """Set mean and standard deviation to those of ``X`` [n, c, …], channel by channel.

        A channel that never changes is centred and left unscaled.
        """
        axes = (0, *range(2, X.ndim))
        count = np.prod([X.shape[axis] for axis in axes])
        mean = sum(block.sum(axes, dtype=np.float64) for block in blocks(X)) / count
        column = mean.reshape(-1, *(1,) * (X.ndim - 2))
        std = np.sqrt(sum(np.square(block - column).sum(axes) for block in blocks(X)) / count)
        largest = np.max([np.abs(block).max(axes) for block in blocks(X)], 0)
        std[std <= 1e-6 * largest] = 1.0  # what float32 cannot tell from constant
        self.mean.copy_(torch.from_numpy(mean))
        self.std.copy_(torch.from_numpy(std))

    def forward(self, x: Tensor) -> Tensor:
        if self.dims == 1:
            x = x.unsqueeze(2)
        x = (x - self.mean[:, None, None]) / self.std[:, None, None]
        if self.resize is not None:
            x = F.interpolate(x, self.resize, mode="bilinear", align_corners=False)
        return x

    def extra_repr(self) -> str:
        """Channels, dims and size, for printing."""
        return f"{len(self.mean)}, dims={self.dims}, resize={self.resize}"
