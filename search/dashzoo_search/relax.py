"""Relaxations: from architecture logits to the coefficients of a weighted sum of choices.

Each is a small module from ``[choices]`` logits to ``[choices]`` coefficients that sum to one.
In eval mode every one of them is the deterministic softmax, so evaluating a supernet twice gives
the same numbers; chance enters only while training, from a generator that can be handed in.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["GumbelSoftmax", "Softmax"]


class Softmax(nn.Module):
    """softmax(α / τ), in training and in eval alike.

    Args:
        temperature: τ > 0; may be changed between steps to anneal.

    Raises:
        ValueError: a temperature that is not positive.

    >>> Softmax()(torch.zeros(4))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = _positive(temperature)

    def forward(self, logits: Tensor) -> Tensor:
        """Map logits ``[choices]`` to coefficients ``[choices]``."""
        return torch.softmax(logits / self.temperature, dim=-1)

    def extra_repr(self) -> str:
        """The temperature."""
        return f"temperature={self.temperature}"


class GumbelSoftmax(nn.Module):
    """softmax((α + g) / τ) with g ~ Gumbel(0, 1) drawn anew each call; in eval softmax(α).

    softmax(α) is the probability with which each choice leads a draw, whatever the temperature
    (Jang, Gu and Poole, ICLR 2017; Maddison, Mnih and Teh, ICLR 2017).

    Args:
        temperature: τ > 0; may be changed between steps to anneal.
        generator: source of the noise, on the device of the logits; torch's own if None.

    Raises:
        ValueError: a temperature that is not positive.

    >>> relaxation = GumbelSoftmax(0.5, torch.Generator().manual_seed(0))
    >>> bool(relaxation(torch.zeros(4)).sum() - 1 < 1e-6)
    True
    """

    def __init__(self, temperature: float = 1.0, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.temperature = _positive(temperature)
        self.generator = generator

    def forward(self, logits: Tensor) -> Tensor:
        """Map logits ``[choices]`` to coefficients ``[choices]``."""
        if not self.training:
            return torch.softmax(logits, dim=-1)
        waiting = torch.empty_like(logits, requires_grad=False)
        gumbel = -waiting.detach().exponential_(generator=self.generator).log()
        return torch.softmax((logits + gumbel) / self.temperature, dim=-1)

    def extra_repr(self) -> str:
        """The temperature."""
        return f"temperature={self.temperature}"


def _positive(temperature: float) -> float:
    if not temperature > 0:
        raise ValueError(f"a temperature must be positive, not {temperature!r}")
    return float(temperature)
