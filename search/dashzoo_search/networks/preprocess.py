"""The first module of every saved network: raw samples in, what the backbone was trained on out.

Normalising inside the network is what makes torch, timm and ONNX take the same raw inputs.
Mean and standard deviation are buffers, so they travel in the weights file.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dashzoo_search.networks.moments import CONSTANT, Moments
from dashzoo_search.rows import Array

__all__ = ["Preprocess"]


class Preprocess(Moments):
    """(x − mean) / std, then onto the plane the backbone works on.

    A channel, or position, that never changes in the data it is fitted to is centred and left
    unscaled; so is a channel of a sample by its own moments.

    Args:
        in_chans: channels of the raw input.
        dims: 1 for sequences [b, c, l], 2 for images [b, c, h, w].
        resize: height and width to interpolate images to (bilinear); None keeps the size.
        size: of a raw sample, to normalise every position by its own moments; empty for those of
            channels.
        per_sample: normalise every channel of a sample by its own moments over the sample, where
            what samples differ in is not their scale.
        coords: whether ``dims`` channels are appended that say where on [−1, 1] a position lies.

    Shape:
        [b, c, l] → [b, c', 1, l], or [b, c, h, w] → [b, c', h', w'], with c' = c, or c + dims with
        coordinates.
    """

    def __init__(
        self,
        in_chans: int,
        dims: int,
        resize: tuple[int, int] | None = None,
        *,
        size: tuple[int, ...] = (),
        per_sample: bool = False,
        coords: bool = False,
    ) -> None:
        super().__init__(in_chans, size)
        self.per_sample = per_sample
        self.dims = dims
        self.resize = resize
        self.out_chans = in_chans + dims * coords

    def fit(self, X: Array) -> None:
        """Set the moments to those of ``X`` [n, c, …], unless every sample has its own."""
        if not self.per_sample:
            super().fit(X)

    def forward(self, x: Tensor) -> Tensor:
        mean, std = _own_moments(x) if self.per_sample else self.like(x)
        x = (x - mean).div_(std)  # in place: a batch may be a good part of the memory
        if self.dims == 1:
            x = x.unsqueeze(2)
        if self.resize is not None:
            x = F.interpolate(x, self.resize, mode="bilinear", align_corners=False)
        if self.out_chans > len(self.mean):
            x = torch.cat([x, *_coordinates(x, self.dims)], 1)
        return x

    def extra_repr(self) -> str:
        """Channels, dims and size, for printing."""
        return f"{super().extra_repr()}, dims={self.dims}, resize={self.resize}"


def _own_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [b, c, 1, …] of each channel of each sample."""
    axes = tuple(range(2, x.ndim))
    mean = x.mean(axes, keepdim=True)
    std = (x - mean).square().mean(axes, keepdim=True).sqrt()
    largest = x.abs().amax(axes, keepdim=True)
    return mean, torch.where(std <= CONSTANT * largest, torch.ones_like(std), std)


def _coordinates(x: Tensor, dims: int) -> list[Tensor]:
    """For each of the last ``dims`` axes of ``x`` [b, c, h, w], where a position lies on it."""
    planes = []
    for axis in range(-dims, 0):
        shape = [1] * 4
        shape[axis] = x.shape[axis]
        line = torch.linspace(-1, 1, x.shape[axis], dtype=x.dtype, device=x.device)
        planes.append(line.view(shape).expand(x.shape[0], 1, *x.shape[2:]))
    return planes
