"""Step two: ``search/`` in, config.json, model.safetensors and results.json out."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from dashzoo.provenance import provenance
from dashzoo.steps.before import require_writable
from dashzoo.steps.plan import TrainOptions, TrainPlan, plan_training
from dashzoo.steps.unfinished import is_being_placed, tidy, unfinished
from dashzoo.workfiles import SearchRecord
from dashzoo_export.bundle import (
    CONFIG,
    README,
    RESULTS,
    WEIGHTS,
    invalidate,
    read_json,
    write_json,
)
from dashzoo_export.config import network_config
from dashzoo_export.weights import save_weights
from dashzoo_search.candidates import starts
from dashzoo_search.errors import BundleExists
from dashzoo_search.pipeline import TrainResult, run_training
from dashzoo_search.search import epochs_spent
from dashzoo_search.supernet import Supernet
from dashzoo_search.training import world
from dashzoo_search.training.curves import Curves
from dashzoo_search.training.progress import OnEpoch, quiet
from dashzoo_search.training.resume import Journal
from dashzoo_search.training.runtime import resolve_device

__all__ = ["train", "train_into"]

STALE = (CONFIG, WEIGHTS, RESULTS, "onnx", "figures", README)

_RESULTS_VERSION = 1


def train_into(
    folder: Path, plan: TrainPlan, journal: Journal, on_epoch: OnEpoch, results: Path | None = None
) -> dict[str, Any]:
    """Do the training; writes config.json and model.safetensors, then results.json.

    Args:
        folder: where the search is.
        plan: see `plan_training`.
        journal: keeps the checkpoints.
        on_epoch: told after every epoch.
        results: where results.json goes instead.

    Raises:
        TrainingFailed: training diverged or ran out of memory.
        BadBundle: a checkpoint is damaged.
    """
    record, task, options = plan.record, plan.task, plan.options
    # As many as the searched kernels took in all.
    assert options.init is not None  # plan_training has decided it
    spent = epochs_spent(record.options) + len(starts(options.init)) * plan.recipe.epochs
    curves = Curves(on_epoch)
    with journal.room("train").active():
        done = run_training(
            task,
            record.build_plan(),
            plan.recipe,
            spec=record.kernel_spec(),
            others=record.other_specs(),
            supernet=_supernet(folder, plan),
            objective=plan.objective,
            init=options.init,
            baseline_epochs=spent if options.baseline else None,
            # Default kernels that break the budget are trained to compare, never shipped.
            ship=options.ship if record.tradeoff.get("default_fits", True) else "searched",
            settings=record.settings(),
            architect=record.architect(),
            seed=record.seed,
            device=plan.device,
            on_epoch=curves,
        )
    told = _results(plan, done)
    told["curves"] = [*record.curves, *curves.to_json()]
    told["resumed"] = {"search": record.resumed, "command": journal.resumed}
    told["provenance"] = provenance(plan.device)
    net = done.network.cpu()
    config = network_config(
        net,
        label_names=task.classes,
        size=task.size,
        provenance={
            "task": task.name,
            "kind": task.kind,
            "data_sha256": task.sha256,
            "seed": record.seed,
        },
    )

    def write() -> None:
        invalidate(folder, *STALE)
        save_weights(net, folder / WEIGHTS)
        write_json(folder / CONFIG, config)
        write_json(results or folder / RESULTS, told)

    world.by_first(write)
    return told


def train(
    folder: str | PathLike[str],
    *,
    device: str = "auto",
    threads: int | None = None,
    force: bool = False,
    fresh: bool = False,
    checkpoint_every: float | None = None,
    trust: Sequence[str] = (),
    on_epoch: OnEpoch = quiet,
    **options: Any,
) -> dict[str, Any]:
    """Train the network a search found; writes config.json, model.safetensors, results.json.

    Validation picks the epoch; test is read once, at the end. A training that was stopped goes on
    where it was, when it is called again.

    Args:
        folder: where `search` was.
        device, threads, fresh, checkpoint_every: see `search`.
        force: replace a network that is there.
        trust: dotted paths of the loss or metric the search was told of, if they are functions of
            the user's own; the folder alone cannot make them run.
        on_epoch: told after every epoch.
        options: by name,

            - ``epochs``: None takes about 1500 steps' worth,
            - ``init``: start from ``"scratch"``, as DASH does, from the ``"searched"`` weights,
              folded, or ``"both"``: one training from each, validation choosing; None takes
              scratch for kernels, the search's weights for XD-operations,
            - ``baseline``: also train the backbone with its default kernels (default), for as
              many epochs as search and training take together,
            - ``ship``: ``"best"`` (default) ships the default kernels where the searched ones
              lose on validation (or in cross-validation, where that is small); ``"searched"``
              ships those found,
            - ``precision``: None takes that of the search,
            - ``pick``: number of a spec on the search's front to train instead of the one found.

    Returns:
        What results.json holds.

    Raises:
        DashzooError: in one sentence.
    """
    folder = Path(folder)
    record = SearchRecord.read(folder)

    def check() -> None:
        tidy(folder)
        if (folder / RESULTS).exists() and not force and not is_being_placed(folder):
            raise BundleExists(
                f"{folder} already holds a trained network; add --force to replace it"
            )

    world.by_first(check)
    require_writable(folder)
    plan = plan_training(
        folder,
        record,
        TrainOptions(**options),
        device=resolve_device(device),
        threads=threads,
        trust=trust,
    )
    with unfinished(folder, plan.identity(), fresh=fresh, every=checkpoint_every) as work:
        draft = work.folder / RESULTS
        if not work.placing:
            train_into(folder, plan, work.journal, on_epoch, results=draft)
            world.by_first(work.mark_done)
        # Its results come last: they say that the rest is whole.
        world.by_first(lambda: draft.replace(folder / RESULTS) if draft.exists() else None)
    return read_json(folder / RESULTS)


def _supernet(folder: Path, plan: TrainPlan) -> Supernet | None:
    """The trained supernet, if it is still there."""
    if not plan.record.has_supernet(folder):
        return None
    return plan.record.supernet(folder, plan.task).to(plan.device)


def _results(plan: TrainPlan, done: TrainResult) -> dict[str, Any]:
    record, task = plan.record, plan.task
    options = {k: v for k, v in record.options.items() if k != "recipe"}
    return {
        "schema_version": _RESULTS_VERSION,
        "name": record.name,
        "task": task.describe(),
        "data_options": record.data_options,
        "backbone": record.network,
        "space": None if record.architect() else record.space,
        "layers": list(done.layers),
        "kept_layers": [
            {"name": layer, "reason": record.kept.get(layer, reason)}
            for layer, reason in done.kept.items()
        ],
        "objective": plan.objective.to_json(),
        "metrics": {"default": None, **done.metrics},
        "folded": done.folded,
        "selection": done.selection.to_json() if done.selection else None,
        "test_reads": done.test_reads,
        "breakdown": {"network": done.shipped, **done.breakdown},
        "windows": {name: list(window) for name, window in done.windows.items()},
        "search": {
            "epochs": epochs_spent(record.options),
            "seconds": record.seconds,
            "cpu_seconds": record.cpu_seconds,
            **options,
            "scouted": record.scouted,
            "started": record.started,
            "lost": record.lost,
            "alpha": record.history,
            "tradeoff": {k: v for k, v in record.tradeoff.items() if k != "evidence"},
            "pick": plan.options.pick,
        },
        "recipe": {**plan.recipe.to_json(), "init": plan.options.init},
        "tuned": record.tuned or None,
        "seed": record.seed,
        "published": [dict(row) for row in task.published],
    }
