"""Where each layer of a search over paths stands, and which of its choices are still alive."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from dashzoo_search.budget.ledger import Ledger
from dashzoo_search.errors import BadBundle
from dashzoo_search.methods.decide import CONFIDENCE, SLACK, Verdict, decide
from dashzoo_search.methods.judge import Judge
from dashzoo_search.ops.pathconv import PathConv
from dashzoo_search.training.tree import Tree

__all__ = ["Anchors"]

KEPT = 2 / 3


class Anchors:
    """The anchors of all layers; choices are told by their index in the layer.

    Args:
        layers: of the supernet, by name.
        explore: layers that explore in a step, on average; never more than half of them.
        confidence: see `decide`.
        ledger: what the network may cost; None where that does not matter.

    Attributes:
        anchor: the choice each layer stands at.
        alive: its choices that may still be explored.
        spread: the largest gap between two of its choices so far, in nats.
        behind: what each choice lost to the best when it was last judged, in nats.
        uniform: the best spec with one kernel for every layer; empty until it is known.
    """

    def __init__(
        self,
        layers: Mapping[str, PathConv],
        *,
        explore: float,
        confidence: float,
        ledger: Ledger | None = None,
    ) -> None:
        self._layers, self._confidence, self._ledger = layers, confidence, ledger
        self._chance = min(0.5, explore / len(layers))
        self.anchor = {name: layer.first for name, layer in layers.items()}
        self.alive = {name: list(range(len(layer.choices))) for name, layer in layers.items()}
        self.spread = dict.fromkeys(layers, 0.0)
        self.behind = {name: [0.0] * len(layer.choices) for name, layer in layers.items()}
        self.uniform: dict[str, int] = {}

    def start(self, name: str, index: int, *, settled: bool) -> None:
        """Anchor a layer at a choice.

        Where its dilation is settled, only its own kernel stays alive beside those of that one.
        """
        layer = self._layers[name]
        self.anchor[name] = index
        if settled:
            dilation = layer.choices[index].dilation
            self.alive[name] = [
                other
                for other, choice in enumerate(layer.choices)
                if choice.dilation == dilation or other == layer.first
            ]

    def explore(self, generator: torch.Generator) -> None:
        """Draw a path."""
        dice = torch.rand(len(self._layers), 2, generator=generator).tolist()
        for (name, layer), (go, where) in zip(self._layers.items(), dice, strict=True):
            alive = self.alive[name]
            layer.pick = alive[int(where * len(alive))] if go < self._chance else self.anchor[name]

    def rest(self) -> None:
        """Put every layer at its anchor."""
        for name, layer in self._layers.items():
            layer.pick = self.anchor[name]

    def move(self, judge: Judge, *, left: int, of: int) -> None:
        """Judge every choice alive, move the anchors and drop what fell behind.

        Under a budget the anchors move to the best network that fits, and stay alive.

        Args:
            judge: holds the held-out samples.
            left: rounds still to come; after the last only the anchors are alive.
            of: rounds in all; dilations are settled in the first half.
        """
        verdicts = {name: self._judge(name, judge) for name in self._layers}
        dilating = of // 2 - (of - 1 - left)
        for name, verdict in verdicts.items():
            self.spread[name] = verdict.spread
            for index, behind in zip(self.alive[name], verdict.behind, strict=True):
                self.behind[name][index] = behind
        picks = {name: self.alive[name][verdict.pick] for name, verdict in verdicts.items()}
        if self._ledger is not None:
            picks = self._ledger.picks(self.behind, picks)
        for name, verdict in verdicts.items():
            if left == 0:
                kept = []
            elif dilating > 0:
                kept = self._dilations(name, verdict, dilating)
            else:
                kept = self._sizes(name, verdict)
            self.anchor[name] = picks[name]
            own = self._layers[name].first
            if left and verdict.own_holds and own not in kept:
                kept.append(own)
            self.alive[name] = sorted({*kept, picks[name]})
        self.rest()

    def stay(self, *, left: int) -> None:
        """Let a round pass without judging; after the last (``left`` 0) only anchors are alive."""
        if left == 0:
            self.alive = {name: [index] for name, index in self.anchor.items()}

    def chances(self) -> dict[str, list[float]]:
        """How likely each choice of each layer is to be computed in a step."""
        told = {}
        for name, layer in self._layers.items():
            chances = [0.0] * len(layer.choices)
            for index in self.alive[name]:
                chances[index] += self._chance / len(self.alive[name])
            chances[self.anchor[name]] += 1 - self._chance
            told[name] = [round(chance, 4) for chance in chances]
        return told

    def _judge(self, name: str, judge: Judge) -> Verdict:
        layer, alive = self._layers[name], self.alive[name]
        losses = []
        for layer.pick in alive:
            losses.append(judge.losses())
        layer.pick = self.anchor[name]
        return decide(
            np.stack(losses),
            [layer.choices[index] for index in alive],
            own=alive.index(layer.first) if layer.first in alive else None,
            spread=self.spread[name],
            confidence=self._confidence,
        )

    def _dilations(self, name: str, verdict: Verdict, left: int) -> list[int]:
        """The choices of the dilations that stay, ``left`` rounds before one is left."""
        choices = self._layers[name].choices
        alive = self.alive[name]
        groups: dict[tuple[int, ...], list[int]] = {}
        for position, index in enumerate(alive):
            groups.setdefault(choices[index].dilation, []).append(position)

        def rank(dilation: tuple[int, ...]) -> tuple[float, ...]:
            mine = groups[dilation]
            if verdict.pick in mine:
                return (0.0,)
            good = [p for p in mine if p in verdict.good]
            if good:
                return (1.0, float(min(choices[alive[p]].taps for p in good)))
            return (2.0, min(verdict.loss[p] for p in mine))

        staying = max(1, round(len(groups) ** ((left - 1) / left)))
        ranked = sorted(groups, key=rank)[:staying]
        return [alive[p] for dilation in ranked for p in groups[dilation]]

    def _sizes(self, name: str, verdict: Verdict) -> list[int]:
        """Two thirds of the choices, the smallest that are not clearly behind before others."""
        choices = self._layers[name].choices
        alive = self.alive[name]

        def rank(position: int) -> tuple[float, ...]:
            close = max(CONFIDENCE * verdict.error[position], SLACK * verdict.spread)
            if verdict.behind[position] <= close:
                return (0.0, float(choices[alive[position]].taps))
            return (1.0, verdict.loss[position])

        ranked = sorted(range(len(alive)), key=rank)[: max(2, math.ceil(len(alive) * KEPT))]
        return [alive[position] for position in {*ranked, verdict.pick}]

    def state_dict(self) -> Tree:
        """Anchors, choices alive, spreads, evidence, and the best uniform spec."""
        return {
            "behind": {name: list(gaps) for name, gaps in self.behind.items()},
            "anchor": dict(self.anchor),
            "alive": {name: list(indices) for name, indices in self.alive.items()},
            "spread": dict(self.spread),
            "uniform": dict(self.uniform),
        }

    def load_state_dict(self, state: Tree) -> None:
        """Put them back.

        Raises:
            BadBundle: another supernet's, or damaged.
        """
        for key in ("anchor", "alive", "spread", "behind", "uniform"):
            part = state.get(key)
            empty = key == "uniform" and part == {}
            if not isinstance(part, dict) or not (empty or set(part) == set(self._layers)):
                raise BadBundle(f"{key} is not of this supernet's layers", field=key)
        for name, layer in self._layers.items():
            alive = state["alive"][name]
            listed = isinstance(alive, list) and alive
            indices = [state["anchor"][name], *(alive if listed else [-1])]
            indices += [state["uniform"][name]] if state["uniform"] else []
            if any(type(i) is not int or not 0 <= i < len(layer.choices) for i in indices):
                raise BadBundle(f"{name} names a choice it does not have", field=name)
            gaps = state["behind"][name]
            gaps = gaps if isinstance(gaps, list) and len(gaps) == len(layer.choices) else [None]
            if any(type(number) is not float for number in (state["spread"][name], *gaps)):
                raise BadBundle(f"{name} has no spread, or a gap that is no number", field=name)
        self.anchor, self.alive = dict(state["anchor"]), dict(state["alive"])
        self.spread, self.behind = dict(state["spread"]), dict(state["behind"])
        self.uniform = dict(state["uniform"])
