"""Step one: data in, ``search/`` with a kernel spec and a trained supernet out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from dashzoo.steps.before import require_writable
from dashzoo.steps.train import STALE
from dashzoo.workfiles import Data, SearchRecord, resolve_data
from dashzoo_export.bundle import invalidate, refuse_overwrite
from dashzoo_search.choice import short_repr
from dashzoo_search.errors import BadBackbone, BadData
from dashzoo_search.networks.create import default_backbone
from dashzoo_search.pipeline import run_search
from dashzoo_search.plan import Network, batch_macs
from dashzoo_search.search import SearchOptions
from dashzoo_search.spec import KernelSpec, SearchSpace
from dashzoo_search.training.progress import OnEpoch, quiet
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import limit_threads, resolve_device

__all__ = ["search"]

_LARGEST = 65_536  # what `read_config` lets pass


def search(
    data: Data,
    out: str | PathLike[str],
    *,
    backbone: str | None = None,
    backbone_args: Mapping[str, Any] | None = None,
    resize: int | None = None,
    kernels: tuple[int, ...] | None = None,
    dilations: tuple[int, ...] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    weight_decay: float | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    force: bool = False,
    name: str | None = None,
    on_epoch: OnEpoch = quiet,
    **alpha: Any,
) -> KernelSpec:
    """Find a kernel size and dilation for every searchable layer; writes ``out/search/``.

    Args:
        data, out: see `run`.
        backbone: default ``wrn1d`` for sequences, ``resnet18`` for images.
        backbone_args: further keyword arguments of the backbone.
        resize: side length to interpolate images to, inside the network.
        kernels, dilations: the sets to search; None takes DASH's, as far as they fit the samples.
        epochs: of the search; None takes half of what training would.
        batch_size, lr, weight_decay: see `Recipe`; kept for `train`.
        seed: of splits, initialisation and shuffling.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, …
        threads: cores to use, at most those at hand; None decides by the size of a batch.
        force: overwrite a bundle or search in ``out``.
        name: of the bundle; None takes the folder's.
        on_epoch: told after every epoch.
        alpha: further options of `SearchOptions`.

    Returns:
        The spec, which is also in ``out/search/search.json``.

    Raises:
        DashzooError: in one sentence.
    """
    folder = Path(out)
    refuse_overwrite(folder, force=force)
    require_writable(folder)
    where = resolve_device(device)
    reference, task = resolve_data(data, seed=seed)
    if resize is not None and task.dims == 1:
        raise BadData("--resize is for images; sequences keep their length")
    network = Network(
        backbone=backbone or default_backbone(task.dims),
        args=_plain(backbone_args or {}),
        resize=resize,
    )
    space = _space(kernels, dilations, (resize,) * 2 if resize else task.size)
    recipe = Recipe.for_samples(
        len(task.train), batch_size=batch_size, lr=lr, weight_decay=weight_decay
    )
    limit_threads(threads, work=batch_macs(network, task, recipe.batch_size))
    options = SearchOptions(
        recipe=replace(recipe, epochs=epochs or max(1, recipe.epochs // 2)), **alpha
    )
    supernet, result = run_search(
        task, network, space, options, seed=seed, device=where, on_epoch=on_epoch
    )
    invalidate(folder, *STALE)
    SearchRecord(
        name=name or folder.resolve().name,
        data=reference,
        data_sha256=task.sha256,
        seed=seed,
        network=network.to_json(),
        space=space.to_json(),
        options=options.to_json(),
        spec=result.spec.to_json(),
        kept=dict(supernet.kept),
        history=list(result.history),
        seconds=result.seconds,
        cpu_seconds=result.cpu_seconds,
    ).write(folder, supernet, data)
    return result.spec


def _space(
    kernels: tuple[int, ...] | None, dilations: tuple[int, ...] | None, size: tuple[int, ...]
) -> SearchSpace:
    default = SearchSpace.default(len(size))
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
