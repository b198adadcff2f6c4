"""Hyperparameters: learning rate, weight decay, momentum and dropout, by held-out data.

Every candidate gets a study of its own with as many trials, and the first trial of each is the
recipe as it stands, so tuning never ends in something validation likes less. A trial is scored as
`selection` scores: on the validation split where that is large enough, else by cross-validation
over train and validation, from scratch. Trials that fall behind the median are stopped early. Test
data is not read here. What wins was chosen for its score, so the score of the winner flatters it.

Optuna proposes (tree-structured Parzen estimator, Bergstra et al., NeurIPS 2011) and keeps the
study in any database it can reach, so a killed tuning goes on after its last whole trial, and
several workers can share one. With one worker the winner depends on the seed alone: each proposal
is drawn by a sampler seeded by the number of trials done.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dashzoo_search.errors import BadData, MissingRuntime, TrainingFailed
from dashzoo_search.measure import Measure
from dashzoo_search.selection import ENOUGH, Build, cross_validate
from dashzoo_search.tasks.task import Task
from dashzoo_search.training.loop import fit
from dashzoo_search.training.objective import CLASSIFY, Objective, Score
from dashzoo_search.training.progress import OnEpoch, Progress, measured
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import seed_everything
from dashzoo_search.training.setting import Setting

if TYPE_CHECKING:
    import optuna

__all__ = ["Setting", "Tuned", "require_optuna", "tune"]

STARTUP = 5  # trials before any is stopped early, or proposed by what others scored
TIE = 1e-4  # loss counts only between equally good values


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What tuning one candidate ended in.

    Attributes:
        setting: the winner.
        value: its score: what `Measure.error` makes of the metric, and `TIE` of its loss.
        trials: done in all; ``stopped`` of them early, ``failed`` of those by diverging.
        best_trial: number of the winner among them, from 0: the recipe as it stood.
    """

    setting: Setting
    value: float
    trials: int
    stopped: int
    failed: int
    best_trial: int

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


def require_optuna() -> None:
    """See that Optuna is installed.

    Raises:
        MissingRuntime: it is not.
    """
    try:
        import optuna  # noqa: F401  only whether it is there
    except ImportError as error:
        raise MissingRuntime("optuna", "tune") from error


def tune(
    task: Task,
    build: Callable[[Setting], Build],
    recipe: Recipe,
    *,
    objective: Objective = CLASSIFY,
    name: str,
    title: str = "",
    trials: int,
    seed: int,
    storage: str,
    shared: bool = False,
    drop_rate: float | None = None,
    on_epoch: OnEpoch,
) -> Tuned:
    """Tune one candidate.

    Args:
        task: its train and val splits are used.
        build: from a setting to what makes a fresh network, on its device.
        recipe: what to start from; epochs and batch size stay, cross-validation takes half.
        objective: what a network is trained on and scored by.
        name: of the study.
        title: of the candidate, for people; empty takes the name.
        trials: in all, those that are in the storage already among them.
        seed: of the proposals, folds, initialisation and shuffling, alike in every trial.
        storage: URL of a database, such as ``sqlite:///tune.db``.
        shared: whether other workers may be at work in it.
        drop_rate: dropout to start from; None where the backbone has none.
        on_epoch: told after every trial, with the least error so far.

    Raises:
        MissingRuntime: Optuna is not installed.
        BadData: the storage cannot be opened, or there are no trials.
        TrainingFailed: not one trial came to its end.
    """
    require_optuna()
    import optuna

    on_epoch = measured(on_epoch, objective.measure)
    if trials < 1:
        raise BadData(f"trials must be at least 1, not {trials}")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    large = len(task.val) >= ENOUGH
    work = recipe if large else replace(recipe, epochs=max(1, recipe.epochs // 2))
    steps = work.epochs * (1 if large else 3)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=steps // 3)
    try:
        study = optuna.create_study(
            storage=storage, study_name=name, load_if_exists=True, pruner=pruner
        )
    except Exception as error:  # whatever the database's driver raises
        raise BadData(
            f"The storage {storage} cannot be opened ({type(error).__name__}); give a URL such as "
            "sqlite:///tune.db, or leave --storage out"
        ) from error
    if not shared:
        for left in _trials(study, "RUNNING"):  # of a worker that was killed
            study.tell(left.number, state=optuna.trial.TrialState.FAIL)
    first = {"lr": recipe.lr, "weight_decay": recipe.weight_decay, "momentum": recipe.momentum}
    if drop_rate is not None:
        first["drop_rate"] = drop_rate
    while True:
        done, running = _trials(study, "COMPLETE", "PRUNED"), _trials(study, "RUNNING")
        if len(done) + len(running) >= trials:
            break
        number = len(done) + 1000 * len(running)
        study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=STARTUP, seed=seed_of(seed, number)
        )
        distributions = _distributions(first)
        if number == 0 and not _trials(study, "WAITING"):
            study.enqueue_trial(first)
        trial = study.ask(distributions)
        setting = _setting(trial.params)
        try:
            score = _score(
                task,
                build(setting),
                setting.recipe(work),
                objective,
                seed,
                _reporter(trial, objective.metric),
            )
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        except TrainingFailed:
            trial.report(objective.metric.worst_error, step=0)
            trial.set_user_attr("failed", True)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            trial.set_user_attr("value", score.value)
            study.tell(trial, _badness(score))
        whole = _trials(study, "COMPLETE")
        best = min(whole, key=_rank, default=None)
        least, value = math.nan, math.nan
        if best is not None and best.value is not None:
            least, value = best.value, best.user_attrs.get("value", math.nan)
        count = len(_trials(study, "COMPLETE", "PRUNED"))
        on_epoch(Progress(f"tune {title or name}", count, trials, least, value, single=False))
    return _winner(study, title or name)


def seed_of(seed: int, number: int) -> int:
    """A seed for the proposal of trial ``number``, unlike those of the others."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _distributions(first: Mapping[str, float]) -> dict[str, Any]:
    """Where to look: decades around the recipe's own numbers."""
    from optuna.distributions import FloatDistribution

    lr, decay = first["lr"], max(first["weight_decay"], 1e-5)
    found = {
        "lr": FloatDistribution(lr / 10, lr * 10, log=True),
        "weight_decay": FloatDistribution(
            min(decay / 100, first["weight_decay"]), decay * 10, log=first["weight_decay"] > 0
        ),
        "momentum": FloatDistribution(0.8, 0.98),
    }
    if "drop_rate" in first:
        found["drop_rate"] = FloatDistribution(0.0, 0.6)
    return found


def _setting(params: Mapping[str, Any]) -> Setting:
    return Setting(**{"drop_rate": None, **params})


def _badness(score: Score) -> float:
    """What a trial is told to lower."""
    error = score.metric.error(score.value)
    # Where values have no limits, no share of the loss is sure to be small beside them.
    tie = TIE * min(score.loss, 1e3) if score.metric.high is not None else 0.0
    return error + tie if math.isfinite(tie) else error


def _reporter(trial: optuna.Trial, metric: Measure) -> OnEpoch:
    import optuna

    def tell(progress: Progress) -> None:
        trial.report(metric.error(progress.value), step=progress.epoch)
        if progress.epoch < progress.epochs and trial.should_prune():
            raise optuna.TrialPruned

    return tell


def _score(
    task: Task,
    build: Build,
    recipe: Recipe,
    objective: Objective,
    seed: int,
    tell: OnEpoch,
) -> Score:
    if len(task.val) >= ENOUGH:
        generator = seed_everything(seed)
        net = build(task.train)
        return fit(
            net,
            task.train,
            task.val,
            recipe,
            objective=objective,
            generator=generator,
            on_epoch=tell,
        ).val
    pool = task.train.join(task.val)
    judged = cross_validate(
        pool, {"": build}, recipe, objective=objective, seed=seed, on_epoch=tell
    )
    return judged[""].score


def _trials(study: optuna.Study, *states: str) -> list[optuna.trial.FrozenTrial]:
    import optuna

    wanted = tuple(optuna.trial.TrialState[state] for state in states)
    return study.get_trials(deepcopy=False, states=wanted)


def _rank(trial: optuna.trial.FrozenTrial) -> tuple[float, int]:
    """The least value first, the earliest of equals."""
    return (trial.value if trial.value is not None else math.inf), trial.number


def _winner(study: optuna.Study, name: str) -> Tuned:
    whole, stopped = _trials(study, "COMPLETE"), _trials(study, "PRUNED")
    if not whole:
        raise TrainingFailed(f"No trial of the {name} kernels came to its end; lower --lr")
    best = min(whole, key=_rank)
    in_order = sorted(t.number for t in (*whole, *stopped))
    assert best.value is not None  # it is complete
    return Tuned(
        setting=_setting(best.params),
        value=best.value,
        trials=len(in_order),
        stopped=len(stopped),
        failed=sum(bool(t.user_attrs.get("failed")) for t in stopped),
        best_trial=in_order.index(best.number),
    )
