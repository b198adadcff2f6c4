"""The best uniform kernel: one (k, d) for every layer, by successive halving on validation.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization"
(AISTATS 2016): all candidates are trained for a few epochs, the better third for three times as
many, and so on. Every training starts from scratch with a whole schedule of its own length, for
what a schedule leaves off half way says little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from dashzoo_search.errors import BadSpace
from dashzoo_search.panel.round import Round, Ticks
from dashzoo_search.spec import Choice, KernelSpec
from dashzoo_search.training.objective import ranked

__all__ = ["halve", "rungs", "uniform_specs"]

ETA = 3


def uniform_specs(choices: Mapping[str, tuple[Choice, ...]], dims: int) -> dict[str, KernelSpec]:
    """One spec for each choice that every layer has.

    Raises:
        BadSpace: there is no such choice.
    """
    first, *others = choices.values()
    shared = [choice for choice in first if all(choice in other for other in others)]
    if not shared:
        raise BadSpace("No kernel of the space fits every layer; give smaller --kernels")
    return {
        str(choice): KernelSpec(dims=dims, layers=dict.fromkeys(choices, choice))
        for choice in shared
    }


def rungs(candidates: int, epochs: int) -> list[tuple[int, int]]:
    """How many candidates to train for how many epochs each, in about ``epochs`` in all.

    A budget too small for a rung of its own leaves out the last ones; one epoch for each candidate
    there is always.

    >>> rungs(20, 450)
    [(20, 6), (7, 18), (3, 54)]
    >>> rungs(4, 6), rungs(1, 100)
    ([(4, 1)], [])
    """
    sizes = [candidates] if candidates > 1 else []
    while sizes and sizes[-1] > ETA:
        sizes.append(math.ceil(sizes[-1] / ETA))
    while sizes:
        unit = epochs // sum(size * ETA**i for i, size in enumerate(sizes))
        if unit or len(sizes) == 1:
            return [(size, max(1, unit) * ETA**i) for i, size in enumerate(sizes)]
        sizes.pop()
    return []


def halve(
    round_: Round, specs: Mapping[str, KernelSpec], ticks: Ticks, plan: list[tuple[int, int]]
) -> tuple[str, list[dict[str, object]]]:
    """The name of the spec that wins, and what was seen in each rung.

    Raises:
        TrainingFailed: a candidate diverged.
    """
    trainer = round_.trainer(on_epoch=ticks)
    names, history = list(specs), []
    for count, epochs in plan:
        scores = {
            name: trainer.train("uniform", specs[name], {"scratch": epochs}, final=False).fit.val
            for name in names[:count]
        }
        scores = ranked(scores)
        names = list(scores)
        seen = {name: score.to_json() for name, score in scores.items()}
        history.append({"epochs": epochs, "val": seen})
    return names[0], history
