"""What is checked before a search starts: the options, the data, the backbone and the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from dashzoo import __version__
from dashzoo.steps.before import require_writable
from dashzoo.steps.start import starting_point
from dashzoo.steps.tradeoff import check_budget
from dashzoo.workfiles import Data, resolve_data
from dashzoo_search.choice import short_repr
from dashzoo_search.errors import BadBackbone, BadData
from dashzoo_search.methods.xd import xd_choices
from dashzoo_search.networks.create import default_backbone
from dashzoo_search.networks.moments import InputNorm, Per
from dashzoo_search.networks.rules import Rule
from dashzoo_search.plan import Network, batch_macs, build_network
from dashzoo_search.search import SearchOptions
from dashzoo_search.spec import SearchSpace
from dashzoo_search.tasks import DataOptions, Task
from dashzoo_search.training import world
from dashzoo_search.training.architecture import usual_optimizer
from dashzoo_search.training.objective import Objective
from dashzoo_search.training.precision import resolve_precision
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import limit_threads, resolve_device

__all__ = ["SearchPlan", "plan_search"]

_LARGEST = 65_536  # what `read_config` lets pass


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """A search, checked and ready to start.

    Attributes:
        data: what the user gave.
        said: what the user said of it.
        reference: to the data, for the record.
        task, network, space, options, objective, seed: see `run_search`.
        device: to train on.
        name: of the bundle.
        started: what it starts from, see `Start.to_json`; empty otherwise.
    """

    data: Data
    said: DataOptions
    reference: str
    task: Task
    network: Network
    space: SearchSpace
    options: SearchOptions
    objective: Objective
    seed: int
    device: torch.device
    name: str
    started: Mapping[str, Any]

    def identity(self, command: str) -> dict[str, Any]:
        """Everything that decides the results; an unfinished search of another is not ours."""
        return {
            "command": command,
            "dashzoo": __version__,
            "torch": torch.__version__,
            "data": self.task.sha256,
            "said": self.said.to_json(),
            "backbone": self.network.to_json(),
            "space": self.space.to_json(),
            "options": self.options.to_json(),
            "seed": self.seed,
            "device": self.device.type,
            "name": self.name,
        }


def plan_search(
    data: Data,
    folder: Path,
    *,
    backbone: str | None = None,
    backbone_args: Mapping[str, Any] | None = None,
    resize: int | None = None,
    coords: bool = False,
    input_norm: InputNorm = "channel",
    output_norm: Per | None = None,
    pretrained: bool = False,
    layers: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    kernels: tuple[int, ...] | None = None,
    dilations: tuple[int, ...] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    weight_decay: float | None = None,
    precision: str = "auto",
    data_options: DataOptions | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    name: str | None = None,
    start_from: str | PathLike[str] | None = None,
    operator: str = "kernels",
    method: str | None = None,
    **how: Any,
) -> SearchPlan:
    """Check what `search` was told, and load the data; nothing is written.

    Raises:
        DashzooError: in one sentence.
    """
    require_writable(folder)
    if operator not in ("kernels", "xd"):
        raise BadData(f"operator must be kernels or xd, not {operator!r}")
    if operator == "xd":
        if kernels is not None or dilations is not None:
            raise BadData(
                "XD-operations keep the backbone's kernels; leave --kernels and --dilations out, "
                "or --operator xd"
            )
        if method is not None:
            raise BadData("--method is how kernels are searched; leave it out, or --operator xd")
        method = "xd"
    elif method == "xd":
        raise BadData("xd is no --method; add --operator xd")
    where = resolve_device(device)
    numbers = resolve_precision(precision, where)
    said = data_options or DataOptions()
    reference, task = world.each_by_itself(lambda: resolve_data(data, seed=seed, options=said))
    objective = Objective.of(task, trusted=(said.loss, said.metric))
    if resize is not None and task.dims == 1:
        raise BadData("--resize is for images; sequences keep their length")
    network = Network(
        backbone=backbone or default_backbone(task.dims, dense=task.dense),
        args=_plain(backbone_args or {}),
        resize=resize,
        coords=coords,
        input_norm=input_norm,
        output_norm=output_norm,
        pretrained=pretrained,
        rule=Rule(layers=tuple(layers), exclude=tuple(exclude)),
    )
    space = _space(kernels, dilations, (resize,) * 2 if resize else task.size, task.space)
    recipe = Recipe.for_samples(
        len(task.train), batch_size=batch_size, lr=lr, weight_decay=weight_decay, precision=numbers
    )
    limit_threads(threads, work=batch_macs(network, task, recipe.batch_size))
    if operator == "xd":
        how.setdefault("arch_optimizer", usual_optimizer(task.kind))
    # A step of a mixture costs several of a plain network's; one of a path as much as one.
    usual = max(1, recipe.epochs // 2) if method == "mixture" else recipe.epochs
    options = SearchOptions.of(replace(recipe, epochs=epochs or usual), method or "paths", **how)
    start = None
    if start_from is not None:
        start = starting_point(start_from, task, network, space)
        options = replace(options, how=start.given_to(options.how, said=how))
    if operator == "xd":
        xd_choices(build_network(network, task), task.size, depth=1, rule=network.rule)
    check_budget(task, network, space, options, where)
    return SearchPlan(
        data=data,
        said=said,
        reference=reference,
        task=task,
        network=network,
        space=space,
        options=options,
        objective=objective,
        seed=seed,
        device=where,
        name=name or folder.resolve().name,
        started={} if start is None else start.to_json(options),
    )


def _space(
    kernels: tuple[int, ...] | None,
    dilations: tuple[int, ...] | None,
    size: tuple[int, ...],
    suggested: SearchSpace | None,
) -> SearchSpace:
    default = suggested or SearchSpace.default(len(size))
    if kernels is not None or dilations is not None:
        # Only what was asked for is refused; each layer takes what fits it of the defaults.
        asked = SearchSpace(
            kernels=kernels if kernels is not None else (3,),
            dilations=dilations if dilations is not None else (1,),
        )
        asked.check_against(size)
    return SearchSpace(
        kernels=kernels if kernels is not None else default.kernels,
        dilations=dilations if dilations is not None else default.dilations,
    )


def _plain(args: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in args.items():
        small = not isinstance(value, int | float) or abs(value) <= _LARGEST
        if not isinstance(value, str | int | float) or not small:
            raise BadBackbone(
                f"Backbone argument {name}={short_repr(value)} does not fit into config.json; "
                f"give a word, true, false, or a number up to {_LARGEST}"
            )
    return dict(args)
