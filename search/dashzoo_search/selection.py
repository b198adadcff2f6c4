"""The final choice: do the searched kernels, or the default ones, make the better network?

A search on few samples can follow the training loss into kernels that generalise worse than the
backbone's own, so what is shipped is decided on data neither network was fitted to: on the
validation split where it holds at least `ENOUGH` samples, else by cross-validation over train and
validation together, from scratch for both, with no epoch selected. Test data is not read here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from dashzoo_search.tasks.splits import folds
from dashzoo_search.tasks.task import Split, Task
from dashzoo_search.training.loop import fit
from dashzoo_search.training.metrics import Score, evaluate
from dashzoo_search.training.progress import OnEpoch, Progress
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import Stopwatch, seed_everything

__all__ = ["ENOUGH", "Build", "Selection", "cross_validate", "select"]

ENOUGH = 100
FOLDS = 3

Build = Callable[[Split], nn.Module]
"""From the split it will be trained on to a fresh network, normalised by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which network is shipped, and why.

    Attributes:
        shipped: name of the most accurate candidate; of equally accurate ones, that of lower loss.
        how: ``"validation"`` or ``"3-fold cross-validation"``.
        samples: how many the scores are over.
        scores: of each candidate.
        seconds, cpu_seconds: what the decision took.
    """

    shipped: str
    how: str
    samples: int
    scores: Mapping[str, Score]
    seconds: float
    cpu_seconds: float

    def to_json(self) -> dict[str, Any]:
        """A plain dict, as results.json has it."""
        return asdict(self)


def select(
    task: Task,
    builds: Mapping[str, Build],
    validated: Mapping[str, Score],
    recipe: Recipe,
    *,
    seed: int,
    on_epoch: OnEpoch,
) -> Selection:
    """Choose among candidates.

    Args:
        task: its train and val splits are used.
        builds: makes a fresh network of each candidate.
        validated: score of each trained candidate on the validation split.
        recipe: of the training; cross-validation takes half its epochs.
        seed: cuts the folds, initialises and shuffles, alike for every candidate.
        on_epoch: told after every epoch.

    Raises:
        TrainingFailed: a candidate diverged.
    """
    watch = Stopwatch()
    if len(task.val) >= ENOUGH:
        how, samples, scores = "validation", len(task.val), dict(validated)
    else:
        pool = Split(
            np.concatenate([task.train.X, task.val.X]), np.concatenate([task.train.y, task.val.y])
        )
        how, samples = f"{FOLDS}-fold cross-validation", len(pool)
        shorter = replace(recipe, epochs=max(1, recipe.epochs // 2))
        scores = cross_validate(pool, builds, shorter, seed=seed, on_epoch=on_epoch)
    shipped = next(iter(scores))
    for name, score in scores.items():
        if score.better_than(scores[shipped]):
            shipped = name
    return Selection(shipped=shipped, how=how, samples=samples, scores=scores, **watch.to_json())


def cross_validate(
    pool: Split,
    builds: Mapping[str, Build],
    recipe: Recipe,
    *,
    seed: int,
    on_epoch: OnEpoch,
) -> dict[str, Score]:
    """Score of each candidate over ``pool``, every sample judged by a network that never saw it.

    Each network is scored as its last epoch left it, so that none is chosen on what judges it.
    """
    parts = [part for part in folds(pool.y, FOLDS, seed=seed) if len(part)]
    told: dict[str, list[tuple[Score, int]]] = {name: [] for name in builds}
    epochs = len(parts) * len(builds) * recipe.epochs
    done = 0

    def tell(progress: Progress) -> None:
        nonlocal done
        done += 1
        on_epoch(replace(progress, stage="final choice", epoch=done, epochs=epochs))

    for held in parts:
        rest = pool.take(np.setdiff1d(np.arange(len(pool)), held))
        judge = pool.take(held)
        for name, build in builds.items():
            generator = seed_everything(seed)
            net = build(rest)
            fit(net, rest, judge, recipe, generator=generator, on_epoch=tell, keep="last")
            told[name].append((evaluate(net, judge), len(judge)))
    return {name: _pooled(scores) for name, scores in told.items()}


def _pooled(scores: list[tuple[Score, int]]) -> Score:
    total = sum(n for _, n in scores)
    return Score(
        sum(score.accuracy * n for score, n in scores) / total,
        sum(score.loss * n for score, n in scores) / total,
    )
