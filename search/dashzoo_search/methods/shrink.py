"""A mixture that gets smaller as it learns: choices that stay hopeless are dropped.

At each of `WHEN` (shares of the epochs, after the warm-up) a layer drops the choices whose share
has been below ``below`` / (choices it has) in every epoch since the last time, those with the
least first, as long as

    the energy of its aggregated kernel that they alone hold stays within `STRANDED` of all.

So what the layer computes hardly changes (`narrow`), the step gets cheaper, and what was learned
is kept. The choice in the lead always stays.

At one more time dilations are settled (`Shrinking.settle_dilations`): each layer keeps the sizes of
one dilation, whatever the others held.

A choice that is dropped is no summand any more, yet still a candidate: rules that ask what the
aggregated kernel is on a support may name it in the end. Only argmax cannot.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch

from dashzoo_search.derive.restriction import mixed_layers
from dashzoo_search.errors import BadBundle
from dashzoo_search.methods.narrow import Swap, hand_over, narrow, stranded, widen
from dashzoo_search.relax import Relaxation
from dashzoo_search.supernet import Supernet
from dashzoo_search.training import world
from dashzoo_search.training.steps import Stepper
from dashzoo_search.training.tree import Tree

__all__ = ["Shrinking"]

WHEN = (0.3, 0.5, 0.65, 0.8)
STRANDED = 0.01


class Shrinking:
    """Which of its choices each layer still has; a part of a stage, to be restored before others.

    Args:
        supernet: of `AggConv`s, whole.
        steppers: whose parameters are replaced with the supernet's.
        below: share of 1 / choices; 0 never drops any.
        epochs: of the search.
        warm: the last epoch of the warm-up.

    Attributes:
        kept: for each layer the numbers of the choices it still has, ascending.
    """

    def __init__(
        self,
        supernet: Supernet,
        steppers: tuple[Stepper, ...],
        *,
        below: float,
        epochs: int,
        warm: int,
    ) -> None:
        self._supernet, self._layers = supernet, mixed_layers(supernet)
        self._steppers, self._below = steppers, below
        self._when = {round(share * epochs) for share in WHEN if round(share * epochs) > warm}
        self._whole = {name: layer.geometry for name, layer in self._layers.items()}
        self.kept = {name: list(range(len(g.choices))) for name, g in self._whole.items()}
        self._peak = {name: [0.0] * len(kept) for name, kept in self.kept.items()}

    def watch(self, epoch: int) -> None:
        """Take note of the shares after an epoch past the warm-up, and drop where it is time."""
        for name, shares in self._shares().items():
            self._peak[name] = list(map(max, self._peak[name], shares))
        if self._below > 0 and epoch in self._when:
            self.keep(world.from_first({name: self._hopeful(name) for name in self._layers}))
            self._peak = {name: [0.0] * len(kept) for name, kept in self.kept.items()}

    def keep(self, wanted: Mapping[str, list[int]]) -> None:
        """Leave each layer only the choices of these numbers."""
        swaps: list[Swap] = []
        for name, numbers in wanted.items():
            if numbers != self.kept[name]:
                places = [self.kept[name].index(number) for number in numbers]
                swaps += narrow(self._layers[name], places)
                self._peak[name] = [self._peak[name][place] for place in places]
                self.kept[name] = list(numbers)
        self._hand_over(swaps)

    def settle_dilations(self, numbers: Mapping[str, int]) -> None:
        """Leave each layer only choices of the dilation that these numbers name, where it has any.

        Unlike `watch` this may change what a layer computes by much. That is its point: what was
        learned at other offsets is let go while there is time to learn without it.
        """
        wanted = {}
        for name, number in numbers.items():
            choices, kept = self._whole[name].choices, self.kept[name]
            of_it = [n for n in kept if choices[n].dilation == choices[number].dilation]
            wanted[name] = of_it or kept
        self.keep(wanted)

    def settle(self, numbers: Mapping[str, int]) -> None:
        """Leave each layer one choice, which may be one it has dropped, and what it computes there.

        Where it was dropped the optimiser starts afresh; its moments are of other taps.
        """
        swaps: list[Swap] = []
        for name, number in numbers.items():
            layer, kept = self._layers[name], self.kept[name]
            if number not in kept:
                old = layer.weight, layer.alpha
                widen(layer, self._whole[name], kept)
                narrow(layer, [number])
                swaps += [(old[0], layer.weight, None), (old[1], layer.alpha, None)]
                self.kept[name], self._peak[name] = [number], [0.0]
        self._hand_over(swaps)
        self.keep({name: [number] for name, number in numbers.items()})

    def shares(self) -> dict[str, list[float]]:
        """The share of every choice the layers began with; 0 for those dropped."""
        told = {}
        for name, shares in self._shares().items():
            told[name] = [0.0] * len(self._whole[name].choices)
            for number, share in zip(self.kept[name], shares, strict=True):
                told[name][number] = round(share, 4)
        return told

    def widen(self) -> None:
        """Give every layer all its choices and a plain softmax; it computes what it did."""
        for name, layer in self._layers.items():
            widen(layer, self._whole[name], self.kept[name])

    def whole(self) -> Supernet:
        """A copy of the supernet, widened, to ask without harm."""
        twin = copy.deepcopy(self._supernet)
        for name, layer in mixed_layers(twin).items():
            widen(layer, self._whole[name], self.kept[name])
        return twin.eval()

    def _hand_over(self, swaps: list[Swap]) -> None:
        for stepper in self._steppers:
            hand_over(stepper.optimizer, stepper.parameters, swaps)

    def _shares(self) -> dict[str, list[float]]:
        found = {}
        for name, layer in self._layers.items():
            relaxation = layer.relaxation
            assert isinstance(relaxation, Relaxation)
            with torch.no_grad():
                found[name] = relaxation.shares(layer.alpha).tolist()
        return found

    def _hopeful(self, name: str) -> list[int]:
        layer, peak = self._layers[name], self._peak[name]
        staying = set(range(len(peak)))
        leader = int(layer.alpha.argmax())
        for place in sorted(staying, key=peak.__getitem__):
            if peak[place] >= self._below / len(peak):
                break
            if place != leader and stranded(layer, staying - {place}) <= STRANDED:
                staying.remove(place)
        return [self.kept[name][place] for place in sorted(staying)]

    def state_dict(self) -> Tree:
        """The choices kept, and the highest share of each since the last time."""
        return {
            "kept": {name: list(numbers) for name, numbers in self.kept.items()},
            "peak": {name: list(peak) for name, peak in self._peak.items()},
        }

    def load_state_dict(self, state: Tree) -> None:
        """Drop the choices that were dropped; the weights are another part's.

        Raises:
            BadBundle: another supernet's, or damaged.
        """
        for key in ("kept", "peak"):
            part = state.get(key)
            if not isinstance(part, dict) or set(part) != set(self._layers):
                raise BadBundle(f"{key} is not of this supernet's layers", field=key)
        for name in self._layers:
            kept, peak = state["kept"][name], state["peak"][name]
            listed = isinstance(kept, list) and kept and all(type(i) is int for i in kept)
            if not listed or kept != sorted(set(kept) & set(self.kept[name])):
                raise BadBundle(f"{name} keeps a choice it does not have", field=name)
            counted = isinstance(peak, list) and len(peak) == len(kept)
            if not counted or any(type(share) is not float for share in peak):
                raise BadBundle(f"{name} has not a share for each choice", field=name)
        self.keep(state["kept"])
        self._peak = {name: list(peak) for name, peak in state["peak"].items()}
