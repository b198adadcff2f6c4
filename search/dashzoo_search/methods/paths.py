"""Anchored paths: one kernel a layer and step, moved where held-out data says so.

Every layer has an *anchor*, at first the backbone's own kernel. In each step a layer computes with
its anchor, or, with probability p, explores one of its choices that are still alive; so a step
costs what a plain network's does, whatever the number of choices, and the weights always belong
to a network that could be kept. After each round, for one layer at a time and all others at their
anchors, every choice alive is scored on held-out samples (`judge`); `decide` names the next
anchor, and choices that fell behind are dropped: dilations first, because sizes of one dilation
share weights and can only be told apart once it is settled, then sizes. After the last round each
layer stays at its anchor and the network trains on, so that its weights can be kept.

A choice explored in few steps is scored worse than it would do alone, so the method errs towards
the backbone's own kernels.

Relatives: single-path one-shot search (Guo et al., ECCV 2020), its fairness by sampling, and
selection by perturbing a trained supernet (Wang et al., ICLR 2021). The anchor, the order of the
rounds and the standard of proof are ours; the measurements they rest on are in docs/decisions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from dashzoo_search.errors import BadBundle, BadData
from dashzoo_search.methods.decide import Verdict, decide
from dashzoo_search.methods.found import Found
from dashzoo_search.methods.judge import Judge
from dashzoo_search.ops.pathconv import PathConv
from dashzoo_search.spec import Choice, KernelSpec
from dashzoo_search.supernet import Supernet
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.loop import memory_guard
from dashzoo_search.training.progress import OnEpoch
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.resume import Stage
from dashzoo_search.training.steps import Batches, Stepper, weight_optimizer
from dashzoo_search.training.tree import Tree

__all__ = ["Paths", "search_paths"]

ROUNDS = (0.4, 0.6, 0.75, 0.9)
JUDGED = 1024
KEPT = 2 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """How to search by anchored paths.

    Args:
        explore: layers that explore in a step, on average; never more than half of them.
        confidence: standard errors by which a layer's own kernel must lose before it is left.

    Raises:
        BadData: a value out of range.
    """

    explore: float = 2.0
    confidence: float = 3.0

    def __post_init__(self) -> None:
        for name in ("explore", "confidence"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise BadData(f"{name} must be a positive number, not {value}")

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


def search_paths(
    supernet: Supernet,
    fitted: Split,
    heldout: Split,
    recipe: Recipe,
    options: Paths,
    *,
    generator: torch.Generator,
    on_epoch: OnEpoch,
) -> Found:
    """Train ``supernet``, made of `PathConv`s, in place, and leave it at the kernels found.

    Args:
        supernet: on the device to train on.
        fitted: samples the weights are fitted to.
        heldout: samples the kernels are judged by; at most `JUDGED` of them, spread evenly.
        recipe: epochs, batch size and the weights' optimiser.
        options: see `Paths`.
        generator: shuffles the batches, and draws the paths.
        on_epoch: told after every epoch, with the accuracy on the held-out samples.

    Raises:
        TrainingFailed: ten steps in a row without a finite gradient, or out of memory.
        BadBundle: a checkpoint does not fit.
    """
    layers = {name: _path(layer) for name, layer in supernet.layers.items()}
    device = next(supernet.parameters()).device
    batches = Batches(fitted, recipe.batch_size, device=device, generator=generator)
    weights = list(supernet.parameters())
    optimizer, schedule = weight_optimizer(weights, recipe, recipe.epochs * len(batches))
    step = Stepper(supernet, weights, optimizer, schedule, precision=recipe.precision)
    spread = np.linspace(0, len(heldout) - 1, min(len(heldout), JUDGED)).round().astype(int)
    judge = Judge(supernet, heldout.take(spread))
    anchors = Anchors(layers, options)
    rounds = sorted({max(1, round(share * recipe.epochs)) for share in ROUNDS})
    every = max(1, recipe.epochs // 20)
    history: list[dict[str, Any]] = []
    stage = Stage(
        "search",
        {
            "supernet": supernet,
            "step": step,
            "batches": generator,
            "anchors": anchors,
            "history": history,
        },
        on_epoch,
        device,
    )
    with memory_guard():
        for epoch in stage.epochs(recipe.epochs):
            supernet.train()
            losses = []
            for x, y in batches:
                anchors.explore(generator)
                losses.append(step(x, y))
            anchors.rest()
            _, accuracy = judge.calibrate()
            if epoch in rounds:
                if epoch == rounds[0]:
                    anchors.uniform = _best_uniform(layers, anchors, judge)
                anchors.move(judge, left=len(rounds) - 1 - rounds.index(epoch), of=len(rounds))
            if epoch % every == 0 or epoch == recipe.epochs:
                history.append({"epoch": epoch, "layers": anchors.chances()})
            stage.tell(sum(losses) / len(losses), accuracy)
    anchors.rest()
    supernet.eval()
    spec = _spec(supernet, anchors.anchor)
    supernet.select(spec)
    uniform = _spec(supernet, anchors.uniform) if anchors.uniform else None
    own = _spec(supernet, {name: layer.first for name, layer in layers.items()})
    return Found(
        spec=spec,
        history=tuple(history),
        skipped_steps=step.skipped,
        uniform=None if uniform in (spec, own) else uniform,
    )


class Anchors:
    """Where each layer stands, and which of its choices are still alive; indices into them."""

    def __init__(self, layers: Mapping[str, PathConv], options: Paths) -> None:
        self._layers, self._options = layers, options
        self._chance = min(0.5, options.explore / len(layers))
        self.anchor = {name: layer.first for name, layer in layers.items()}
        self.alive = {name: list(range(len(layer.choices))) for name, layer in layers.items()}
        self.spread = dict.fromkeys(layers, 0.0)
        self.uniform: dict[str, int] = {}

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

        Args:
            judge: holds the held-out samples.
            left: rounds still to come; after the last only the anchors are alive.
            of: rounds in all; dilations are settled in the first half.
        """
        verdicts = {name: self._judge(name, judge) for name in self._layers}
        dilating = of // 2 - (of - 1 - left)
        for name, verdict in verdicts.items():
            self.spread[name] = verdict.spread
            if left == 0:
                kept = [self.alive[name][verdict.pick]]
            elif dilating > 0:
                kept = self._dilations(name, verdict, dilating)
            else:
                kept = self._sizes(name, verdict)
            self.anchor[name] = self.alive[name][verdict.pick]
            own = self._layers[name].first
            if left and verdict.own_holds and own not in kept:
                kept.append(own)
            self.alive[name] = sorted(kept)
        self.rest()

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
            confidence=self._options.confidence,
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
            close = max(2 * verdict.error[position], verdict.spread / 10)
            if verdict.behind[position] <= close:
                return (0.0, float(choices[alive[position]].taps))
            return (1.0, verdict.loss[position])

        ranked = sorted(range(len(alive)), key=rank)[: max(2, math.ceil(len(alive) * KEPT))]
        return [alive[position] for position in {*ranked, verdict.pick}]

    def state_dict(self) -> Tree:
        """Anchors, choices alive, spreads, and the best uniform spec."""
        return {
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
        for key in ("anchor", "alive", "spread", "uniform"):
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
            if type(state["spread"][name]) is not float:
                raise BadBundle(f"{name} has no spread", field=name)
        self.anchor, self.alive = dict(state["anchor"]), dict(state["alive"])
        self.spread, self.uniform = dict(state["spread"]), dict(state["uniform"])


def _best_uniform(layers: Mapping[str, PathConv], anchors: Anchors, judge: Judge) -> dict[str, int]:
    """The best of the specs that give every layer the same kernel, where it has it."""
    shared = list(dict.fromkeys(choice for layer in layers.values() for choice in layer.choices))
    specs = []
    for choice in shared:
        spec = {
            name: layer.choices.index(choice) if choice in layer.choices else layer.first
            for name, layer in layers.items()
        }
        specs.append(spec)
    losses = []
    for spec in specs:
        for name, layer in layers.items():
            layer.pick = spec[name]
        losses.append(judge.losses())
    anchors.rest()
    return specs[decide(np.stack(losses), shared, own=None).pick]


def _spec(supernet: Supernet, picks: Mapping[str, int]) -> KernelSpec:
    chosen: dict[str, Choice] = {
        name: supernet.choices(name)[index] for name, index in picks.items()
    }
    return KernelSpec(dims=supernet.network.dims, layers=chosen)


def _path(layer: object) -> PathConv:
    if not isinstance(layer, PathConv):
        raise TypeError("paths are searched in a supernet of PathConvs; build it so")
    return layer
