"""All steps in one go, in ``OUT.partial``, which takes its final name at the end."""

from __future__ import annotations

from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from dashzoo.steps.card import card
from dashzoo.steps.export import export
from dashzoo.steps.plan import TrainOptions, plan_training
from dashzoo.steps.search import search_into
from dashzoo.steps.search_plan import plan_search
from dashzoo.steps.train import train_into
from dashzoo.steps.tune import tune_into
from dashzoo.steps.unfinished import is_being_placed, tidy, unfinished
from dashzoo.workfiles import Data, SearchRecord
from dashzoo_export.bundle import refuse_overwrite
from dashzoo_export.session import require_runtime
from dashzoo_search.errors import BadData
from dashzoo_search.pipeline import Init, Ship
from dashzoo_search.training import world
from dashzoo_search.training.progress import OnEpoch, quiet
from dashzoo_search.training.tune import require_optuna

__all__ = ["run"]


def run(
    data: Data,
    out: str | PathLike[str],
    *,
    force: bool = False,
    fresh: bool = False,
    checkpoint_every: float | None = None,
    search_epochs: int | None = None,
    epochs: int | None = None,
    init: Init | None = None,
    baseline: bool = True,
    ship: Ship = "best",
    tune: int = 0,
    on_epoch: OnEpoch = quiet,
    **options: Any,
) -> Path:
    """Search, train, export and describe: data in, a complete bundle out.

    Args:
        data: a task's name, an ``.npz`` file, or a mapping of arrays ``X_train, y_train, X_test,
            y_test`` (or ``X, y``), samples [n, c, l] or [n, c, h, w].
        out: folder of the bundle, new or empty.
        force: replace a bundle that is there, once the new one is complete.
        fresh, checkpoint_every: see `search`.
        search_epochs: see ``epochs`` of `search`.
        epochs, init, baseline, ship: see `train`.
        tune: trials of `tune` for each network; 0 for none.
        on_epoch: told after every epoch.
        options: further options of `search`, ``device`` and ``precision`` among them.

    Returns:
        ``out``.

    Raises:
        DashzooError: in one sentence; what was done is kept in ``out.partial``, and the same
            call goes on from there.
    """
    require_runtime()  # now, rather than after the training
    if tune:
        require_optuna()
    target = Path(out)

    def check() -> None:
        tidy(target)
        refuse_overwrite(target, force=force or is_being_placed(target))

    world.by_first(check)
    plan = plan_search(data, target, epochs=search_epochs, **options)
    if tune and plan.options.method == "xd":
        raise BadData("Only searched kernels are tuned; leave --tune or --operator xd out")
    training = TrainOptions(epochs=epochs, init=init, baseline=baseline, ship=ship)
    identity = {**plan.identity("run"), "training": training.to_json()}
    if tune:
        identity["tune"] = tune
    with unfinished(target, identity, fresh=fresh, every=checkpoint_every) as work:
        if not work.placing:
            search_into(work.folder, plan, work.journal, on_epoch)
            prepare = partial(
                plan_training,
                work.folder,
                options=training,
                device=plan.device,
                threads=options.get("threads"),
                trust=(plan.said.loss, plan.said.metric),
            )
            record = SearchRecord.read(work.folder)
            if tune and not record.tuned:
                tune_into(
                    work.folder, prepare(record), trials=tune, storage=None, on_epoch=on_epoch
                )
                record = SearchRecord.read(work.folder)
            prepared = prepare(record)
            train_into(work.folder, prepared, work.journal, on_epoch)
            world.by_first(lambda: _describe(work.folder))
        world.by_first(lambda: work.place(target, force=force))
    return target


def _describe(folder: Path) -> None:
    export(folder)
    card(folder)
