"""The first module of every saved network: raw samples in, what the backbone was trained on out.

Normalising inside the network is what makes torch, timm and ONNX take the same raw inputs.
Mean and standard deviation are buffers, so they travel in the weights file.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dashzoo_search.networks.moments import Moments

__all__ = ["Preprocess"]


class Preprocess(Moments):
    """(x − mean) / std, then onto the plane the backbone works on.

    A channel, or position, that never changes in the data it is fitted to is centred and left
    unscaled.

    Args:
        in_chans: channels of the raw input.
        dims: 1 for sequences [b, c, l], 2 for images [b, c, h, w].
        resize: height and width to interpolate images to (bilinear); None keeps the size.
        size: of a raw sample, to normalise every position by its own moments; empty for those of
            channels.
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
        coords: bool = False,
    ) -> None:
        super().__init__(in_chans, size)
        self.dims = dims
        self.resize = resize
        self.out_chans = in_chans + dims * coords

    def forward(self, x: Tensor) -> Tensor:
        mean, std = self.like(x)
        x = (x - mean) / std
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


def _coordinates(x: Tensor, dims: int) -> list[Tensor]:
    """For each of the last ``dims`` axes of ``x`` [b, c, h, w], where a position lies on it."""
    planes = []
    for axis in range(-dims, 0):
        shape = [1] * 4
        shape[axis] = x.shape[axis]
        line = torch.linspace(-1, 1, x.shape[axis], dtype=x.dtype, device=x.device)
        planes.append(line.view(shape).expand(x.shape[0], 1, *x.shape[2:]))
    return planes
