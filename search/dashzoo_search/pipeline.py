"""The main job in memory: a task in, a searched and trained network with its results out.

`run_search` finds the kernels; `run_training` trains the network they make, and the backbone with
its default kernels beside it, and only then opens the test split, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import torch
from torch.utils.flop_counter import FlopCounterMode

from dashzoo_search.fold import fold
from dashzoo_search.networks.convs import ConvLayer, conv_layers
from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.search import SearchOptions, SearchResult, search_kernels
from dashzoo_search.selection import Selection, select
from dashzoo_search.spec import Choice, KernelSpec, SearchSpace
from dashzoo_search.supernet import Supernet, build_supernet
from dashzoo_search.tasks.task import Split, Task
from dashzoo_search.training.batchnorm import reestimate
from dashzoo_search.training.loop import FitResult, fit
from dashzoo_search.training.metrics import evaluate
from dashzoo_search.training.progress import OnEpoch, quiet
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import seed_everything

__all__ = [
    "Init",
    "Network",
    "Ship",
    "TrainResult",
    "batch_macs",
    "build_network",
    "run_search",
    "run_training",
]

Init = Literal["searched", "scratch"]
Ship = Literal["best", "searched"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What is needed to build a `SearchedNet` for a task.

    Args:
        backbone: its name.
        args: further keyword arguments of the backbone.
        resize: side length images are interpolated to, or None.
    """

    backbone: str
    args: Mapping[str, Any] = field(default_factory=dict)
    resize: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain dict, as results.json has it."""
        return {"name": self.backbone, "args": dict(self.args), "resize": self.resize}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Network:
        """Read what `to_json` wrote."""
        return cls(backbone=value["name"], args=value["args"], resize=value["resize"])


def build_network(
    network: Network,
    task: Task,
    *,
    spec: KernelSpec | None = None,
    device: torch.device | None = None,
) -> SearchedNet:
    """A fresh network for ``task``, normalised by its training split.

    Raises:
        UnknownBackbone, BadBackbone, BadSpec: as `SearchedNet` raises them.
    """
    net = SearchedNet(
        network.backbone,
        dims=task.dims,
        in_chans=task.channels,
        num_classes=len(task.classes),
        kernels=spec,
        backbone_args=network.args,
        resize=network.resize,
    )
    net.preprocess.fit(task.train.X)
    return net.to(device or torch.device("cpu"))


def batch_macs(network: Network, task: Task, batch_size: int) -> int:
    """Multiply-accumulates of the convolutions in one forward pass of a batch.

    Raises:
        BadBackbone: the backbone does not take samples of this size.
    """
    return batch_size * sum(layer.macs for layer in _conv_layers(network, task))


def _conv_layers(network: Network, task: Task) -> list[ConvLayer]:
    net = build_network(network, task)
    planes = net.preprocess(net.example_input(task.size, batch=2))
    return list(conv_layers(net.backbone, planes, dims=task.dims))


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
    generator = seed_everything(seed)
    supernet = build_supernet(build_network(network, task), space, task.size).to(device)
    result = search_kernels(
        supernet, task.train, options, seed=seed, generator=generator, on_epoch=on_epoch
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
    rows, kept, own = _layer_table(network, task, spec)
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


def count_macs(net: SearchedNet, size: tuple[int, ...]) -> int:
    """Multiply-accumulates of convolutions and linear layers for one sample of ``size``."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net.eval()(net.example_input(size))
    return int(counter.get_total_flops()) // 2


def _layer_table(
    network: Network, task: Task, spec: KernelSpec
) -> tuple[tuple[dict[str, Any], ...], dict[str, str], KernelSpec]:
    """A row for each layer of ``spec``, the reasons of the others, and the layers' own kernels."""
    rows, kept, own = [], {}, {}
    for layer in _conv_layers(network, task):
        if layer.name in spec.layers and layer.choice is not None:
            rows.append(_layer_row(layer, layer.choice, spec.layers[layer.name]))
            own[layer.name] = layer.choice
        else:
            kept[layer.name] = layer.reason or "the spec leaves it as it is"
    return tuple(rows), kept, KernelSpec(dims=task.dims, layers=own)


def _layer_row(layer: ConvLayer, own: Choice, choice: Choice) -> dict[str, Any]:
    conv = layer.conv
    parameters, macs = layer.with_choice(choice)
    return {
        "name": layer.name,
        "kernel": list(choice.kernel),
        "dilation": list(choice.dilation),
        "default_kernel": list(own.kernel),
        "default_dilation": list(own.dilation),
        "in_channels": conv.in_channels,
        "out_channels": conv.out_channels,
        "groups": conv.groups,
        "stride": list(conv.stride[-choice.dims :]),
        "size": list(layer.size),
        "parameters": parameters,
        "macs": macs,
        "default_parameters": layer.parameters,
        "default_macs": layer.macs,
    }
