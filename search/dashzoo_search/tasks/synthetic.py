"""Named tasks whose data is drawn from first principles, see `dashzoo_search.tasks.generated`.

| name | what it asks |
|---|---|
| darcy, darcy/small | permeability to pressure, on 85² and 43² points of the same solutions |
| burgers/viscous, burgers/sharp | velocity at time 0 to that at time 1, on 1024 points |
| adding/200, adding/600 | the sum of two marked values |
| copy/200 | ten symbols, repeated after 200 places; F1, as most of the answer is blank |
| motifs | whether two motifs stand at the known distance |
| ecg/synthetic | P, QRS, T or none at every sample of synthetic electrocardiograms; F1 |

The samples are always those of seed 0, so that runs with different seeds are judged on the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.space import SearchSpace
from dashzoo_search.tasks.generated import (
    SHARP,
    VISCOUS,
    AddingProblem,
    CopyMemory,
    DarcyFlow,
    Electrocardiogram,
    Problem,
    SpacedMotifs,
    generate,
    with_coordinates,
)
from dashzoo_search.tasks.nb360 import RECORDS
from dashzoo_search.tasks.task import Task, make_task

__all__ = ["SYNTHETIC", "Synthetic", "load_synthetic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthetic:
    """A problem as a task.

    Attributes:
        problem: what to draw.
        counts: samples of train, val and test; None takes the problem's own.
        loss, metric: None takes those usual for the kind.
        names: of labels or outputs; None numbers them.
        space: to search in by default; None takes DASH's.
        published: see `Task`.
        change: what is done to the inputs.
    """

    problem: Problem
    counts: tuple[int, int, int] | None = None
    loss: str | None = None
    metric: str | None = None
    names: tuple[str, ...] | None = None
    space: SearchSpace | None = None
    published: tuple[Mapping[str, Any], ...] = ()
    change: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray


def _field(problem: Problem, **more: Any) -> Synthetic:
    return Synthetic(problem=problem, loss="relative_l2", metric="relative_l2", **more)


_FAR = SearchSpace(kernels=(3, 7, 11, 15, 19), dilations=(1, 3, 7, 15, 31))

SYNTHETIC: Mapping[str, Synthetic] = {
    "darcy": _field(
        DarcyFlow(),
        names=("pressure",),
        space=RECORDS["darcy"].space,
        published=RECORDS["darcy"].published,
        change=with_coordinates,
    ),
    "darcy/small": _field(
        DarcyFlow(stride=10),
        counts=(500, 100, 100),
        names=("pressure",),
        change=with_coordinates,
    ),
    "burgers/viscous": _field(VISCOUS, names=("velocity",)),
    "burgers/sharp": _field(SHARP, names=("velocity",)),
    "adding/200": Synthetic(problem=AddingProblem(length=200), metric="mse", names=("sum",)),
    "adding/600": Synthetic(
        problem=AddingProblem(length=600), metric="mse", names=("sum",), space=_FAR
    ),
    "copy/200": Synthetic(
        problem=CopyMemory(delay=200),
        metric="f1",
        names=("blank", *map(str, range(1, 9))),
    ),
    "motifs": Synthetic(problem=SpacedMotifs()),
    "ecg/synthetic": Synthetic(
        problem=Electrocardiogram(), metric="f1", names=("baseline", "P", "QRS", "T")
    ),
}


def load_synthetic(name: str, *, seed: int, jobs: int = 1) -> Task:
    """Draw a named problem, or read it where it was drawn before.

    Args:
        name: one of `SYNTHETIC`.
        seed: of no effect; samples and splits are those of seed 0.
        jobs: processes to draw on, see `generate`.
    """
    what = SYNTHETIC[name]
    drawn = generate(what.problem, what.counts, jobs=jobs)
    X_train, X_val, X_test = (what.change(part[0]) for part in (drawn.train, drawn.val, drawn.test))
    return make_task(
        name,
        kind=what.problem.kind,
        train=(X_train, drawn.train[1]),
        val=(X_val, drawn.val[1]),
        test=(X_test, drawn.test[1]),
        seed=seed,
        source=drawn.source,
        license=drawn.license,
        published=what.published,
        loss=what.loss,
        metric=what.metric,
        names=what.names,
        space=what.space,
    )
