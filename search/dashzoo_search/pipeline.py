"""The main job in memory: a task in, a searched and trained network with its results out.

`run_search` finds the kernels; `run_training` trains the network they make, and the backbone with
its default kernels beside it, and only then opens the test split, once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch

from dashzoo_search.fold import fold
from dashzoo_search.methods.scout import Builds
from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.plan import Network, build_network, count_macs, layer_table
from dashzoo_search.search import Method, SearchOptions, SearchResult, search_kernels
from dashzoo_search.selection import Selection, select
from dashzoo_search.spec import KernelSpec, SearchSpace
from dashzoo_search.supernet import Supernet, build_supernet
from dashzoo_search.tasks.task import Split, Task
from dashzoo_search.training.batchnorm import reestimate
from dashzoo_search.training.loop import FitResult, fit, memory_guard
from dashzoo_search.training.metrics import evaluate
from dashzoo_search.training.progress import OnEpoch, quiet
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import seed_everything

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
        metrics: by network (``searched``, ``default``): fit, test score, parameters and MACs.
        layers: one row for every searched convolution, beside its default.
        kept: every other convolution, with the reason.
        test_reads: how often the test split was read.
    """

    network: SearchedNet
    shipped: str
    selection: Selection | None
    metrics: dict[str, dict[str, Any]]
    layers: tuple[dict[str, Any], ...]
    kept: dict[str, str]
    test_reads: int


def run_training(
    task: Task,
    network: Network,
    recipe: Recipe,
    *,
    spec: KernelSpec,
    supernet: Supernet | None,
    baseline_epochs: int | None,
    ship: Ship = "best",
    seed: int,
    device: torch.device,
    on_epoch: OnEpoch = quiet,
) -> TrainResult:
    """Train the network ``spec`` makes and the default kernels; choose; then read test, once.

    Args:
        task: its train split is fitted, its val split picks the epoch.
        network: backbone and its arguments.
        recipe: for both networks.
        spec: kernels to train.
        supernet: to take the searched weights from; None starts from scratch. Left one-hot.
        baseline_epochs: epochs of the network with default kernels; None leaves it out.
        ship: ``"best"`` lets `select` choose between the two, ``"searched"`` does not ask.
        seed: initialises and shuffles, alike for both networks.
        device: where to train.
        on_epoch: told after every epoch.

    Raises:
        BadSpec: the spec does not fit the backbone.
        TrainingFailed: training diverged or ran out of memory.
    """
    rows, kept, own = layer_table(network, task, spec)
    trained: dict[str, tuple[SearchedNet, FitResult]] = {}
    generator = seed_everything(seed)
    if supernet is None:
        net = build_network(network, task, spec=spec, device=device)
    else:
        net = fold(supernet, spec)
        reestimate(net, task.train)
    trained["searched"] = (
        net,
        fit(net, task.train, task.val, recipe, generator=generator, on_epoch=on_epoch),
    )
    selection = None
    if baseline_epochs is not None:
        generator = seed_everything(seed)
        plain = build_network(network, task, spec=own, device=device)
        longer = replace(recipe, epochs=baseline_epochs)
        trained["default"] = (
            plain,
            fit(
                plain, task.train, task.val, longer,
                generator=generator, on_epoch=on_epoch, stage="default kernels",
            ),
        )  # fmt: skip
        if ship == "best":
            selection = select(
                task,
                {
                    "searched": partial(_fresh, network, task, spec, device),
                    "default": partial(_fresh, network, task, own, device),
                },
                {name: result.val for name, (_, result) in trained.items()},
                recipe,
                seed=seed,
                on_epoch=on_epoch,
            )

    test = task.test.open()
    metrics: dict[str, dict[str, Any]] = {}
    for name, (one, result) in trained.items():
        metrics[name] = {
            **result.to_json(),
            "test": evaluate(one, test).to_json(),
            "parameters": sum(p.numel() for p in one.parameters()),
            "macs": count_macs(one, task.size),
        }
    shipped = selection.shipped if selection else "searched"
    return TrainResult(
        network=trained[shipped][0],
        shipped=shipped,
        selection=selection,
        metrics=metrics,
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
