"""Relaxations: from architecture logits to the coefficients of a weighted sum of choices.

| name | while training | in eval |
|---|---|---|
| softmax | softmax(α / τ) | the same |
| gumbel | softmax((α + g) / τ), g drawn anew each call | softmax(α) |
| straight_through | one-hot of a gumbel draw, with the draw's gradient | one-hot of α |
| sparsemax | the point of the simplex nearest α / τ | the same |

Each is a small module from ``[choices]`` logits to ``[choices]`` coefficients that sum to one. In
eval every one of them is deterministic, so evaluating a supernet twice gives the same numbers;
chance enters only while training, from a generator that can be handed in.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "RELAXATIONS",
    "GumbelSoftmax",
    "Relaxation",
    "Softmax",
    "Sparsemax",
    "StraightThrough",
    "make_relaxation",
    "sparsemax",
]


class Relaxation(nn.Module):
    """What all have in common.

    Args:
        temperature: τ > 0; may be changed between steps to anneal.

    Raises:
        ValueError: a temperature that is not positive.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"a temperature must be positive, not {temperature!r}")
        self.temperature = float(temperature)

    def shares(self, logits: Tensor) -> Tensor:
        """How much, or how often, each choice counts while training, on average; ``[choices]``."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """The temperature."""
        return f"temperature={self.temperature}"


class Softmax(Relaxation):
    """softmax(α / τ), in training and in eval alike.

    Args:
        temperature: see `Relaxation`.

    >>> Softmax()(torch.zeros(4))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def forward(self, logits: Tensor) -> Tensor:
        """Map logits ``[choices]`` to coefficients ``[choices]``."""
        return torch.softmax(logits / self.temperature, dim=-1)

    def shares(self, logits: Tensor) -> Tensor:
        """The coefficients."""
        return torch.softmax(logits / self.temperature, dim=-1)


class GumbelSoftmax(Relaxation):
    """softmax((α + g) / τ) with g ~ Gumbel(0, 1) drawn anew each call; in eval softmax(α).

    softmax(α) is the probability with which each choice leads a draw, whatever the temperature
    (Jang, Gu and Poole, ICLR 2017; Maddison, Mnih and Teh, ICLR 2017).

    Args:
        temperature: see `Relaxation`.
        generator: source of the noise, on the device of the logits; torch's own if None.

    >>> relaxation = GumbelSoftmax(0.5, torch.Generator().manual_seed(0))
    >>> bool(relaxation(torch.zeros(4)).sum() - 1 < 1e-6)
    True
    """

    def __init__(self, temperature: float = 1.0, generator: torch.Generator | None = None) -> None:
        super().__init__(temperature)
        self.generator = generator

    def forward(self, logits: Tensor) -> Tensor:
        """Map logits ``[choices]`` to coefficients ``[choices]``."""
        return self.draw(logits) if self.training else torch.softmax(logits, dim=-1)

    def draw(self, logits: Tensor) -> Tensor:
        """softmax((α + g) / τ), with fresh noise."""
        waiting = torch.empty_like(logits, requires_grad=False)
        gumbel = -waiting.detach().exponential_(generator=self.generator).log()
        return torch.softmax((logits + gumbel) / self.temperature, dim=-1)

    def shares(self, logits: Tensor) -> Tensor:
        """The probability with which each choice leads a draw, softmax(α)."""
        return torch.softmax(logits, dim=-1)


class StraightThrough(GumbelSoftmax):
    """One choice at a time: forward the one-hot of a Gumbel draw, backward the draw's gradient.

    The gradient is biased, the less the higher the temperature hides which choice was taken
    (straight-through Gumbel-softmax, Jang, Gu and Poole, ICLR 2017, section 2.2). In eval the
    largest α is taken: a network that training has seen, which the softmax of them is not.

    Args:
        temperature: of the gradient; what is taken does not depend on it.
        generator: see `GumbelSoftmax`.

    >>> StraightThrough(1, torch.Generator().manual_seed(0))(torch.zeros(3)).sort().values
    tensor([0., 0., 1.])
    """

    def forward(self, logits: Tensor) -> Tensor:
        """Map logits ``[choices]`` to a one-hot ``[choices]``."""
        soft = self.draw(logits) if self.training else logits
        hard = F.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
        # soft − soft is exactly zero, so the coefficients are exactly one-hot.
        return hard + (soft - soft.detach()) if self.training else hard


class Sparsemax(Relaxation):
    """The point of the simplex nearest α / τ, in training and in eval alike; see `sparsemax`.

    Choices far behind get exactly zero, and with it no gradient until the others fall back. Equal
    logits are 1/C each and one that lies τ/C below them is out, so with many choices τ near C
    is wanted where softmax has 1.

    Args:
        temperature: see `Relaxation`.

    >>> Sparsemax()(torch.tensor([1.0, 0.5, -1.0]))
    tensor([0.7500, 0.2500, 0.0000])
    """

    def forward(self, logits: Tensor) -> Tensor:
        """Map logits ``[choices]`` to coefficients ``[choices]``."""
        return sparsemax(logits / self.temperature)

    def shares(self, logits: Tensor) -> Tensor:
        """The coefficients."""
        return sparsemax(logits / self.temperature)


def sparsemax(logits: Tensor) -> Tensor:
    """argmin_p ‖p − z‖² over the simplex, along the last axis (Martins & Astudillo, ICML 2016).

    With S the choices of the support, p = max(z − θ, 0) and θ = (Σ_S z − 1) / |S|. The Jacobian
    is diag(s) − s sᵀ / |S|, s the indicator of S; autograd finds it through θ.

    Args:
        logits: ``[…, choices]``.

    Returns:
        ``[…, choices]``, not negative, summing to one.
    """
    ordered = logits.sort(dim=-1, descending=True).values
    count = torch.arange(1, logits.shape[-1] + 1, dtype=logits.dtype, device=logits.device)
    excess = ordered.cumsum(-1) - 1
    size = (count * ordered > excess).sum(-1, keepdim=True)
    threshold = excess.gather(-1, size - 1) / size
    return F.relu(logits - threshold)


RELAXATIONS: Mapping[str, type[Relaxation]] = {
    "softmax": Softmax,
    "gumbel": GumbelSoftmax,
    "straight_through": StraightThrough,
    "sparsemax": Sparsemax,
}


def make_relaxation(
    name: str, temperature: float = 1.0, generator: torch.Generator | None = None
) -> Relaxation:
    """A relaxation by name.

    Args:
        name: one of `RELAXATIONS`.
        temperature: see `Relaxation`.
        generator: source of the noise of those that are noisy.

    Raises:
        ValueError: no such relaxation, or a temperature that is not positive.

    >>> make_relaxation("sparsemax", 2.0)
    Sparsemax(temperature=2.0)
    """
    if name not in RELAXATIONS:
        raise ValueError(f"relaxation must be one of {', '.join(RELAXATIONS)}, not {name!r}")
    kind = RELAXATIONS[name]
    return kind(temperature, generator) if issubclass(kind, GumbelSoftmax) else kind(temperature)
