"""Anchored paths: one kernel a layer and step, moved where held-out data says so.

Every layer has an *anchor*, at first the backbone's own kernel. In each step a layer computes with
its anchor, or, with probability p, explores one of its choices that are still alive; so a step
costs what a plain network's does, whatever the number of choices, and the weights always belong
to a network that could be kept. After each round, for one layer at a time and all others at their
anchors, every choice alive is scored on held-out samples (`judge`); `decide` names the next
anchor, and choices that fell behind are dropped: dilations first, because sizes of one dilation
share weights and can only be told apart once it is settled, then sizes. After the last round each
layer stays at its anchor and the network trains on, so that its weights can be kept.

Before that a `scout` may say where to start, and settle the dilations: layers that only pay off
together are not found one at a time. Its kernels stand until the supernet has beaten the scout's
rival too: to a network at chance all kernels are alike. What it names is a proposal of its own in
the end, believed or not. The kernels of a like task may say where
to start as well; then no scout is sent, and nothing is settled. A choice explored in few steps is
scored worse than it would do alone, so the method errs towards the kernels it starts from.

Relatives: single-path one-shot search (Guo et al., ECCV 2020), its fairness by sampling, and
selection by perturbing a trained supernet (Wang et al., ICLR 2021). The anchor, the order of the
rounds and the standard of proof are ours; the measurements they rest on are in docs/decisions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dashzoo_search.budget import Budget, Ledger
from dashzoo_search.errors import BadData
from dashzoo_search.methods.anchors import Anchors
from dashzoo_search.methods.decide import decide
from dashzoo_search.methods.found import Found
from dashzoo_search.methods.judge import Judge
from dashzoo_search.methods.pyramids import pyramids
from dashzoo_search.methods.scout import Builds, margin, scout
from dashzoo_search.ops.pathconv import PathConv
from dashzoo_search.spec import Choice, KernelSpec
from dashzoo_search.supernet import Supernet
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.loop import NARROWER, memory_guard
from dashzoo_search.training.objective import CLASSIFY, Objective
from dashzoo_search.training.progress import OnEpoch
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.resume import Stage
from dashzoo_search.training.state import Part
from dashzoo_search.training.steps import Batches, Stepper, weight_optimizer

__all__ = ["Paths", "search_paths"]

ROUNDS = (0.4, 0.6, 0.75, 0.9)
JUDGED = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths(Budget):
    """How to search by anchored paths, and under which `Budget`.

    Args:
        explore: layers that explore in a step, on average; never more than half of them.
        confidence: standard errors by which a layer's own kernel must lose before it is left.
        scout: epochs that each network of a `scout` gets, over those of the search; 0 for none.
        sparsity: the price the scout's choices pay, see `GroupLasso`.
        start: kernels of a like task to start from, in place of a scout; a layer that has not its
            choice starts from its own kernel.

    Raises:
        BadData: a value out of range, or a start and a scout.
    """

    explore: float = 2.0
    confidence: float = 3.0
    scout: float = 1.0
    sparsity: float = 0.2
    start: KernelSpec | None = None

    def __post_init__(self) -> None:
        Budget.__post_init__(self)  # super() is lost where slots remake a dataclass
        for name in ("explore", "confidence"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise BadData(f"{name} must be a positive number, not {value}")
        for name in ("scout", "sparsity"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise BadData(f"{name} must not be negative, and is {value}")
        if self.start is not None and self.scout > 0:
            raise BadData("A search that is told where to start needs no scout; set scout to 0")

    @property
    def saving(self) -> tuple[str, ...]:
        """What helps where memory runs out; the scout, by then over, has knobs of its own."""
        return (NARROWER,)

    def to_json(self) -> dict[str, Any]:
        """A plain dict; of the budget what was asked for."""
        budget = {entry.name for entry in fields(Budget)}
        mine = {e.name: getattr(self, e.name) for e in fields(self) if e.name not in budget}
        start = mine.pop("start")
        if start is not None:
            mine["start"] = start.to_json()
        return {**mine, **self.limits_json()}


def search_paths(
    supernet: Supernet,
    fitted: Split,
    heldout: Split,
    recipe: Recipe,
    options: Paths,
    *,
    builds: Builds | None = None,
    objective: Objective = CLASSIFY,
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
        builds: makes the networks of the scout; without them there is none.
        generator: shuffles the batches, and draws the paths.
        on_epoch: told after every epoch, with the metric on the held-out samples.

    Raises:
        TrainingFailed: ten steps in a row without a finite gradient, or out of memory.
        BadBundle: a checkpoint does not fit.
        BadBudget: no network of the space fits the budget.
    """
    layers = {name: _path(layer) for name, layer in supernet.layers.items()}
    device = next(supernet.parameters()).device
    batches = Batches(fitted, recipe.batch_size, device=device, generator=generator)
    weights = list(supernet.parameters())
    optimizer, schedule = weight_optimizer(weights, recipe, recipe.epochs * len(batches))
    step = Stepper(
        supernet, weights, optimizer, schedule, objective=objective, precision=recipe.precision
    )
    spread = np.linspace(0, len(heldout) - 1, min(len(heldout), JUDGED)).round().astype(int)
    heldout = heldout.take(spread)
    ledger = None
    if options.bounded:
        ledger = Ledger.open(supernet, fitted.X.shape[2:], options, device=device)
    anchors = Anchors(layers, explore=options.explore, confidence=options.confidence, ledger=ledger)
    if options.start is not None:
        # Found on other data, so nothing is settled by it.
        _start(anchors, supernet, options.start, settled=False)
    own = _spec(supernet, {name: layer.first for name, layer in layers.items()})
    scouted = rival = None
    if builds is not None and options.scout > 0:
        scouted = scout(
            builds,
            fitted,
            heldout,
            replace(recipe, epochs=max(1, round(options.scout * recipe.epochs))),
            own=own,
            price=options.sparsity,
            confidence=options.confidence,
            objective=objective,
            generator=generator,
            on_epoch=on_epoch,
        )
        if scouted.believed:
            _start(anchors, supernet, scouted.spec, settled=True)
            if ledger is None:  # a budget may not allow to stay
                rival = scouted.rival
    judge = Judge(supernet, heldout, objective)
    rounds = sorted({max(1, round(share * recipe.epochs)) for share in ROUNDS})
    every = max(1, recipe.epochs // 20)
    history: list[dict[str, Any]] = []
    parts: dict[str, Part] = {
        "supernet": supernet,
        "step": step,
        "batches": generator,
        "anchors": anchors,
        "history": history,
    }
    if ledger is not None:  # what was measured once holds for the whole search
        parts["ledger"] = ledger
    stage = Stage("search", parts, on_epoch, device)
    with memory_guard(*options.saving):
        for epoch in stage.epochs(recipe.epochs):
            supernet.train()
            losses = []
            for x, y in batches:
                anchors.explore(generator)
                losses.append(step(x, y))
            anchors.rest()
            _, value = judge.calibrate()
            if epoch in rounds:
                if epoch == rounds[0]:
                    anchors.uniform = _best_uniform(layers, anchors, judge, ledger)
                left = len(rounds) - 1 - rounds.index(epoch)
                if rival is None or _beats(judge, rival, options.confidence):
                    anchors.move(judge, left=left, of=len(rounds))
                else:
                    anchors.stay(left=left)
            if epoch % every == 0 or epoch == recipe.epochs:
                history.append({"epoch": epoch, "layers": anchors.chances()})
            mean = sum(losses) / len(losses)
            stage.tell(mean, value, rate=step.rate, mixtures=anchors.chances)
    anchors.rest()
    supernet.eval()
    spec = _spec(supernet, anchors.anchor)
    supernet.select(spec)
    others = {}
    if scouted is not None and ledger is None:
        others["scouted"] = scouted.spec
    if anchors.uniform:
        others["uniform"] = _spec(supernet, anchors.uniform)
    if ledger is None:
        for name, picked in pyramids({each: supernet.choices(each) for each in layers}).items():
            others[name] = KernelSpec(dims=own.dims, layers=picked)
    return Found(
        spec=spec,
        history=tuple(history),
        skipped_steps=step.skipped + (scouted.skipped_steps if scouted else 0),
        scouted=scouted.to_json() if scouted else {},
        others={name: other for name, other in others.items() if other not in (spec, own)},
        evidence={name: tuple(gaps) for name, gaps in anchors.behind.items()},
    )


def _start(anchors: Anchors, supernet: Supernet, spec: KernelSpec, *, settled: bool) -> None:
    for name, choice in spec.layers.items():
        if name in supernet.layers and choice in (choices := supernet.choices(name)):
            anchors.start(name, choices.index(choice), settled=settled)


def _beats(judge: Judge, rival: NDArray[np.float64], confidence: float) -> bool:
    """Whether the network as it stands does what the scout did: beat the plain one for sure."""
    gain, error = margin(judge.losses(), rival)
    return gain > confidence * error


def _best_uniform(
    layers: Mapping[str, PathConv], anchors: Anchors, judge: Judge, ledger: Ledger | None
) -> dict[str, int]:
    """The best spec that gives every layer the same kernel, where it has it; empty if none fits."""
    shared = list(dict.fromkeys(choice for layer in layers.values() for choice in layer.choices))
    specs = []
    for choice in shared:
        spec = {
            name: layer.choices.index(choice) if choice in layer.choices else layer.first
            for name, layer in layers.items()
        }
        specs.append(spec)
    if ledger is not None:
        fitting = [i for i, spec in enumerate(specs) if ledger.fits(spec)]
        shared, specs = [shared[i] for i in fitting], [specs[i] for i in fitting]
    if not specs:
        return {}
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
