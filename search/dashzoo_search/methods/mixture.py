"""The mixture, as in DASH: every layer a weighted sum of all its choices.

Weights and α have optimisers of their own (AdamW and Adam). With ``alpha_on="heldout"`` each
weight step on one part of the training split is followed by α steps on the other (first-order
bilevel, Liu et al., ICLR 2019); with ``"train"`` both step on the same batches (Shen et al.,
NeurIPS 2022). A price on taps,

    price · mean over layers of Σ_c p_c · taps_c / taps_max,

is added to the loss α sees: a larger kernel must earn its weights. `derive` turns the trained
supernet into a spec.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from dashzoo_search.derive import RULES, Rule, derive, settle
from dashzoo_search.errors import BadData
from dashzoo_search.methods.found import Found
from dashzoo_search.supernet import Supernet
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.loop import memory_guard
from dashzoo_search.training.metrics import evaluate
from dashzoo_search.training.progress import OnEpoch
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.resume import Stage
from dashzoo_search.training.steps import Batches, Stepper, weight_optimizer

__all__ = ["AlphaOn", "Mixture", "search_mixture"]

DERIVE_SAMPLES = 128

AlphaOn = Literal["heldout", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """How to search by a mixture.

    Args:
        alpha_lr: learning rate of α (Adam).
        alpha_on: which samples α learns from, ``"heldout"`` or ``"train"``.
        warmup: share of the epochs before α moves.
        price: weight of the price on taps.
        rule: how the spec is derived at the end, see `derive.rules`.
        slack: how much worse than the best a smaller kernel may be there and yet be taken.

    Raises:
        BadData: a value out of range.
    """

    alpha_lr: float = 0.05
    alpha_on: AlphaOn = "heldout"
    warmup: float = 0.15
    price: float = 0.3
    rule: Rule = "explained"
    slack: float = 0.1

    def __post_init__(self) -> None:
        if self.alpha_on not in get_args(AlphaOn):
            raise BadData(f"alpha_on must be 'heldout' or 'train', not {self.alpha_on!r}")
        if self.rule not in RULES:
            raise BadData(f"rule must be one of {', '.join(RULES)}, not {self.rule!r}")
        if not 0 <= self.slack < 1:
            raise BadData(f"slack must be 0 or more and below 1, and is {self.slack}")
        if not (math.isfinite(self.alpha_lr) and self.alpha_lr > 0):
            raise BadData(f"alpha_lr must be a positive number, not {self.alpha_lr}")
        if not (math.isfinite(self.price) and self.price >= 0):
            raise BadData(f"price must not be negative, and is {self.price}")
        if not 0 < self.warmup < 1:
            raise BadData(f"warmup must lie between 0 and 1, and is {self.warmup}")

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


def search_mixture(
    supernet: Supernet,
    fitted: Split,
    judge: Split,
    recipe: Recipe,
    options: Mixture,
    *,
    generator: torch.Generator,
    on_epoch: OnEpoch,
) -> Found:
    """Train ``supernet``, made of `AggConv`s, in place and derive a spec from it.

    Args:
        supernet: on the device to train on.
        fitted: samples the weights are fitted to.
        judge: samples α is fitted to; the same ones where ``alpha_on`` says so.
        recipe: epochs, batch size and the weights' optimiser.
        options: see `Mixture`.
        generator: shuffles the batches.
        on_epoch: told after every epoch, with the accuracy on what α learns from.

    Raises:
        TrainingFailed: ten steps in a row without a finite gradient, or out of memory.
        BadBundle: a checkpoint does not fit.
    """
    device = next(supernet.parameters()).device
    batches = Batches(fitted, recipe.batch_size, device=device, generator=generator)
    judging = Batches(judge, recipe.batch_size, device=device, generator=generator)

    weights, alphas = list(supernet.weights()), list(supernet.architecture())
    optimizer, schedule = weight_optimizer(weights, recipe, recipe.epochs * len(batches))
    weight_step = Stepper(supernet, weights, optimizer, schedule, precision=recipe.precision)
    alpha_step = Stepper(
        supernet,
        alphas,
        torch.optim.Adam(alphas, lr=options.alpha_lr, betas=(0.5, 0.999)),
        precision=recipe.precision,
    )
    warm = max(1, round(options.warmup * recipe.epochs))
    every = max(1, recipe.epochs // 20)
    shares = _tap_shares(supernet, device)
    history: list[dict[str, Any]] = []
    # Everything the loop changes; a killed search goes on from here, see `resume`.
    stage = Stage(
        "search",
        {
            "supernet": supernet,
            "weight_step": weight_step,
            "alpha_step": alpha_step,
            "batches": generator,
            "history": history,
        },
        on_epoch,
        device,
    )
    with memory_guard():
        for epoch in stage.epochs(recipe.epochs):
            supernet.train()
            losses = []
            judges = itertools.chain.from_iterable(itertools.repeat(judging))
            for x, y in batches:
                losses.append(weight_step(x, y))
                if epoch > warm:
                    if options.alpha_on == "heldout":
                        x, y = next(judges)
                    alpha_step(x, y, options.price * _price(supernet, shares))
            accuracy = evaluate(supernet, judge).accuracy
            if epoch % every == 0 or epoch == recipe.epochs:
                history.append({"epoch": epoch, "layers": _rounded(supernet.coefficients())})
            stage.tell(sum(losses) / len(losses), accuracy)
    supernet.eval()
    # Spread over the split, which may be sorted by class.
    spread = np.linspace(0, len(fitted) - 1, min(len(fitted), DERIVE_SAMPLES)).round().astype(int)
    samples = torch.from_numpy(fitted.X[spread]).to(device)
    derived = derive(supernet, options.rule, samples, heldout=judge, slack=options.slack)
    settle(supernet, derived)
    return Found(
        spec=derived.spec,
        history=tuple(history),
        skipped_steps=weight_step.skipped + alpha_step.skipped,
        lost=derived.lost,
    )


def _tap_shares(supernet: Supernet, device: torch.device) -> list[Tensor]:
    shares = []
    for layer in supernet.layers.values():
        taps = torch.tensor([float(c.taps) for c in layer.choices], device=device)
        shares.append(taps / taps.max())
    return shares


def _price(supernet: Supernet, shares: list[Tensor]) -> Tensor:
    layers = supernet.layers.values()
    each = [layer.coefficients() @ share for layer, share in zip(layers, shares, strict=True)]
    return torch.stack(each).mean()


def _rounded(coefficients: dict[str, Tensor]) -> dict[str, list[float]]:
    return {name: [round(float(p), 4) for p in c] for name, c in coefficients.items()}
