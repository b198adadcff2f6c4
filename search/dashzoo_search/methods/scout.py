"""A scout: where to start from, asked of one wide network before any kernel is tried alone.

Kernels several layers deep only pay off together: with the one below still too small, the right one
above looks no better than others, and a search that changes a layer at a time never moves. A
supernet that holds all choices at once has no such trouble, and under a `GroupLasso` it ends with
few of them. It is believed only if it beats a plain network trained as long, on held-out samples,
by `confidence` standard errors of the difference; else the search starts from the backbone's own
kernels, and what the scout names is no more than a proposal, if it won by `PROMISING` of them. Few
samples seldom show more.

Which kernel each layer can do with is asked of held-out samples, one layer restricted after the
other (`derive.validation`). A share of the gain, split among all layers, does not count there: a
layer that makes no more of a difference keeps its own kernel, and others take no larger one than
they need. Energy would not tell: taps near the centre are on most supports, and dense kernels get
the credit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dashzoo_search.derive.validation import restrict_in_turn
from dashzoo_search.methods.judge import Judge
from dashzoo_search.methods.lasso import GroupLasso
from dashzoo_search.ops import AggConv
from dashzoo_search.spec import KernelSpec
from dashzoo_search.supernet import Supernet
from dashzoo_search.tasks.losses import Loss
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.loop import NARROWER, memory_guard
from dashzoo_search.training.objective import CLASSIFY, Objective
from dashzoo_search.training.progress import OnEpoch
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.resume import Stage
from dashzoo_search.training.steps import Batches, Stepper, one_cycle, weight_optimizer

__all__ = ["Builds", "Scouted", "margin", "scout"]

PROMISING = 1.0  # standard errors
FEWEST = 64  # samples that a choice is judged by, if there are so many
# Shares of the gain that all layers together may give away for smaller kernels.
SLACK_IN_NATS = 0.5
SLACK_IN_RATIOS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """How to make the networks a scout trains.

    Attributes:
        wide: a supernet of `AggConv`s.
        plain: the backbone with its own kernels.
    """

    wide: Callable[[], Supernet]
    plain: Callable[[], nn.Module]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scouted:
    """What a scout saw.

    Attributes:
        spec: what the wide network can do with; the backbone's own kernels if it did not win by
            `PROMISING` standard errors.
        gain: by how much it beat the plain network on held-out samples, in loss a sample.
        error: standard error of that.
        believed: whether the search starts from it.
        rival: what the plain network lost on each held-out sample, ``[n]``.
        skipped_steps: steps skipped because a gradient was not a number.
    """

    spec: KernelSpec
    gain: float
    error: float
    believed: bool
    rival: NDArray[np.float64]
    skipped_steps: int

    def to_json(self) -> dict[str, Any]:
        """What the record of a search says of it."""
        return {
            "spec": self.spec.to_json(),
            "gain": round(self.gain, 4) if math.isfinite(self.gain) else None,
            "error": round(self.error, 4) if math.isfinite(self.error) else None,
            "believed": self.believed,
        }


def scout(
    builds: Builds,
    fitted: Split,
    heldout: Split,
    recipe: Recipe,
    *,
    own: KernelSpec,
    price: float,
    confidence: float,
    objective: Objective = CLASSIFY,
    generator: torch.Generator,
    on_epoch: OnEpoch,
) -> Scouted:
    """Train a wide and a plain network, and compare them on held-out samples.

    Args:
        builds: makes the two.
        fitted: samples the weights are fitted to.
        heldout: samples they are judged by.
        recipe: of both.
        own: the backbone's own kernels, which a layer keeps unless they are refuted.
        price: see `GroupLasso`.
        confidence: standard errors by which the wide network must win to be believed.
        objective: what both are trained on and judged by.
        generator: shuffles the batches.
        on_epoch: told after every epoch.

    Raises:
        TrainingFailed: ten steps in a row without a finite gradient, or out of memory.
        BadBundle: a checkpoint does not fit.
    """
    with memory_guard("add --scout 0", NARROWER):
        supernet = builds.wide()
    layers = {n: layer for n, layer in supernet.layers.items() if isinstance(layer, AggConv)}
    lasso = GroupLasso(layers, price)
    wide, skipped = _losses(
        supernet, "scout", fitted, heldout, recipe, lasso, objective, generator, on_epoch
    )
    plain, also_skipped = _losses(
        builds.plain(),
        "scout's rival",
        fitted,
        heldout,
        recipe,
        None,
        objective,
        generator,
        on_epoch,
    )
    gain, error = margin(wide, plain)
    believed = gain > confidence * error
    spec = own
    if believed or gain > PROMISING * error:
        # Each choice of each layer is a pass over them; all in all, no more than the training was.
        passes = sum(len(layer.choices) for layer in layers.values())
        few = min(len(heldout), max(FEWEST, recipe.epochs * len(fitted) // passes))
        spread = np.linspace(0, len(heldout) - 1, few).round().astype(int)
        picks, _ = restrict_in_turn(
            supernet,
            heldout.take(spread),
            tolerance=_tolerance(wide, plain, len(layers), objective.loss),
            own={
                name: choices.index(own.layers[name])
                for name in layers
                if own.layers[name] in (choices := supernet.choices(name))
            },
            objective=objective,
        )
        found = {name: supernet.choices(name)[index] for name, index in picks.items()}
        spec = KernelSpec(dims=own.dims, layers=found)
    return Scouted(
        spec=spec,
        gain=gain,
        error=error,
        believed=believed,
        rival=plain,
        skipped_steps=skipped + also_skipped,
    )


def margin(losses: NDArray[np.float64], rival: NDArray[np.float64]) -> tuple[float, float]:
    """By how much ``losses`` are lower than a rival's of the same samples, and its standard error.

    >>> margin(np.array([1.0, 1.0]), np.array([2.0, 3.0]))
    (1.5, 0.35355339059327373)
    """
    if not (np.isfinite(losses).all() and np.isfinite(rival).all()):
        return -math.inf, math.inf
    gaps = rival - losses
    return float(gaps.mean()), float(gaps.std()) / math.sqrt(len(gaps))


def _tolerance(
    wide: NDArray[np.float64], plain: NDArray[np.float64], layers: int, loss: Loss
) -> float:
    """What one layer may lose: with all of them doing so, a share of the way back to the rival.

    Of likelihoods it is a way of nats, half of it. Errors shrink by ratios: from 0.04 to 0.10, 0.01
    is much; a quarter of the way in their logarithm.
    """
    best, rival = float(wide.mean()), float(plain.mean())
    if loss.nats or best < 0:  # what is below zero has no ratio
        return SLACK_IN_NATS / layers * (rival - best)
    share = SLACK_IN_RATIOS / layers
    return math.pow(best, 1 - share) * math.pow(rival, share) - best


def _losses(
    network: nn.Module,
    name: str,
    fitted: Split,
    heldout: Split,
    recipe: Recipe,
    lasso: GroupLasso | None,
    objective: Objective,
    generator: torch.Generator,
    on_epoch: OnEpoch,
) -> tuple[NDArray[np.float64], int]:
    device = next(network.parameters()).device
    batches = Batches(fitted, recipe.batch_size, device=device, generator=generator)
    weights = [p for p in network.parameters() if p.requires_grad]
    steps = recipe.epochs * len(batches)
    rates = lasso.rates() if lasso is not None else {}
    optimizer, schedule = weight_optimizer(weights, recipe, steps, rates=rates)
    step = Stepper(
        network, weights, optimizer, schedule, objective=objective, precision=recipe.precision
    )
    judge = Judge(network, heldout, objective)
    stage = Stage(name, {"network": network, "step": step, "batches": generator}, on_epoch, device)
    with memory_guard("add --scout 0", NARROWER):
        for epoch in stage.epochs(recipe.epochs):
            network.train()
            losses = []
            for done, (x, y) in enumerate(batches, (epoch - 1) * len(batches)):
                lr = recipe.lr * one_cycle(done, steps)
                losses.append(step(x, y))
                # The first tenth lets every choice show what it can do.
                if lasso is not None and epoch > 0.1 * recipe.epochs:
                    lasso.shrink(lr, done / steps)
            _, value = judge.calibrate()
            stage.tell(sum(losses) / len(losses), value, rate=step.rate)
    judge.calibrate()
    return judge.losses(), step.skipped
