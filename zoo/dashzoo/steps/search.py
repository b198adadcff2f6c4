"""Step one: data in, ``search/`` with a kernel spec and a trained supernet out."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from dashzoo.steps.search_plan import SearchPlan, plan_search
from dashzoo.steps.tradeoff import tradeoff
from dashzoo.steps.unfinished import is_being_placed, tidy, unfinished
from dashzoo.workfiles import Data, SearchRecord
from dashzoo_export.bundle import refuse_overwrite
from dashzoo_search.pipeline import run_search
from dashzoo_search.spec import KernelSpec
from dashzoo_search.training import world
from dashzoo_search.training.curves import Curves
from dashzoo_search.training.progress import OnEpoch, quiet
from dashzoo_search.training.resume import Journal

__all__ = ["search", "search_into"]


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
        others={name: spec.to_json() for name, spec in result.others.items()},
        scouted=dict(result.scouted),
        started=dict(plan.started),
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
            - ``input_norm``, ``output_norm``: ``"channel"``, ``"position"`` or, of inputs,
              ``"sample"``, see `SearchedNet`,
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
            - ``start_from``: a model as `load` takes it, from whose kernels the search starts in
              place of a scout, or ``"nearest"`` for the one of the shelf whose task is most alike,
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
