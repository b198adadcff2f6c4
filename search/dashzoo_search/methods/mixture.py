"""The mixture, as in DASH: every layer a weighted sum of all its choices.

Weights and α have optimisers of their own (AdamW and Adam). With ``alpha_on="heldout"`` each
weight step on one part of the training split is followed by α steps on the other (first-order
bilevel, Liu et al., ICLR 2019); with ``"train"`` both step on the same batches (Shen et al.,
NeurIPS 2022). A price on taps,

    price · mean over layers of Σ_c p_c · taps_c / taps_max,

is added to the loss α sees: a larger kernel must earn its weights. How α becomes coefficients is
a matter of `relax`; choices that stay hopeless are dropped on the way (`shrink`), and a search that
has made up its mind trains the network it settled on (`settling`). `derive` turns the trained
supernet into a spec, and the supernet is left with all its choices, computing the same.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch

from dashzoo_search.derive import RULES, Rule, settle
from dashzoo_search.errors import BadData
from dashzoo_search.methods.anneal import Annealing
from dashzoo_search.methods.deriving import Deriving
from dashzoo_search.methods.found import Found
from dashzoo_search.methods.price import Price
from dashzoo_search.methods.settling import Settling
from dashzoo_search.methods.shrink import Shrinking
from dashzoo_search.relax import RELAXATIONS
from dashzoo_search.supernet import Supernet, Weights
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.loop import NARROWER, memory_guard
from dashzoo_search.training.metrics import evaluate
from dashzoo_search.training.objective import CLASSIFY, Objective
from dashzoo_search.training.progress import OnEpoch
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.resume import Stage
from dashzoo_search.training.steps import Batches, Stepper, weight_optimizer

__all__ = ["AlphaOn", "Mixture", "search_mixture"]

AlphaOn = Literal["heldout", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """How to search by a mixture.

    Args:
        weights: ``"separate"`` for each choice, or one ``"shared"`` kernel a layer, which needs
            less memory, see `build_supernet`.
        alpha_lr: learning rate of α (Adam).
        alpha_on: which samples α learns from, ``"heldout"`` or ``"train"``.
        warmup: share of the epochs before α moves.
        price: weight of the price on taps.
        rule: how the spec is derived at the end, see `derive.rules`; ``"validation"`` asks what α
            learns from, which with ``alpha_on="train"`` is not held out.
        slack: how much worse than the best a smaller kernel may be there and yet be taken.
        relaxation: from α to coefficients, one of `relax.RELAXATIONS`.
        temperature: of the relaxation, during the warm-up and at its end.
        temperature_end: what it falls (or rises) to by the last epoch, by the same factor in each;
            None leaves it where it is.
        shrink: choices whose share stays below this part of 1 / choices are dropped, see `shrink`;
            0 keeps all.
        dilations_at: share of the epochs after which each layer keeps the sizes of one dilation,
            the one that explains its output best; 0 leaves dilations to the rule. Sizes share
            little with another dilation's, and only tell themselves apart once it is gone.
        settle: checks in a row with the same spec after which the kernels stand still, see
            `settling`; there is one check for every row of the history. 0 never settles.

    Raises:
        BadData: a value out of range.
    """

    weights: Weights = "separate"
    alpha_lr: float = 0.05
    alpha_on: AlphaOn = "heldout"
    warmup: float = 0.15
    price: float = 0.3
    rule: Rule = "validation"
    slack: float = 0.2
    relaxation: str = "softmax"
    temperature: float = 1.0
    temperature_end: float | None = None
    shrink: float = 0.5
    dilations_at: float = 0.4
    settle: int = 0

    def __post_init__(self) -> None:
        if self.weights not in get_args(Weights):
            raise BadData(f"weights must be 'separate' or 'shared', not {self.weights!r}")
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
        if self.relaxation not in RELAXATIONS:
            known = ", ".join(RELAXATIONS)
            raise BadData(f"relaxation must be one of {known}, not {self.relaxation!r}")
        for name in ("temperature", "temperature_end"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise BadData(f"{name} must be a positive number, not {value}")
        for name in ("shrink", "dilations_at"):
            if not 0 <= getattr(self, name) < 1:
                raise BadData(f"{name} must be 0 or more and below 1, and is {getattr(self, name)}")
        if type(self.settle) is not int or self.settle < 0:
            raise BadData(f"settle must be a number of checks, or 0, not {self.settle!r}")

    @property
    def saving(self) -> tuple[str, ...]:
        """What helps where memory runs out."""
        share = ("add --weights shared",) if self.weights == "separate" else ()
        return (*share, NARROWER)

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
    objective: Objective = CLASSIFY,
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
        objective: whose loss weights and α step on.
        generator: shuffles the batches.
        on_epoch: told after every epoch, with the metric on what α learns from.

    Raises:
        TrainingFailed: ten steps in a row without a finite gradient, or out of memory.
        BadBundle: a checkpoint does not fit.
    """
    device = next(supernet.parameters()).device
    batches = Batches(fitted, recipe.batch_size, device=device, generator=generator)
    judging = Batches(judge, recipe.batch_size, device=device, generator=generator)

    weights, alphas = list(supernet.weights()), list(supernet.architecture())
    optimizer, schedule = weight_optimizer(weights, recipe, recipe.epochs * len(batches))
    weight_step = Stepper(
        supernet, weights, optimizer, schedule, objective=objective, precision=recipe.precision
    )
    alpha_step = Stepper(
        supernet,
        alphas,
        torch.optim.Adam(alphas, lr=options.alpha_lr, betas=(0.5, 0.999)),
        objective=objective,
        precision=recipe.precision,
    )
    warm = max(1, round(options.warmup * recipe.epochs))
    dilating = max(warm + 1, round(options.dilations_at * recipe.epochs))
    dilating = dilating if options.dilations_at > 0 else 0
    every = max(1, recipe.epochs // 20)
    annealing = Annealing(
        supernet,
        options.relaxation,
        start=options.temperature,
        end=options.temperature_end or options.temperature,
        warm=warm,
        epochs=recipe.epochs,
        generator=generator,
    )
    shrinking = Shrinking(
        supernet, (weight_step, alpha_step), below=options.shrink, epochs=recipe.epochs, warm=warm
    )
    settling = Settling(options.settle)
    deriving = Deriving(options.rule, options.slack, fitted, judge, objective, device)
    price = Price(supernet, options.price)
    history: list[dict[str, Any]] = []
    # Everything the loop changes; a killed search goes on from here, see `resume`. Shrinking comes
    # first, because what comes after it has the shapes that it leaves.
    stage = Stage(
        "search",
        {
            "shrinking": shrinking,
            "settling": settling,
            "supernet": supernet,
            "weight_step": weight_step,
            "alpha_step": alpha_step,
            "batches": generator,
            "noise": annealing.noise,
            "history": history,
        },
        on_epoch,
        device,
    )
    with memory_guard(*options.saving):
        for epoch in stage.epochs(recipe.epochs):
            supernet.train()
            annealing.begin(epoch)
            losses = []
            judges = itertools.chain.from_iterable(itertools.repeat(judging))
            for x, y in batches:
                losses.append(weight_step(x, y))
                if epoch > warm and settling.at is None:
                    if options.alpha_on == "heldout":
                        x, y = next(judges)
                    alpha_step(x, y, price())
            value = evaluate(supernet, judge, objective).value
            if epoch > warm and settling.at is None:
                if epoch == dilating:
                    deriving.settle_dilations(shrinking)
                shrinking.watch(epoch)
            if epoch % every == 0 or epoch == recipe.epochs:
                row: dict[str, Any] = {"epoch": epoch, "layers": shrinking.shares()}
                if epoch > warm and epoch < recipe.epochs and settling.looking:
                    deriving.settle(supernet, shrinking, settling, epoch)
                history.append(row | ({"settled": settling.at} if settling.at else {}))
            mean = sum(losses) / len(losses)
            stage.tell(mean, value, rate=weight_step.rate, mixtures=shrinking.shares)
    supernet.eval()
    shrinking.widen()
    if settling.at is None:
        derived = deriving(supernet)
        settle(supernet, derived)
        spec, lost = derived.spec, derived.lost
    else:
        spec, lost = settling.spec, settling.lost
    return Found(
        spec=spec,
        history=tuple(history),
        skipped_steps=weight_step.skipped + alpha_step.skipped,
        lost=lost,
    )
