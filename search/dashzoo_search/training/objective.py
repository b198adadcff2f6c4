"""What a network is trained on and judged by: a task's loss and metric, found by their names.

A name with a dot is the path of a function of the user's own, ``package.module:function`` or
``package.module.function``. To import it is to run it, so it is imported only where the caller
says that this user gave it: a path that merely stands in a file is refused.

- A loss of one's own takes tensors, outputs [n, outputs, …] and targets, and gives a tensor [n].
- A metric of one's own takes the same as float64 arrays and gives a number. Larger is better,
  unless the function has an attribute ``larger_is_better`` that says otherwise.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cmp_to_key
from typing import Any

import numpy as np
from torch import Tensor

from dashzoo_search.errors import BadData, UnknownObjective
from dashzoo_search.measure import ACCURACY, Measure
from dashzoo_search.tasks.losses import LOSSES, Loss, binary_cross_entropy
from dashzoo_search.tasks.metrics import METRICS, Metric
from dashzoo_search.tasks.task import Split, Task

__all__ = ["CLASSIFY", "Objective", "Score", "ranked"]

SAMPLES = 1024
_SCALED = ("regression", "dense_regression")


@dataclass(frozen=True, slots=True)
class Score:
    """A metric's value, and the mean loss.

    Attributes:
        value: of the metric.
        loss: in the loss's own unit; nats, of cross entropy.
        metric: how ``value`` is read.
    """

    value: float
    loss: float
    metric: Measure = field(default=ACCURACY)

    def better_than(self, other: Score | None) -> bool:
        """A better value, or as good a one and a lower loss."""
        return other is None or self._rank() > other._rank()

    def _rank(self) -> tuple[float, float]:
        return self.metric.goodness(self.value), -self.loss

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {"metric": self.metric.name, "value": self.value, "loss": self.loss}


def ranked(scores: Mapping[str, Score]) -> dict[str, Score]:
    """``scores``, the best first, equals in their order."""

    def order(one: str, other: str) -> int:
        a, b = scores[one], scores[other]
        return int(b.better_than(a)) - int(a.better_than(b))

    return {name: scores[name] for name in sorted(scores, key=cmp_to_key(order))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A loss and a metric.

    Attributes:
        loss: what training lowers.
        metric: what epochs, kernels and networks are chosen by.
        scale: what the loss is measured against while training, so that a price added to it means
            the same for all targets: 1, or for numbers the loss of their mean.
    """

    loss: Loss
    metric: Metric
    scale: float = 1.0

    @classmethod
    def of(cls, task: Task, *, trusted: Collection[str | None] = ()) -> Objective:
        """What ``task`` names.

        Args:
            task: its training split tells the scale.
            trusted: dotted paths that the user gave, and that may be imported therefore.

        Raises:
            UnknownObjective: no loss or metric of that name.
            BadData: it does not fit the kind of problem, or cannot be imported.
        """
        loss, metric = LOSSES.get(task.loss), METRICS.get(task.metric)
        if loss is None:
            loss = Loss(name=task.loss, of=_imported(task.loss, "loss", LOSSES, trusted))
        elif task.positive_weight != 1:
            if loss.name != "binary_cross_entropy":
                raise BadData(
                    f"The loss {loss.name} knows no positives to weigh; leave --positive-weight out"
                )
            loss = replace(loss, of=binary_cross_entropy(task.positive_weight))
        if metric is None:
            function = _imported(task.metric, "metric", METRICS, trusted)
            metric = Metric(
                name=task.metric,
                of=function,
                low=None,
                larger_is_better=bool(getattr(function, "larger_is_better", True)),
            )
        for what, one, known in (("loss", loss, LOSSES), ("metric", metric, METRICS)):
            if task.kind not in one.kinds:
                fitting = ", ".join(n for n, other in known.items() if task.kind in other.kinds)
                raise BadData(
                    f"The {what} {one.name} is none for a task of kind {task.kind}; take one of "
                    f"{fitting}"
                )
        return cls(loss=loss, metric=metric, scale=_scale(task, loss))

    def score(self, outputs: Tensor, targets: Tensor) -> Score:
        """The score of raw ``outputs`` [n, outputs, …], in float64 on the CPU.

        Raises:
            BadData: the metric has no value on these targets.
        """
        outputs = outputs.double().cpu()
        loss = self.loss(outputs, targets).mean().item()
        value = self.metric(outputs.numpy(), targets.numpy())
        return Score(value, loss, self.measure)

    def to_json(self) -> dict[str, Any]:
        """What results.json says of it."""
        return {"loss": self.loss.name, "metric": self.metric.to_json()}

    @property
    def measure(self) -> Measure:
        """How the metric's values are read."""
        return Measure(**self.metric.to_json())


CLASSIFY = Objective(loss=LOSSES["cross_entropy"], metric=METRICS["accuracy"])


def _imported(
    path: str, what: str, known: Iterable[str], trusted: Collection[str | None]
) -> Callable[..., Any]:
    """The function at a dotted ``path``."""
    module, _, name = path.rpartition(":") if ":" in path else path.rpartition(".")
    if not module or not name:
        raise UnknownObjective(path, known, what=what)
    if path not in trusted:
        raise BadData(
            f"The {what} {path} is a function that only a file names; add --trust {path} if it is "
            "yours, to let it run"
        )
    try:
        function = getattr(importlib.import_module(module), name)
    except Exception as error:  # importing runs whatever is there
        raise BadData(
            f"The {what} {path} cannot be imported ({type(error).__name__}: {error}); if it is in "
            "this folder, set PYTHONPATH=."
        ) from error
    if not callable(function):
        raise BadData(f"The {what} {path} is no function; give the path of one")
    found: Callable[..., Any] = function
    return found


def _scale(task: Task, loss: Loss) -> float:
    """The loss of a constant, the mean target, where targets are numbers; else 1."""
    if task.kind not in _SCALED:
        return 1.0
    targets = _spread(task.train).double()
    guess = targets.mean(0, keepdim=True).expand_as(targets)
    scale = loss(guess, targets).mean().item()
    return scale if math.isfinite(scale) and scale > 0 else 1.0


def _spread(split: Split) -> Tensor:
    at = np.linspace(0, len(split) - 1, min(len(split), SAMPLES)).round().astype(int)
    targets: Tensor = split.targets(np.unique(at))
    return targets
