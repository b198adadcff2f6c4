"""All steps in one go, in a hidden folder that takes its final name at the end."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from dashzoo.steps.card import card
from dashzoo.steps.export import export
from dashzoo.steps.search import search
from dashzoo.steps.train import train
from dashzoo.workfiles import Data
from dashzoo_export.bundle import new_folder
from dashzoo_export.session import require_runtime
from dashzoo_search.pipeline import Init, Ship
from dashzoo_search.training.progress import OnEpoch, quiet

__all__ = ["run"]


def run(
    data: Data,
    out: str | PathLike[str],
    *,
    force: bool = False,
    search_epochs: int | None = None,
    epochs: int | None = None,
    init: Init = "scratch",
    baseline: bool = True,
    ship: Ship = "best",
    device: str = "auto",
    threads: int | None = None,
    on_epoch: OnEpoch = quiet,
    **options: Any,
) -> Path:
    """Search, train, export and describe: data in, a complete bundle out.

    Args:
        data: a task's name, an ``.npz`` file, or a mapping of arrays ``X_train, y_train, X_test,
            y_test`` (or ``X, y``), samples [n, c, l] or [n, c, h, w].
        out: folder of the bundle, new or empty.
        force: replace a bundle that is there, once the new one is complete.
        search_epochs: see ``epochs`` of `search`.
        epochs, init, baseline, ship: see `train`.
        device, threads: see `search`.
        on_epoch: told after every epoch.
        options: further options of `search`.

    Returns:
        ``out``.

    Raises:
        DashzooError: in one sentence; nothing is left behind.
    """
    require_runtime()  # now, rather than after the training
    target = Path(out)
    with new_folder(target, force=force) as draft:
        name = target.resolve().name
        machine: dict[str, Any] = {"device": device, "threads": threads, "on_epoch": on_epoch}
        search(data, draft, name=name, epochs=search_epochs, **machine, **options)
        train(draft, epochs=epochs, init=init, baseline=baseline, ship=ship, **machine)
        export(draft)
        card(draft)
    return target
