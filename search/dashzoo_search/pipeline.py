"""The main job in memory: a task in, a searched and trained network with its results out.

`run_search` finds the kernels; `run_training` trains the network they make, and the backbone with
its default kernels beside it, and only then opens the test split, once.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch

from dashzoo_search.fold import fold
from dashzoo_search.methods.scout import Builds
from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.plan import Network, build_network, count_macs, layer_table
from dashzoo_search.search import Method, SearchOptions, SearchResult, search_kernels
from dashzoo_search.selection import Choosing, Selection
from dashzoo_search.spec import KernelSpec, SearchSpace
from dashzoo_search.supernet import Supernet, build_supernet
from dashzoo_search.tasks.task import Split, Task
from dashzoo_search.training.batchnorm import reestimate
from dashzoo_search.training.loop import FitResult, fit, memory_guard
from dashzoo_search.training.metrics import evaluate
from dashzoo_search.training.progress import OnEpoch, quiet
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

Init = Literal["searched", "scratch"]
Ship = Literal["best", "searched"]


def run_search(
    task: Task,
    network: Network,
    space: SearchSpace,
    options: SearchOptions,
    *,
    seed: int,
    device: torch.device,
    on_epoch: OnEpoch = quiet,
) -> tuple[Supernet, SearchResult]:
    """Search the kernels of ``network`` on the training split of ``task``.

    Returns:
        The trained supernet, and the spec derived from it.

    Raises:
        BadBackbone: nothing to search in this backbone on samples of this size.
        TrainingFailed: the search diverged or ran out of memory.
    """

    def build(kind: Method) -> Supernet:
        net = build_network(network, task)
        return build_supernet(net, space, task.size, kind=kind).to(device)

    generator = seed_everything(seed)
    with memory_guard():
        supernet = build(options.method)
    result = search_kernels(
        supernet,
        task.train,
        options,
        seed=seed,
        generator=generator,
        builds=Builds(
            wide=partial(build, "mixture"),
            plain=partial(build_network, network, task, device=device),
        ),
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
        metrics: by network (``searched``, ``default``): fit, test score, parameters and MACs. The
            two are one where the search kept the backbone's own kernels.
        folded: validation and test score of the supernet as the search left it, folded and with
            batch statistics taken anew, but not trained further; None without a supernet.
        layers: one row for every searched convolution, beside its default.
        kept: every other convolution, with the reason.
        test_reads: how often the test split was read.
    """

    network: SearchedNet
    shipped: str
    selection: Selection | None
    metrics: dict[str, dict[str, Any]]
    folded: dict[str, Any] | None
    layers: tuple[dict[str, Any], ...]
    kept: dict[str, str]
    test_reads: int


def run_training(
    task: Task,
    network: Network,
    recipe: Recipe,
    *,
    spec: KernelSpec,
    uniform: KernelSpec | None = None,
    supernet: Supernet | None,
    init: Init = "scratch",
    baseline_epochs: int | None,
    ship: Ship = "best",
    settings: Mapping[str, Setting] | None = None,
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
        uniform: another proposal of the search; takes the place of ``spec`` where held-out data
            prefers it. Only asked with ``ship="best"`` and a baseline.
        supernet: the trained supernet, if it is there. Left at ``spec``.
        init: whether training ``spec`` starts from the supernet's weights.
        baseline_epochs: epochs of the network with default kernels; None leaves it out.
        ship: ``"best"`` lets held-out data choose, ``"searched"`` does not ask.
        settings: what was tuned, for ``"searched"`` (and any other proposal) and ``"default"``.
        seed: initialises and shuffles, alike for every network.
        device: where to train.
        on_epoch: told after every epoch.

    Raises:
        BadSpec: the spec does not fit the backbone.
        TrainingFailed: training diverged or ran out of memory.
    """
    _, _, own = layer_table(network, task, spec)
    net = None
    if supernet is not None:
        net = fold(supernet, spec)
        reestimate(net, task.train)
    as_left = copy.deepcopy(net)
    asked = ship == "best" and baseline_epochs is not None
    proposals = {"searched": spec}
    if asked and uniform is not None:
        proposals["uniform"] = uniform
    if baseline_epochs is not None:
        proposals = {name: found for name, found in proposals.items() if found != own}

    def tuned(name: str) -> tuple[Network, Recipe]:
        setting = (settings or {}).get("default" if name == "default" else "searched")
        if setting is None:
            return network, recipe
        return replace(network, args=setting.arguments(network.args)), setting.recipe(recipe)

    def train(
        name: str, kernels: KernelSpec, epochs: int, start: SearchedNet | None = None
    ) -> tuple[SearchedNet, FitResult]:
        generator = seed_everything(seed)
        plan, numbers = tuned(name)
        net = start or build_network(plan, task, spec=kernels, device=device)
        stage = {"searched": "train", "default": "default kernels"}.get(name, f"{name} kernels")
        longer = replace(numbers, epochs=epochs)
        result = fit(
            net, task.train, task.val, longer, generator=generator, on_epoch=on_epoch, stage=stage
        )
        return net, result

    recipes = {name: tuned(name)[1] for name in (*proposals, "default")}
    choosing = Choosing(task, recipe, recipes=recipes, seed=seed, on_epoch=on_epoch)
    if asked and proposals and not choosing.by_validation:
        builds = {
            name: partial(_fresh, tuned(name)[0], task, s, device) for name, s in proposals.items()
        }
        builds["default"] = partial(_fresh, tuned("default")[0], task, own, device)
        choosing.cross_validate(builds)
        best = choosing.best_of(proposals)
        proposals = {best: proposals[best]}
    trained = {}
    for name, kernels in proposals.items():
        start = net if init == "searched" and name == "searched" else None
        trained[name] = train(name, kernels, recipe.epochs, start)
    if baseline_epochs is not None:
        trained["default"] = train("default", own, baseline_epochs)
    choosing.note_validation({name: result.val for name, (_, result) in trained.items()})
    shipped, selection = "searched", None
    if proposals:
        best = choosing.best_of(proposals)
        spec = proposals[best]
        trained["searched"] = trained[best]
        if asked:
            selection = choosing.between(best, "default")
            shipped = selection.shipped
    else:  # the search kept the backbone's own kernels, and has nothing to set against them
        trained["searched"] = trained["default"]
        shipped, selection = "default", choosing.kept()

    test = task.test.open()
    metrics: dict[str, dict[str, Any]] = {}
    for name in ("searched", "default"):
        if name not in trained:
            continue
        one, result = trained[name]
        metrics[name] = {
            **result.to_json(),
            "test": evaluate(one, test).to_json(),
            "parameters": sum(p.numel() for p in one.parameters()),
            "macs": count_macs(one, task.size),
        }
    folded = None
    if as_left is not None:
        folded = {
            "val": evaluate(as_left, task.val).to_json(),
            "test": evaluate(as_left, test).to_json(),
        }
    rows, kept, _ = layer_table(network, task, spec)
    return TrainResult(
        network=trained[shipped][0],
        shipped=shipped,
        selection=selection,
        metrics=metrics,
        folded=folded,
        layers=rows,
        kept=kept,
        test_reads=task.test.reads,
    )


def _fresh(
    network: Network, task: Task, spec: KernelSpec, device: torch.device, train: Split
) -> SearchedNet:
    net = build_network(network, task, spec=spec, device=device)
    net.preprocess.fit(train.X)
    return net
