"""Between search and training: the hyperparameters of both networks, found on the same budget."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from dashzoo.steps.before import require_writable
from dashzoo.steps.plan import TrainOptions, TrainPlan, plan_training
from dashzoo.workfiles import SearchRecord
from dashzoo_export.bundle import WORK
from dashzoo_export.lock import locked
from dashzoo_search.errors import BadBackbone, BadData
from dashzoo_search.plan import Network, build_network, layer_table
from dashzoo_search.selection import ENOUGH, Build
from dashzoo_search.spec import KernelSpec
from dashzoo_search.tasks import Task
from dashzoo_search.tasks.task import Split
from dashzoo_search.training import world
from dashzoo_search.training.progress import OnEpoch, quiet
from dashzoo_search.training.runtime import Stopwatch, resolve_device
from dashzoo_search.training.tune import Setting, require_optuna
from dashzoo_search.training.tune import tune as tune_candidate

__all__ = ["tune", "tune_into"]

_STUDY = f"{WORK}/tune.db"
_LOCK = f"{WORK}/tune.lock"


def tune_into(
    folder: Path,
    plan: TrainPlan,
    *,
    trials: int,
    storage: str | None,
    on_epoch: OnEpoch,
) -> dict[str, Any]:
    """Do the tuning; writes what it found into search.json.

    Trials that an earlier call finished are not done again; where it finished all, nothing is.

    Args:
        folder: where the search is.
        plan: of the training that is to come, see `plan_training`.
        trials: of each candidate.
        storage: URL of a database that other workers share; None keeps one in ``folder``.
        on_epoch: told after every trial.

    Returns:
        What search.json says of it.

    Raises:
        MissingRuntime: Optuna is not installed.
        BadData: no trials, a storage that cannot be opened, or several processes.
        BundleExists: another tuning is at work in this folder, without ``storage``.
        TrainingFailed: no trial came to its end.
    """
    require_optuna()
    if world.size() > 1:
        raise BadData(
            "Tuning runs in one process; start 'dashzoo tune' several times with one --storage"
        )
    if plan.record.architect() is not None:
        raise BadData("Only searched kernels are tuned; go on with dashzoo train")
    record, task, network = plan.record, plan.task, plan.record.build_plan()
    _, _, own = layer_table(network, task, record.kernel_spec())
    specs = {"searched": record.kernel_spec()}
    if plan.options.baseline:
        specs["default"] = own
    if specs["searched"] == own:  # one network, and so one study
        specs = {"default": own}
    drop_rate = _drop_rate(network, task)
    watch, found = Stopwatch(), {}
    with ExitStack() as stack:
        if storage is None:
            stack.enter_context(locked(folder / _LOCK))
        for name, spec in specs.items():
            found[name] = tune_candidate(
                task,
                _builds(network, task, spec, plan.device),
                plan.recipe,
                objective=plan.objective,
                # A study of other kernels, data or epochs is another study.
                name=f"{name} {_print_of(plan, spec)}",
                title=name,
                trials=trials,
                seed=record.seed,
                storage=storage or f"sqlite:///{(folder / _STUDY).resolve()}",
                shared=storage is not None,
                drop_rate=drop_rate,
                on_epoch=on_epoch,
            ).to_json()
    if "searched" not in found:
        found["searched"] = found["default"]
    told = {
        "trials": trials,
        "epochs": plan.recipe.epochs,
        "how": "validation" if len(task.val) >= ENOUGH else "3-fold cross-validation",
        "shared": storage is not None,
        "candidates": found,
        **watch.to_json(),
    }
    replace(record, tuned=told).save(folder)
    return told


def tune(
    folder: str | PathLike[str],
    *,
    trials: int = 20,
    epochs: int | None = None,
    baseline: bool = True,
    storage: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    trust: Sequence[str] = (),
    on_epoch: OnEpoch = quiet,
) -> dict[str, Any]:
    """Tune learning rate, weight decay, momentum and dropout for the training after a search.

    Validation chooses, never test; the default kernels get as many trials as the searched ones. A
    tuning that was stopped goes on after its last whole trial, when it is called again.

    Args:
        folder: where `search` was.
        trials: for each of the two networks; the first is the recipe as it stands.
        epochs: of a trial; None takes those of the training. Cross-validation takes half.
        baseline: also tune the default kernels.
        storage: URL of a database, for several workers at a time; None keeps one in ``folder``.
        device, threads: see `search`.
        trust: see `train`.
        on_epoch: told after every trial.

    Returns:
        What search.json says of it.

    Raises:
        DashzooError: in one sentence.
    """
    folder = Path(folder)
    record = SearchRecord.read(folder)
    require_writable(folder)
    options = TrainOptions(epochs=epochs, baseline=baseline)
    plan = plan_training(
        folder, record, options, device=resolve_device(device), threads=threads, trust=trust
    )
    return tune_into(folder, plan, trials=trials, storage=storage, on_epoch=on_epoch)


def _builds(
    network: Network, task: Task, spec: KernelSpec, device: torch.device
) -> Callable[[Setting], Build]:
    def with_setting(setting: Setting) -> Build:
        tuned = replace(network, args=setting.arguments(network.args))

        def build(train: Split) -> torch.nn.Module:
            net = build_network(tuned, task, spec=spec, device=device)
            net.fit_norms(train.X, train.y)
            return net

        return build

    return with_setting


def _drop_rate(network: Network, task: Task) -> float | None:
    """The dropout to start from; None where the backbone takes none."""
    given = network.args.get("drop_rate", 0.0)
    try:
        net = build_network(replace(network, args={**network.args, "drop_rate": given}), task)
    except BadBackbone:
        return None
    return float(given) if hasattr(net.backbone, "drop_rate") else None


def _print_of(plan: TrainPlan, spec: KernelSpec) -> str:
    """What decides the trials of a candidate, as a short hash."""
    decides = {
        "data": plan.task.sha256,
        "network": plan.record.network,
        "spec": spec.to_json(),
        "recipe": plan.recipe.to_json(),
        "objective": plan.objective.to_json(),
        "seed": plan.record.seed,
        "device": plan.device.type,
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]
