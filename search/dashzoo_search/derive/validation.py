"""One layer after the other, restricted to the choice that held-out data minds least.

The layers are taken from input to output: when a layer is judged, all before it are already what
they will be, so it is judged on the inputs it will have; those after it are still free, and answer
for nothing. A layer once restricted stays so. `methods.judge` says what a choice costs, with the
statistics of batch norms re-estimated, and `methods.decide` weighs it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from dashzoo_search.derive.restriction import mixed_layers
from dashzoo_search.methods.decide import SLACK, decide
from dashzoo_search.methods.judge import Judge
from dashzoo_search.ops import AggConv
from dashzoo_search.supernet import Supernet
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.objective import CLASSIFY, Objective

__all__ = ["restrict_in_turn"]

JUDGED = 1024


def restrict_in_turn(
    supernet: Supernet,
    heldout: Split,
    *,
    slack: float = SLACK,
    tolerance: float | None = None,
    own: Mapping[str, int] | None = None,
    objective: Objective = CLASSIFY,
) -> tuple[dict[str, int], dict[str, list[float]]]:
    """The choice of every layer, and minus the mean held-out loss of all.

    Args:
        supernet: of `AggConv`s; left as it was.
        heldout: at most `JUDGED` samples of it are used, spread evenly.
        slack: share of the gap between the best choice and the worst that does not count.
        tolerance: what does not count instead, in the unit of the loss.
        own: the choice each layer keeps unless it is refuted; without it none is favoured.
        objective: whose loss it is.
    """
    layers = mixed_layers(supernet)
    spread = np.linspace(0, len(heldout) - 1, min(len(heldout), JUDGED)).round().astype(int)
    judge = Judge(supernet, heldout.take(spread), objective)
    before = {
        name: (layer.weight.detach().clone(), layer.picked.clone())
        for name, layer in layers.items()
    }
    picked: dict[str, int] = {}
    scores: dict[str, list[float]] = {}
    try:
        for name, layer in layers.items():
            judge.calibrate()
            losses = []
            for index in range(len(layer.choices)):
                layer.select(index, weight="aggregate")
                losses.append(judge.losses())
                _put_back(layer, before[name])
            verdict = decide(
                np.stack(losses),
                supernet.choices(name),
                own=own.get(name) if own else None,
                slack=slack,
                tolerance=tolerance,
            )
            picked[name] = verdict.pick
            scores[name] = [-loss for loss in verdict.loss]
            layer.select(verdict.pick, weight="aggregate")
    finally:
        for name, layer in layers.items():
            _put_back(layer, before[name])
    return picked, scores


def _put_back(layer: AggConv, before: tuple[Tensor, Tensor]) -> None:
    with torch.no_grad():
        layer.weight.copy_(before[0])
        layer.picked.copy_(before[1])
