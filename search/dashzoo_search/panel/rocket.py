"""MultiROCKET-Hydra, the rival for sequences that has no epochs: random kernels, then a ridge.

Dempster, Schmidt and Webb, "Hydra: competing convolutional kernels for fast and accurate time
series classification" (2023), as aeon has it (extra ``tasks``). It is fitted to what the networks
are fitted to: train, and where validation is small, train and validation in the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.panel.round import cost_of
from dashzoo_search.panel.row import Row
from dashzoo_search.selection import ENOUGH
from dashzoo_search.training.runtime import Stopwatch

if TYPE_CHECKING:
    from dashzoo_search.panel.round import Round
    from dashzoo_search.tasks.task import Split

__all__ = ["rocket"]


def rocket(round_: Round) -> list[Row]:
    """Fit it, one thread, and score it; there is no loss to tell.

    Raises:
        MissingRuntime: aeon is not installed.
        BadData: it refuses these samples.
    """
    task, metric = round_.task, round_.objective.metric

    def fitted(split: Split) -> Any:
        return _classifier(round_.seed).fit(np.asarray(split.X[:]), np.asarray(split.y[:]))

    def score(classifier: Any, split: Split) -> dict[str, Any]:
        labels = classifier.predict(np.asarray(split.X[:]))
        outputs = np.eye(task.outputs)[labels.astype(np.int64)]
        value = metric(outputs, np.asarray(split.y[:]))
        return {"metric": metric.name, "value": value, "loss": None}

    noise = np.random.default_rng(0).standard_normal((4, *task.train.X.shape[1:]))
    try:
        # aeon compiles on first use, which takes longer than many a fit, and is no part of it.
        _classifier(0).fit(noise.astype(np.float32), np.array([0, 1, 0, 1]))
        watch = Stopwatch()
        classifier = fitted(task.train)
        val = score(classifier, task.val)
        if len(task.val) < ENOUGH:
            classifier = fitted(task.train.join(task.val))
        train = cost_of(watch, 0)
        test = score(classifier, task.test.open())
    except (ValueError, IndexError, RuntimeError) as error:
        raise BadData(
            f"MultiROCKET-Hydra refuses these samples ({error}); leave rocket out"
        ) from error
    told = {"val": val, "test": test, "parameters": None, "macs": None}
    return [round_.row("rocket", told, train=train, details={"classifier": "MultiROCKET-Hydra"})]


def _classifier(seed: int) -> Any:
    try:
        from aeon.classification.convolution_based import MultiRocketHydraClassifier
    except ImportError as error:
        raise MissingRuntime("aeon", "tasks") from error
    return MultiRocketHydraClassifier(random_state=seed, n_jobs=1)
