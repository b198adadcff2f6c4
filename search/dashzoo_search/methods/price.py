"""The price on taps that a mixture's α pays, so that a larger kernel must earn its weights."""

from __future__ import annotations

import torch
from torch import Tensor

from dashzoo_search.derive.restriction import mixed_layers
from dashzoo_search.supernet import Supernet

__all__ = ["Price"]


class Price:
    """weight · mean over layers of Σ_c p_c · taps_c / taps_max.

    Args:
        supernet: of `AggConv`s, whole: the largest kernel each has now stays the measure when it
            has fewer.
        weight: of the price in the loss.
    """

    def __init__(self, supernet: Supernet, weight: float) -> None:
        self._layers, self._weight = list(mixed_layers(supernet).values()), weight
        self._most = [max(c.taps for c in layer.choices) for layer in self._layers]

    def __call__(self) -> Tensor:
        """It, with a gradient to every α."""
        prices = []
        for layer, most in zip(self._layers, self._most, strict=True):
            taps = layer.alpha.new_tensor([choice.taps / most for choice in layer.choices])
            prices.append(layer.coefficients() @ taps)
        return self._weight * torch.stack(prices).mean()
