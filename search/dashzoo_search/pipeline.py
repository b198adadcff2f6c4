"""The main job in memory: a task in, a searched and trained network with its results out.

`run_search` finds the kernels; `run_training` trains the network they make, and the backbone with
its default kernels beside it, and only then opens the test split, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch

from dashzoo_search.budget.receptive import windows
from dashzoo_search.candidates import Init, Trained, Trainer, starts
from dashzoo_search.methods.mixture import Mixture
from dashzoo_search.methods.pyramids import PYRAMIDS
from dashzoo_search.methods.scout import Builds
from dashzoo_search.methods.xd import XD, build_xd
from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.plan import Network, build_network, layer_table
from dashzoo_search.search import Method, SearchOptions, SearchResult, search_kernels
from dashzoo_search.selection import TRIED, Choosing, Selection
from dashzoo_search.spec import KernelSpec, SearchSpace
from dashzoo_search.supernet import Supernet, build_supernet
from dashzoo_search.tasks.breakdown import break_down
from dashzoo_search.tasks.task import Split, Task
from dashzoo_search.training.architecture import Architect
from dashzoo_search.training.loop import memory_guard
from dashzoo_search.training.metrics import evaluate, split_outputs
from dashzoo_search.training.objective import CLASSIFY, Objective
from dashzoo_search.training.progress import OnEpoch, measured, quiet
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import seed_everything
from dashzoo_search.training.tune import Setting

__all__ = [
    "Init",
    "Ship",
    "TrainResult",
    "run_search",
    "run_training",
]

Ship = Literal["best", "searched"]


def run_search(
    task: Task,
    network: Network,
    space: SearchSpace,
    options: SearchOptions,
    *,
    objective: Objective = CLASSIFY,
    seed: int,
    device: torch.device,
    on_epoch: OnEpoch = quiet,
) -> tuple[Supernet, SearchResult]:
    """Search the kernels of ``network`` on the training split of ``task``.

    Returns:
        The trained supernet, and the spec derived from it.

    Raises:
        BadBackbone: nothing to search in this backbone on samples of this size.
        BadData: the metric has no value on the samples held out.
        TrainingFailed: the search diverged or ran out of memory.
    """
    how = options.how
    weights = how.weights if isinstance(how, Mixture) else "separate"

    def build(kind: Method, own: bool = False) -> Supernet:
        net = build_network(network, task)
        if isinstance(how, XD):
            return build_xd(net, task.size, depth=how.xd_depth, rule=network.rule).to(device)
        return build_supernet(
            net,
            space,
            task.size,
            kind="mixture" if kind == "mixture" else "paths",
            own=own,
            weights=weights,
            rule=network.rule,
            keep_weights=network.pretrained,
        ).to(device)

    generator = seed_everything(seed)
    with memory_guard(*how.saving):
        supernet = build(options.method)
    result = search_kernels(
        supernet,
        task.train,
        options,
        seed=seed,
        generator=generator,
        builds=Builds(
            wide=partial(build, "mixture", own=True),
            plain=partial(build_network, network, task, device=device),
        ),
        objective=objective,
        on_epoch=on_epoch,
    )
    return supernet, result


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What training ended in.

    Attributes:
        network: the one to ship, in eval mode.
        shipped: its name, ``"searched"`` or ``"default"``.
        selection: how that was decided; None when there was nothing to decide.
        metrics: by network (``searched``, ``default``): fit, test score, parameters, MACs and what
            it started from; where it was trained from two starts, ``inits`` has both. The two
            networks are one where the search kept the backbone's own kernels.
        folded: validation and test score of the supernet as the search left it, folded and with
            batch statistics taken anew, but not trained further; None without a supernet.
        layers: one row for every searched convolution, beside its default.
        kept: every other convolution, with the reason.
        test_reads: how often the test split was read.
        breakdown: where the shipped network errs on it, see `break_down`.
        windows: extent and jump of every window of the backbone as it comes, see `windows`.
    """

    network: SearchedNet
    shipped: str
    selection: Selection | None
    metrics: dict[str, dict[str, Any]]
    folded: dict[str, Any] | None
    layers: tuple[dict[str, Any], ...]
    kept: dict[str, str]
    test_reads: int
    breakdown: dict[str, Any]
    windows: dict[str, tuple[int, int]]


def run_training(
    task: Task,
    network: Network,
    recipe: Recipe,
    *,
    spec: KernelSpec,
    others: Mapping[str, KernelSpec] | None = None,
    supernet: Supernet | None,
    objective: Objective = CLASSIFY,
    init: Init = "scratch",
    baseline_epochs: int | None,
    ship: Ship = "best",
    settings: Mapping[str, Setting] | None = None,
    architect: Architect | None = None,
    seed: int,
    device: torch.device,
    on_epoch: OnEpoch = quiet,
) -> TrainResult:
    """Train the networks a search proposes and the default kernels; choose; read test, once.

    Args:
        task: its train split is fitted, its val split picks the epoch.
        network: backbone and its arguments.
        recipe: for every network.
        spec: the kernels found.
        others: further proposals, by name, asked with ``ship="best"`` and a baseline; one takes the
            place of ``spec`` where validation prefers it in short trainings (`Trainer.try_out`),
            or cross-validation does beyond noise, which is not asked for `PYRAMIDS`.
        supernet: the trained supernet, if it is there.
        objective: what everything is trained on, chosen by and scored with.
        init: what the search's proposals start from: its weights, folded, scratch, or ``"both"``,
            each proposal being trained twice and validation choosing. The backbone's own kernels
            always start from scratch.
        baseline_epochs: epochs of the network with default kernels; None leaves it out.
        ship: ``"best"`` lets held-out data choose, ``"searched"`` does not ask.
        settings: what was tuned, for ``"searched"`` (and any other proposal) and ``"default"``.
        architect: steps the transforms of XD-operations where a choice is cross-validated, for
            those found have seen the samples that judge; in training they stay as they were found.
        seed: initialises and shuffles, alike for every network.
        device: where to train.
        on_epoch: told after every epoch.

    Raises:
        BadData: no such ``init``, or the metric has no value on a split.
        BadSpec: the spec does not fit the backbone.
        BadBundle: there is no supernet to start from.
        TrainingFailed: training diverged or ran out of memory.
    """
    on_epoch = measured(on_epoch, objective.measure)
    trainer = Trainer(
        task,
        network,
        recipe,
        objective=objective,
        supernet=supernet,
        settings=settings or {},
        seed=seed,
        device=device,
        on_epoch=on_epoch,
    )
    begins = starts(init)
    as_left = None
    if supernet is not None or "searched" in begins:
        as_left = trainer.folded(spec)
    _, _, own = layer_table(network, task, spec)
    asked = ship == "best" and baseline_epochs is not None
    proposals = {"searched": spec}
    if asked:
        proposals |= others or {}
    if baseline_epochs is not None:
        proposals = {name: found for name, found in proposals.items() if found != own}

    recipes = {name: trainer.recipe(name) for name in (*proposals, "default")}
    if baseline_epochs is not None:
        recipes["default"] = replace(recipes["default"], epochs=baseline_epochs)
    choosing = Choosing(
        task,
        recipe,
        objective=objective,
        recipes=recipes,
        architect=architect,
        seed=seed,
        on_epoch=on_epoch,
    )
    if not choosing.by_validation:  # few samples cannot tell so many apart
        proposals = {n: found for n, found in proposals.items() if n not in PYRAMIDS}
    # What the search found comes first, and others take its place only if they are clearly better.
    order = list(dict.fromkeys(("searched" if "searched" in proposals else "default", *proposals)))
    if asked and proposals and not choosing.by_validation:
        candidates = {**proposals, "default": own}
        choosing.cross_validate({n: trainer.build(n, s) for n, s in candidates.items()})
        order = [choosing.best_of(order)]
    elif len(proposals) > 1:
        start = begins[-1]  # scratch, where that is one of them: what it is to be compared from
        tried = trainer.try_out(proposals, start, max(1, recipe.epochs // TRIED))
        choosing.note_trials(tried)
        order = [name for name in order if name in (next(iter(tried)), "default")]
    if asked:
        proposals = {name: found for name, found in proposals.items() if name in order}
    trained = {
        name: trainer.train(name, kernels, dict.fromkeys(begins, recipe.epochs))
        for name, kernels in proposals.items()
    }
    if baseline_epochs is not None:
        # Where the search kept them, its weights are no better a start than the epochs it took.
        trained["default"] = trainer.train("default", own, {"scratch": baseline_epochs})
    choosing.note_validation({name: one.fit.val for name, one in trained.items()})
    shipped, selection = "searched", None
    best = choosing.best_of(order) if proposals else "default"
    if best != "default":
        spec = proposals[best]
        trained["searched"] = trained[best]
        if asked:
            selection = choosing.between(best, "default")
            shipped = selection.shipped
    else:  # the search kept the backbone's own kernels, and has nothing to set against them
        trained["searched"] = trained["default"]
        shipped, selection = "default", choosing.kept()

    test = task.test.open()
    metrics, folded = _read_test(task, test, trained, as_left, objective)
    outputs = split_outputs(trained[shipped].network, test).double().numpy()
    rows, kept, _ = layer_table(network, task, spec)
    return TrainResult(
        network=trained[shipped].network,
        shipped=shipped,
        selection=selection,
        metrics=metrics,
        folded=folded,
        layers=rows,
        kept=kept,
        test_reads=task.test.reads,
        breakdown=break_down(task.kind, outputs, test.targets().numpy(), test.X),
        windows=_windows(network, task),
    )


def _windows(network: Network, task: Task) -> dict[str, tuple[int, int]]:
    net = build_network(network, task)
    return windows(net.backbone, net.preprocess(net.example_input(task.size, batch=2)))


def _read_test(
    task: Task,
    test: Split,
    trained: Mapping[str, Trained],
    as_left: SearchedNet | None,
    objective: Objective,
) -> tuple[dict[str, dict[str, Any]], dict[str, Any] | None]:
    """Score everything on the test split, now that all is decided: ``metrics`` and ``folded``."""
    metrics = {
        name: trained[name].to_json(task, test, objective)
        for name in ("searched", "default")
        if name in trained
    }
    if as_left is None:
        return metrics, None
    return metrics, {
        "val": evaluate(as_left, task.val, objective).to_json(),
        "test": evaluate(as_left, test, objective).to_json(),
    }
