"""Step two: ``search/`` in, config.json, model.safetensors and results.json out."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from dashzoo.provenance import provenance
from dashzoo.steps.before import require_writable
from dashzoo.workfiles import SearchRecord
from dashzoo_export.bundle import CONFIG, README, RESULTS, WEIGHTS, invalidate, write_json
from dashzoo_export.config import network_config
from dashzoo_export.weights import save_weights
from dashzoo_search.errors import BundleExists
from dashzoo_search.pipeline import Init, Ship, TrainResult, run_training
from dashzoo_search.plan import batch_macs
from dashzoo_search.tasks import Task
from dashzoo_search.training.progress import OnEpoch, quiet
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import limit_threads, resolve_device

__all__ = ["STALE", "train"]

STALE = (CONFIG, WEIGHTS, RESULTS, "onnx", "figures", README)

_RESULTS_VERSION = 1


def train(
    folder: str | PathLike[str],
    *,
    epochs: int | None = None,
    init: Init = "scratch",
    baseline: bool = True,
    ship: Ship = "best",
    device: str = "auto",
    threads: int | None = None,
    force: bool = False,
    on_epoch: OnEpoch = quiet,
) -> dict[str, Any]:
    """Train the network a search found; writes config.json, model.safetensors, results.json.

    Validation picks the epoch; test is read once, at the end.

    Args:
        folder: where `search` was.
        epochs: None takes about 1500 steps' worth.
        init: start from ``"scratch"``, as DASH does, or from the ``"searched"`` weights, folded.
        baseline: also train the backbone with its default kernels, for as many epochs as search
            and training take together.
        ship: ``"best"`` ships the default kernels where the searched ones lose on validation (or
            in cross-validation, where that is small); ``"searched"`` ships those found.
        device, threads: see `search`.
        force: replace a network that is there.
        on_epoch: told after every epoch.

    Returns:
        What results.json holds.

    Raises:
        DashzooError: in one sentence.
    """
    folder = Path(folder)
    record = SearchRecord.read(folder)
    if (folder / RESULTS).exists() and not force:
        raise BundleExists(f"{folder} already holds a trained network; add --force to replace it")
    require_writable(folder)
    where = resolve_device(device)
    task = record.task(folder)
    spec = record.kernel_spec()
    search_recipe = record.recipe()
    longest = Recipe.for_samples(len(task.train), batch_size=search_recipe.batch_size).epochs
    recipe = replace(search_recipe, epochs=epochs or longest)
    plan = record.build_plan()
    limit_threads(threads, work=batch_macs(plan, task, recipe.batch_size))
    done = run_training(
        task,
        plan,
        recipe,
        spec=spec,
        supernet=record.supernet(folder, task).to(where) if init == "searched" else None,
        baseline_epochs=recipe.epochs + search_recipe.epochs if baseline else None,
        ship=ship,
        seed=record.seed,
        device=where,
        on_epoch=on_epoch,
    )
    results = _results(record, task, recipe, init, done)
    results["provenance"] = provenance(where)
    net = done.network.cpu()
    config = network_config(
        net,
        label_names=task.classes,
        size=task.size,
        provenance={"task": task.name, "data_sha256": task.sha256, "seed": record.seed},
    )
    invalidate(folder, *STALE)
    save_weights(net, folder / WEIGHTS)
    write_json(folder / CONFIG, config)
    write_json(folder / RESULTS, results)
    return results


def _results(
    record: SearchRecord, task: Task, recipe: Recipe, init: Init, done: TrainResult
) -> dict[str, Any]:
    options = {k: v for k, v in record.options.items() if k != "recipe"}
    return {
        "schema_version": _RESULTS_VERSION,
        "name": record.name,
        "task": task.describe(),
        "backbone": record.network,
        "space": record.space,
        "layers": list(done.layers),
        "kept_layers": [
            {"name": layer, "reason": record.kept.get(layer, reason)}
            for layer, reason in done.kept.items()
        ],
        "metrics": {"default": None, **done.metrics},
        "selection": done.selection.to_json() if done.selection else None,
        "test_reads": done.test_reads,
        "search": {
            "epochs": record.options["recipe"]["epochs"],
            "seconds": record.seconds,
            "cpu_seconds": record.cpu_seconds,
            **options,
            "alpha": record.history,
        },
        "recipe": {**recipe.to_json(), "init": init},
        "seed": record.seed,
        "published": [dict(row) for row in task.published],
    }
