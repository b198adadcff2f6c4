"""The final choice: do the searched kernels, or the default ones, make the better network?

A search on few samples can follow the training loss into kernels that generalise worse than the
backbone's own, so what is shipped is decided on data neither network was fitted to: on the
validation split where it holds at least `ENOUGH` samples, else by cross-validation over train and
validation together, from scratch for both, with no epoch selected. Few samples tell little: there
the default kernels are only left for a score no worse and a loss that is lower by more than its
standard error, the difference being taken sample by sample. Test data is not read here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dashzoo_search.tasks.task import Split, Task
from dashzoo_search.training.architecture import Architect
from dashzoo_search.training.loop import fit
from dashzoo_search.training.metrics import Score, split_outputs
from dashzoo_search.training.objective import CLASSIFY, Objective
from dashzoo_search.training.progress import OnEpoch, as_one
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import Stopwatch, seed_everything

__all__ = ["ENOUGH", "TRIED", "Build", "Choosing", "Judged", "Selection", "cross_validate"]

ENOUGH = 100
FOLDS = 3
TRIED = 4  # what part of a training it takes to try a proposal out

Build = Callable[[Split], nn.Module]
"""From the split it will be trained on to a fresh network, normalised by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which network is shipped, and why.

    Attributes:
        shipped: ``"searched"`` or ``"default"``: that of the better score, of equally good ones
            that of lower loss; cross-validated, the former must be better beyond noise.
        how: ``"validation"``, ``"3-fold cross-validation"``, or ``"the search itself"``, which
            kept the backbone's own kernels.
        samples: how many the scores are over.
        scores: of those two.
        gain, error: by how much the searched kernels' loss was lower, a sample, and the standard
            error of that; None where it was not cross-validated.
        proposal: which of the search's proposals ``searched`` is: ``"searched"`` is what the search
            ended in; for others see `Found.others`.
        proposals: score of each of them that was asked for one; where there were several and
            validation decides, those of the best two after a short training each.
        seconds, cpu_seconds: what the decision took.
    """

    shipped: str
    how: str
    samples: int
    scores: Mapping[str, Score]
    gain: float | None
    error: float | None
    proposal: str
    proposals: Mapping[str, Score]
    seconds: float
    cpu_seconds: float

    def to_json(self) -> dict[str, Any]:
        """A plain dict, as results.json has it."""
        told = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        for name in ("scores", "proposals"):
            told[name] = {which: score.to_json() for which, score in told[name].items()}
        return told


class Choosing:
    """A choice among candidates, by validation or by cross-validation.

    Args:
        task: its train and val splits are used.
        recipe: of the training.
        objective: what they are trained on and chosen by.
        recipes: of candidates that have one of their own, by name. Cross-validation takes half of
            the epochs of each, so that those that will be trained for longer are judged so.
        architect: steps the transforms of those that are XD-operations.
        seed: cuts the folds, initialises and shuffles, alike for every candidate.
        on_epoch: told after every epoch.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        *,
        objective: Objective = CLASSIFY,
        recipes: Mapping[str, Recipe] | None = None,
        architect: Architect | None = None,
        seed: int,
        on_epoch: OnEpoch,
    ) -> None:
        self._objective, self._recipes = objective, dict(recipes or {})
        self._architect = architect
        self._task, self._recipe, self._seed, self._on_epoch = task, recipe, seed, on_epoch
        self._scores: dict[str, Score] = {}
        self._losses: dict[str, NDArray[np.float64]] = {}
        self._tried: dict[str, Score] = {}
        self._took = {"seconds": 0.0, "cpu_seconds": 0.0}
        self.by_validation = len(task.val) >= ENOUGH

    def cross_validate(self, builds: Mapping[str, Build]) -> None:
        """Score candidates over train and validation together, in networks that are thrown away.

        Raises:
            TrainingFailed: a candidate diverged.
        """
        watch = Stopwatch()
        pool = self._task.train.join(self._task.val)
        whole = {name: self._recipes.get(name, self._recipe) for name in builds}
        shorter = {
            name: replace(recipe, epochs=max(1, recipe.epochs // 2))
            for name, recipe in whole.items()
        }
        judged = cross_validate(
            pool,
            builds,
            shorter,
            objective=self._objective,
            architect=self._architect,
            seed=self._seed,
            on_epoch=self._on_epoch,
        )
        self._scores = {name: each.score for name, each in judged.items()}
        self._losses = {name: each.losses for name, each in judged.items()}
        self._took = watch.to_json()

    def note_trials(self, scores: Mapping[str, Score]) -> None:
        """Take what the search's proposals scored after a short training each."""
        self._tried = dict(scores)

    def note_validation(self, scores: Mapping[str, Score]) -> None:
        """Take the trained candidates' scores on the validation split, if they are to decide."""
        if not self._scores:
            self._scores = dict(scores)

    def best_of(self, names: Iterable[str]) -> str:
        """The first of ``names`` that no later one is clearly better than, see `prefers`."""
        first, *others = names
        for name in others:
            if self.prefers(name, first):
                first = name
        return first

    def prefers(self, name: str, other: str) -> bool:
        """Whether the score of ``name`` is better, cross-validated its loss too, beyond noise."""
        if not self._scores[name].better_than(self._scores[other]):
            return False
        if not self._losses:
            return True
        gain, error = self._gain(name, other)
        return gain > error

    def _gain(self, name: str, other: str) -> tuple[float, float]:
        gaps = self._losses[other] - self._losses[name]
        return float(gaps.mean()), float(gaps.std()) / math.sqrt(len(gaps))

    def between(self, proposal: str, default: str) -> Selection:
        """Choose between the search's best proposal and the default kernels."""
        better = not self._scores[default].better_than(self._scores[proposal])
        gain = error = None
        if self._losses:
            gain, error = self._gain(proposal, default)
            better = better and gain > error
        return self._selection(
            shipped="searched" if better else "default",
            gain=gain,
            error=error,
            how="validation" if self.by_validation else f"{FOLDS}-fold cross-validation",
            samples=self._judged_on(),
            proposal=proposal,
        )

    def kept(self) -> Selection:
        """There was nothing to choose: the search kept the backbone's own kernels."""
        self._scores["searched"] = self._scores["default"]
        return self._selection(
            shipped="default",
            gain=None,
            error=None,
            how="the search itself",
            samples=self._judged_on() if self._losses else len(self._task.val),
            proposal="searched",
        )

    def _judged_on(self) -> int:
        return len(self._task.val) + (0 if self.by_validation else len(self._task.train))

    def _selection(
        self,
        *,
        shipped: str,
        gain: float | None,
        error: float | None,
        how: str,
        samples: int,
        proposal: str,
    ) -> Selection:
        scores = self._scores
        return Selection(
            shipped=shipped,
            gain=gain,
            error=error,
            how=how,
            samples=samples,
            scores={"searched": scores[proposal], "default": scores["default"]},
            proposal=proposal,
            proposals=self._tried or {n: score for n, score in scores.items() if n != "default"},
            **self._took,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A candidate, cross-validated.

    Attributes:
        score: over all samples.
        losses: of each sample, [n], in the same order for all candidates.
    """

    score: Score
    losses: NDArray[np.float64]


def cross_validate(
    pool: Split,
    builds: Mapping[str, Build],
    recipe: Recipe | Mapping[str, Recipe],
    *,
    objective: Objective = CLASSIFY,
    architect: Architect | None = None,
    seed: int,
    on_epoch: OnEpoch,
) -> dict[str, Judged]:
    """Score each candidate over ``pool``, every sample judged by a network that never saw it.

    Each network is scored as its last epoch left it, so that none is chosen on what judges it.
    """
    parts = [part for part in pool.folds(FOLDS, seed=seed) if len(part)]
    outputs: dict[str, list[Tensor]] = {name: [] for name in builds}
    recipes = dict.fromkeys(builds, recipe) if isinstance(recipe, Recipe) else recipe
    epochs = len(parts) * sum(recipes[name].epochs for name in builds)
    tell = as_one(on_epoch, "final choice", epochs)
    for held in parts:
        rest = pool.take(np.setdiff1d(np.arange(len(pool)), held))
        judge = pool.take(held)
        for name, build in builds.items():
            generator = seed_everything(seed)
            net = build(rest)
            fit(
                net,
                rest,
                judge,
                recipes[name],
                objective=objective,
                generator=generator,
                on_epoch=tell,
                keep="last",
                architect=architect,
            )
            outputs[name].append(split_outputs(net, judge))
    truth = pool.targets(np.concatenate(parts))
    told = {name: torch.cat(each).double().cpu() for name, each in outputs.items()}
    return {
        name: Judged(score=objective.score(each, truth), losses=objective.loss(each, truth).numpy())
        for name, each in told.items()
    }
