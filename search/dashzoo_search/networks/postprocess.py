"""The last module of a network that tells numbers: from what it was trained on to physical units.

y · std + mean, of the training targets. Inside the network, so that outputs, losses and metrics
are in the units of the data, in torch as in ONNX.
"""

from __future__ import annotations

from torch import Tensor

from dashzoo_search.networks.moments import Moments

__all__ = ["Postprocess"]


class Postprocess(Moments):
    """Normalised outputs → outputs in physical units.

    Where the targets never change, such as on a boundary held at zero, the output is their value.

    Args:
        outputs: channels of the targets.
        size: their length, or height and width, to scale every position by its own moments, as
            Li et al. (2021) do for Darcy flow; empty for those of channels.

    Shape:
        [b, outputs] or [b, outputs, *size], unchanged.
    """

    def __init__(self, outputs: int, size: tuple[int, ...] = ()) -> None:
        super().__init__(outputs, size, constant=0.0)

    def forward(self, y: Tensor) -> Tensor:
        mean, std = self.like(y)
        return y * std + mean
