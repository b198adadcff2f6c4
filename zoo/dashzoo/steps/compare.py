"""The honest panel on disk: a task and options in, rows and ``panel.json`` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from dashzoo.provenance import provenance
from dashzoo.steps.search_plan import SearchPlan, plan_search
from dashzoo.workfiles import Data
from dashzoo_export.bundle import write_json
from dashzoo_search.errors import BadData
from dashzoo_search.panel.contestants import pick_contestants
from dashzoo_search.panel.round import Equal, Round
from dashzoo_search.panel.rounds import claim, play
from dashzoo_search.panel.statistics import summarise
from dashzoo_search.search import epochs_spent
from dashzoo_search.training.progress import OnEpoch, measured, quiet

__all__ = ["PANEL", "compare"]

PANEL = "panel.json"
VERSION = 1


def compare(
    data: Data,
    out: str | PathLike[str],
    *,
    seeds: int = 5,
    contestants: Sequence[str] | None = None,
    epochs: int | None = None,
    search_epochs: int | None = None,
    budget: int | None = None,
    equal: Equal = "total",
    draws: int = 3,
    on_epoch: OnEpoch = quiet,
    **options: Any,
) -> dict[str, Any]:
    """Train and score a searched network and its rivals on equal terms, over several seeds.

    Contestants that are finished are kept in ``out/rows`` and not run again; one that was stopped
    goes on where it was. So seeds and contestants can be added to a panel later.

    Args:
        data: a task's name or a file, see `run`.
        out: folder of the panel, new, empty, or that of a panel with these settings.
        seeds: how many, from 0.
        contestants: names; None takes all that fit the task, see `dashzoo_search.panel`.
        epochs: of one training; None takes about 1500 steps' worth.
        search_epochs: of our search, its scout not counted; None takes ``epochs``.
        budget: epochs in all for each contestant, to be shared out instead of ``epochs``.
        equal: ``"total"`` gives every contestant as many epochs in all, ``"training"`` every
            network as many, whatever its search took.
        draws: of random kernels.
        on_epoch: told after every epoch.
        options: further ones of `search`, but those of its method.

    Returns:
        What panel.json holds.

    Raises:
        DashzooError: in one sentence.
    """
    folder = Path(out)
    chosen = pick_contestants(contestants)
    if seeds < 1:
        raise BadData(f"seeds must be at least 1, not {seeds}")

    def plan(seed: int) -> SearchPlan:
        return plan_search(data, folder, seed=seed, name="panel", epochs=usual, **options)

    usual = search_epochs or epochs
    if budget is not None:
        if epochs is not None:
            raise BadData("--budget shares out all epochs; leave --epochs out, or --budget")
        # A scout, our search and two trainings: five times as many epochs as one.
        usual = search_epochs or max(1, budget // 5)
    first = plan(0)
    spent = epochs_spent(first.options.to_json())
    training = epochs or first.options.recipe.epochs
    if budget is not None:
        training = (budget - spent) // 2
        if training < 1:
            raise BadData(
                f"A budget of {budget} epochs leaves none to train after {spent} of search; give "
                f"--budget {spent + 2} or more"
            )

    def round_of(seed: int) -> Round:
        made = first if seed == 0 else plan(seed)
        return _round(made, training, equal, draws, seed, on_epoch)

    opening = round_of(0)
    settings = {
        "equal": equal,
        "epochs": {
            "search": opening.search_epochs,
            "training": training,
            "total": opening.total_epochs,
        },
        "draws": draws,
    }
    identity = first.identity("compare")
    for foreign in ("command", "seed", "name"):  # what rows of one panel may differ in, or say
        del identity[foreign]
    common = {"task": first.task.name, "objective": first.objective.to_json(), **identity}
    fingerprint = claim(folder, {**common, **settings})
    done = play(round_of, chosen, folder, seeds=seeds, fingerprint=fingerprint)
    scores: dict[str, dict[int, float]] = {}
    for row in done.rows:
        scores.setdefault(row.contestant, {})[row.seed] = row.test["value"]
    told = {
        "panel_version": VERSION,
        "task": first.task.describe(),
        "objective": first.objective.to_json(),
        "backbone": first.network.to_json(),
        "space": first.space.to_json(),
        "search": first.options.to_json(),
        "settings": settings,
        "rows": [row.to_json() for row in done.rows],
        "summary": [one.to_json() for one in summarise(scores, first.objective.measure)],
        "left_out": dict(done.left_out),
        "published": [dict(row) for row in first.task.published],
        "provenance": provenance(first.device),
    }
    write_json(folder / PANEL, told)
    return told


def _round(
    plan: SearchPlan, epochs: int, equal: Equal, draws: int, seed: int, on_epoch: OnEpoch
) -> Round:
    return Round(
        task=plan.task,
        network=plan.network,
        space=plan.space,
        recipe=replace(plan.options.recipe, epochs=epochs),
        options=plan.options,
        objective=plan.objective,
        equal=equal,
        draws=draws,
        seed=seed,
        device=plan.device,
        on_epoch=measured(on_epoch, plan.objective.measure),
    )
