"""The search: train a supernet's weights and its architecture together.

Weights and α have optimisers of their own (AdamW and Adam). With ``alpha_on="heldout"`` each
weight step on one part of the training split is followed by α steps on the other (first-order
bilevel); with ``"train"`` both step on the same batches, as in DASH. A price on taps,

    price · mean over layers of Σ_c p_c · taps_c / taps_max,

is added to the loss α sees: a larger kernel must earn its weights. Validation and test data are
not read here.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from dashzoo_search.derive import Rule, derive
from dashzoo_search.errors import BadData
from dashzoo_search.spec import KernelSpec
from dashzoo_search.supernet import Supernet
from dashzoo_search.tasks.splits import cut_fraction
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.loop import memory_guard
from dashzoo_search.training.metrics import evaluate
from dashzoo_search.training.progress import OnEpoch, quiet
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.resume import Stage
from dashzoo_search.training.runtime import Stopwatch
from dashzoo_search.training.steps import Batches, Stepper, weight_optimizer

__all__ = ["SearchOptions", "SearchResult", "search_kernels"]

DERIVE_SAMPLES = 128

AlphaOn = Literal["heldout", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How to search.

    Args:
        recipe: epochs, batch size and the weights' optimiser.
        alpha_lr: learning rate of α (Adam).
        alpha_on: which samples α learns from, ``"heldout"`` or ``"train"``.
        heldout: share of the training split α learns from, when held out.
        warmup: share of the epochs before α moves.
        price: weight of the price on taps.
        rule: how the spec is derived at the end.

    Raises:
        BadData: a value out of range.
    """

    recipe: Recipe
    alpha_lr: float = 0.05
    alpha_on: AlphaOn = "heldout"
    heldout: float = 0.3
    warmup: float = 0.15
    price: float = 0.3
    rule: Rule = "explained"

    def __post_init__(self) -> None:
        if self.alpha_on not in get_args(AlphaOn):
            raise BadData(f"alpha_on must be 'heldout' or 'train', not {self.alpha_on!r}")
        if self.rule not in get_args(Rule):
            raise BadData(f"rule must be one of {', '.join(get_args(Rule))}, not {self.rule!r}")
        if not (math.isfinite(self.alpha_lr) and self.alpha_lr > 0):
            raise BadData(f"alpha_lr must be a positive number, not {self.alpha_lr}")
        if not (math.isfinite(self.price) and self.price >= 0):
            raise BadData(f"price must not be negative, and is {self.price}")
        for name in ("heldout", "warmup"):
            if not 0 < getattr(self, name) < 1:
                raise BadData(f"{name} must lie between 0 and 1, and is {getattr(self, name)}")

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search found.

    Attributes:
        spec: one choice a layer.
        history: mixing coefficients of each layer after some epochs, for pictures.
        seconds, cpu_seconds: what it took.
        skipped_steps: steps skipped because a gradient was not a number.
    """

    spec: KernelSpec
    history: tuple[dict[str, Any], ...]
    seconds: float
    cpu_seconds: float
    skipped_steps: int


def search_kernels(
    supernet: Supernet,
    train: Split,
    options: SearchOptions,
    *,
    seed: int,
    generator: torch.Generator,
    on_epoch: OnEpoch = quiet,
) -> SearchResult:
    """Train ``supernet`` in place on ``train`` and derive a spec from it.

    Args:
        supernet: on the device to train on.
        train: the training split; a part is held out of it for α, by ``seed``.
        options: see `SearchOptions`.
        seed: chooses the held-out part.
        generator: shuffles the batches.
        on_epoch: told after every epoch, with the accuracy on what α learns from.

    Raises:
        TrainingFailed: ten steps in a row without a finite gradient, or out of memory.
        BadBundle: a checkpoint does not fit.
    """
    watch = Stopwatch()
    recipe = options.recipe
    device = next(supernet.parameters()).device
    fitted, judge = train, train
    if options.alpha_on == "heldout":
        try:
            rest, cut = cut_fraction(train.y, options.heldout, seed=seed, array="y_train")
        except BadData as error:
            raise BadData(
                "No class has two training samples, so none can be held out to search on; "
                "use --alpha-on train, or give more samples"
            ) from error
        fitted, judge = train.take(rest), train.take(cut)
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
    spread = np.linspace(0, len(train) - 1, min(len(train), DERIVE_SAMPLES)).round().astype(int)
    samples = torch.from_numpy(train.X[spread]).to(device)
    return SearchResult(
        spec=derive(supernet, options.rule, samples),
        history=tuple(history),
        skipped_steps=weight_step.skipped + alpha_step.skipped,
        **watch.to_json(),
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
