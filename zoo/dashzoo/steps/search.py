"""Step one: data in, ``search/`` with a kernel spec and a trained supernet out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from dashzoo import __version__
from dashzoo.steps.before import require_writable
from dashzoo.steps.tradeoff import check_budget, tradeoff
from dashzoo.steps.unfinished import is_being_placed, tidy, unfinished
from dashzoo.workfiles import Data, SearchRecord, resolve_data
from dashzoo_export.bundle import refuse_overwrite
from dashzoo_search.choice import short_repr
from dashzoo_search.errors import BadBackbone, BadData
from dashzoo_search.methods.xd import xd_choices
from dashzoo_search.networks.create import default_backbone
from dashzoo_search.networks.moments import Per
from dashzoo_search.networks.rules import Rule
from dashzoo_search.pipeline import run_search
from dashzoo_search.plan import Network, batch_macs, build_network
from dashzoo_search.search import SearchOptions
from dashzoo_search.spec import KernelSpec, SearchSpace
from dashzoo_search.tasks import DataOptions, Task
from dashzoo_search.training import world
from dashzoo_search.training.curves import Curves
from dashzoo_search.training.objective import Objective
from dashzoo_search.training.precision import resolve_precision
from dashzoo_search.training.progress import OnEpoch, quiet
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.resume import Journal
from dashzoo_search.training.runtime import limit_threads, resolve_device

__all__ = ["SearchPlan", "plan_search", "search", "search_into"]

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
    input_norm: Per = "channel",
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
    if operator == "xd":  # as published: SGD for fields, Adam for images
        how.setdefault("arch_optimizer", "sgd" if task.kind == "dense_regression" else "adam")
    # A step of a mixture costs several of a plain network's; one of a path as much as one.
    usual = max(1, recipe.epochs // 2) if method == "mixture" else recipe.epochs
    options = SearchOptions.of(replace(recipe, epochs=epochs or usual), method or "paths", **how)
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
    )


def search_into(folder: Path, plan: SearchPlan, journal: Journal, on_epoch: OnEpoch) -> KernelSpec:
    """Do the search, unless ``folder`` has it already; writes ``folder/search/``.

    Raises:
        TrainingFailed: the search diverged or ran out of memory.
        BadBundle: a checkpoint, or the search that is there, is damaged.
    """
    if world.by_first(lambda: SearchRecord.is_in(folder)):
        return SearchRecord.read(folder).kernel_spec()
    curves = Curves(on_epoch)
    with journal.room("search").active():
        supernet, result = run_search(
            plan.task,
            plan.network,
            plan.space,
            plan.options,
            objective=plan.objective,
            seed=plan.seed,
            device=plan.device,
            on_epoch=curves,
        )
    record = SearchRecord(
        name=plan.name,
        data=plan.reference,
        data_sha256=plan.task.sha256,
        data_options=plan.said.to_json(),
        seed=plan.seed,
        network=plan.network.to_json(),
        space=plan.space.to_json(),
        options=plan.options.to_json(),
        spec=result.spec.to_json(),
        uniform=result.uniform.to_json() if result.uniform else {},
        scouted=dict(result.scouted),
        lost=dict(result.lost),
        tradeoff=tradeoff(plan.task, supernet, plan.options, result, plan.device),
        kept=dict(supernet.kept),
        history=list(result.history),
        seconds=result.seconds,
        cpu_seconds=result.cpu_seconds,
        resumed=journal.resumed,
        curves=curves.to_json(),
    )
    world.by_first(lambda: record.write(folder, supernet, plan.data))
    return result.spec


def search(
    data: Data,
    out: str | PathLike[str],
    *,
    force: bool = False,
    fresh: bool = False,
    checkpoint_every: float | None = None,
    on_epoch: OnEpoch = quiet,
    **options: Any,
) -> KernelSpec:
    """Find a kernel size and dilation, or transforms, for every layer; writes ``out/search/``.

    A search that was stopped goes on where it was, when it is called again; see `unfinished`.

    Args:
        data, out: see `run`.
        force: overwrite a bundle or search in ``out``.
        fresh: throw away an unfinished search of another kind.
        checkpoint_every: least seconds between checkpoints; None takes 5, or more where they are
            large.
        on_epoch: told after every epoch.
        options: by name,

            - ``backbone``: default ``wrn1d`` for sequences, ``resnet18`` for images,
            - ``backbone_args``: further keyword arguments of the backbone,
            - ``resize``: side length to interpolate images to, inside the network,
            - ``coords``: whether it is given coordinates, as channels,
            - ``input_norm``, ``output_norm``: ``"channel"`` or ``"position"``, see `SearchedNet`,
            - ``pretrained``: whether the backbone starts from timm's weights, which are fetched,
            - ``layers``, ``exclude``: patterns of the layers to search and to leave alone, see
              `Rule`,
            - ``kernels``, ``dilations``: the sets to search; None takes the task's, or DASH's, as
              far as they fit the samples,
            - ``epochs``: of the search; None takes what training would, a mixture half of it,
            - ``batch_size``, ``lr``, ``weight_decay``: see `Recipe`; kept for `train`,
            - ``precision``: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``; kept for `train`,
            - ``data_options``: what is to be said of the data, see `DataOptions`,
            - ``seed``: of splits, initialisation and shuffling,
            - ``device``: ``"auto"``, ``"cpu"``, ``"cuda"``, …
            - ``threads``: cores to use, at most those at hand; None decides by a batch's size,
            - ``name``: of the bundle; None takes the folder's,
            - ``operator``: ``"kernels"`` searches kernel sizes and dilations, ``"xd"`` makes
              convolutions XD-operations and learns their transforms,
            - ``method``: of kernels, ``"paths"`` or ``"mixture"``, see `dashzoo_search.methods`,
            - ``heldout``: share of the training split that kernels are judged by,
            - those of `Paths`, with its `Budget`, of `Mixture`, or of `XD`.

    Returns:
        The spec, which is also in ``out/search/search.json``.

    Raises:
        DashzooError: in one sentence.
    """
    folder = Path(out)

    def check() -> None:
        tidy(folder)
        refuse_overwrite(folder, force=force or is_being_placed(folder))

    world.by_first(check)
    plan = plan_search(data, folder, **options)
    with unfinished(folder, plan.identity("search"), fresh=fresh, every=checkpoint_every) as work:
        spec = search_into(work.folder, plan, work.journal, on_epoch)
        world.by_first(lambda: work.place(folder, force=force))
    return spec


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
