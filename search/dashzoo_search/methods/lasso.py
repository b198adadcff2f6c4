"""The latent group lasso: a sum over all choices in which those that do not pay their way vanish.

The layer is the plain sum  A = Σ_c w_c  over choices, each laid on its own support. Penalising
Σ_c √(numel w_c) ‖w_c‖ makes whole choices zero, and of nested supports the smaller is the cheaper
(Jacob, Obozinski & Vert, ICML 2009). After each step of an adaptive optimiser with learning rate η

    w_c ← w_c · max(0, 1 − η λ √(numel w_c) / ‖w_c‖)

and the layer is scaled back to the norm it was drawn with: the norm layer after it makes its scale
meaningless, so otherwise all choices would shrink together instead of competing. An adaptive step
moves each weight by about η times the signal-to-noise ratio of its gradient, so a choice survives
where that ratio, over its weights, exceeds λ: the price has no unit and needs no tuning to a loss.

Two more things make layers compete on equal terms. A step of size η moves weights of size ρ by
η/ρ, and a layer of few input channels is drawn with large weights: next to others it hardly moves,
and they fit the labels to whatever it was drawn with. So `rates` gives every layer the relative
speed of the fastest. And λ grows in proportion to training from 0, because in the beginning, while
the other layers are still noise, even the right choice has little signal to show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dashzoo_search.ops import AggConv

__all__ = ["GroupLasso"]


class GroupLasso:
    """Keeps the choices of some layers sparse.

    Args:
        layers: `AggConv`s with separate weights, as they were drawn; they become plain sums, and
            their α is frozen.
        price: λ ≥ 0 at the end.
    """

    def __init__(self, layers: Mapping[str, AggConv], price: float) -> None:
        self._layers, self._price = dict(layers), price
        self._norms: dict[str, float] = {}
        for name, layer in self._layers.items():
            layer.relaxation = _Ones()
            layer.alpha.requires_grad_(False)
            with torch.no_grad():
                # As large in sum as one drawn choice, as the softmax of equal α would not be.
                layer.weight.div_(math.sqrt(len(layer.choices)))
                self._norms[name] = float(layer.weight.norm())

    def rates(self) -> dict[nn.Parameter, float]:
        """Learning rate of each layer's weights, over that of the layer with the smallest ones."""
        sizes = {
            name: self._norms[name] / math.sqrt(layer.weight[0].numel())
            for name, layer in self._layers.items()
        }
        least = min((size for size in sizes.values() if size > 0), default=1.0)
        return {
            layer.weight: sizes[name] / least if sizes[name] > 0 else 1.0
            for name, layer in self._layers.items()
        }

    def shrink(self, lr: float, share: float = 1.0) -> None:
        """The proximal step that follows an optimiser's step.

        Args:
            lr: the recipe's learning rate in that step, before `rates`.
            share: of the training that is over, 0 to 1.
        """
        rates = self.rates()
        with torch.no_grad():
            for name, layer in self._layers.items():
                weight = layer.weight
                step = lr * rates[weight] * self._price * share
                norms = self.norms(layer)
                kernels = weight[0].numel()
                numel = torch.tensor([c.taps * kernels for c in layer.choices], dtype=norms.dtype)
                threshold = step * numel.sqrt().to(norms.device)
                left = (1 - threshold / norms.clamp_min(1e-12)).clamp_min(0)
                if not left.any():
                    left[norms.argmax()] = 1.0
                weight.mul_(left[_slots(layer)][:, None, None])
                weight.mul_(self._norms[name] / weight.norm().clamp_min(1e-12))

    @staticmethod
    def norms(layer: AggConv) -> Tensor:
        """‖w_c‖ of each choice, ``[choices]``."""
        squares = layer.weight.detach().square().sum((1, 2))
        sums = squares.new_zeros(len(layer.choices))
        return sums.index_add_(0, _slots(layer), squares).sqrt()


class _Ones(nn.Module):
    def forward(self, logits: Tensor) -> Tensor:
        return torch.ones_like(logits)


def _slots(layer: AggConv) -> Tensor:
    return torch.tensor(layer.geometry.slot_choice, device=layer.weight.device)
