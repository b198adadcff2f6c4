"""The relaxation of a mixture, its noise and its temperature.

The temperature is a function of the epoch, so a resumed search needs nothing to know it. The noise
has a generator of its own, seeded from the search's: alike in all processes, whatever else they
draw, and a part of the stage, so that it goes on where it was.
"""

from __future__ import annotations

import torch

from dashzoo_search.derive.restriction import mixed_layers
from dashzoo_search.relax import RELAXATIONS, GumbelSoftmax, Relaxation, make_relaxation
from dashzoo_search.supernet import Supernet

__all__ = ["Annealing", "temperature_at"]


class Annealing:
    """Puts a relaxation into every layer of a supernet, and sets its temperature.

    Args:
        supernet: of `AggConv`s.
        relaxation: one of `RELAXATIONS`.
        start, end: temperature up to the end of the warm-up, and in the last epoch.
        warm, epochs: the last epoch of the warm-up, and of all.
        generator: seeds the noise, if there is any.

    Attributes:
        noise: the generator of the noise, on the supernet's device.
    """

    def __init__(
        self,
        supernet: Supernet,
        relaxation: str,
        *,
        start: float,
        end: float,
        warm: int,
        epochs: int,
        generator: torch.Generator,
    ) -> None:
        self._layers = mixed_layers(supernet)
        self._start, self._end, self._warm, self._epochs = start, end, warm, epochs
        self.noise = torch.Generator(next(supernet.parameters()).device)
        if issubclass(RELAXATIONS[relaxation], GumbelSoftmax):
            self.noise.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        for layer in self._layers.values():
            layer.relaxation = make_relaxation(relaxation, start, self.noise)

    def begin(self, epoch: int) -> None:
        """Set the temperature of an epoch."""
        after = self._epochs - self._warm
        share = min(1.0, max(0, epoch - self._warm) / after) if after > 0 else 0.0
        for layer in self._layers.values():
            assert isinstance(layer.relaxation, Relaxation)
            layer.relaxation.temperature = temperature_at(share, self._start, self._end)


def temperature_at(share: float, start: float, end: float) -> float:
    """τ when ``share``, 0 to 1, of the way is done: by the same factor in each step.

    >>> temperature_at(0.5, 4.0, 1.0)
    2.0
    """
    return start * float((end / start) ** share)
