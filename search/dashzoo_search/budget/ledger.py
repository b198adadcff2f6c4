"""A budget at work: which choices to take where held-out evidence and costs are both known.

The evidence says, for each choice of each layer, what it loses to the layer's best; a network is
taken to lose the sum over its layers. That is a model: it was measured for one layer at a time,
around the kernels the network stood at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dashzoo_search.budget.front import front
from dashzoo_search.budget.knapsack import best_fit
from dashzoo_search.budget.limits import Budget
from dashzoo_search.budget.sheet import CostSheet, cost_sheet
from dashzoo_search.errors import BadBudget, BadBundle
from dashzoo_search.ops.latency import LatencyTable
from dashzoo_search.supernet import Supernet
from dashzoo_search.training import world
from dashzoo_search.training.tree import Tree, expect_like

__all__ = ["Ledger"]

BROKEN = 1e3  # nats, for a choice whose loss was no number

Floats = NDArray[np.float64]
Evidence = Mapping[str, Sequence[float]]

_WORDS = {
    "params": "parameters",
    "macs": "MACs",
    "receptive_field": "samples of receptive field",
    "latency": "ms of latency",
}


class Ledger:
    """Costs of a supernet's choices, under a budget.

    Args:
        sheet: what everything costs.
        budget: what was asked for; see `check`.
    """

    def __init__(self, sheet: CostSheet, budget: Budget) -> None:
        self.sheet, self.budget = sheet, budget
        columns = {name: i for i, name in enumerate(sheet.resources)}
        self._limited = [columns[name] for name in budget.limits]
        self._limits = np.array(list(budget.limits.values()), dtype=np.float64)
        self._axis = columns[budget.axis]

    @classmethod
    def open(
        cls,
        supernet: Supernet,
        size: Sequence[int],
        budget: Budget,
        *,
        device: torch.device,
        check: bool = True,
    ) -> Ledger:
        """Reckon the costs of ``supernet`` on samples of ``size``.

        Raises:
            BadBudget: nothing fits, or latencies are not to be had.
            BadCosts: the latency table is damaged.
            OSError: there is no such table.
        """
        table = None
        if budget.times:
            path = budget.latency_table
            table = LatencyTable.load(path) if path else _measured_here(device)
        # Processes that measured by themselves would not agree.
        sheet = world.by_first(lambda: cost_sheet(supernet, size, latency=table))
        ledger = cls(sheet, budget)
        if check:
            ledger.check()
        return ledger

    def fits(self, picks: Mapping[str, int]) -> bool:
        """Whether the network with these choices keeps every limit."""
        total = self.sheet.total(picks)[self._limited]
        return bool((total <= self._limits * (1 + 1e-12)).all())

    def picks(self, behind: Evidence, decided: Mapping[str, int]) -> dict[str, int]:
        """The choices to take: those decided on where they fit, else the least harmful others.

        Minimises Σ max(0, behind − behind of the one decided on) + price · cost: a gain that was
        not enough to decide by does not count here either.

        Args:
            behind: nats that each choice loses to the best of its layer.
            decided: what evidence alone says.
        """
        if not self.budget.price and self.fits(decided):
            return dict(decided)
        per = self.budget.price / self._whole()
        values = []
        for name, costs in self.sheet.costs.items():
            lost = _finite(behind[name])
            more = np.maximum(0.0, lost - lost[decided[name]])
            values.append(more + per * costs[:, self._axis])
        preferred = [decided[name] for name in self.sheet.costs]
        found = self._best(values, preferred)
        assert found is not None  # see `check`
        return dict(zip(self.sheet.costs, found, strict=True))

    def front(self, behind: Evidence) -> list[dict[str, Any]]:
        """The specs worth having by evidence and cost that keep every limit, dearest first.

        Returns:
            Of each its ``spec``, the ``behind`` predicted for it in nats, and its ``cost``.
        """
        lost = {name: _finite(behind[name]) for name in self.sheet.costs}
        costs = {name: each[:, self._axis] for name, each in self.sheet.costs.items()}
        return [
            {
                "spec": self.sheet.spec(picks).to_json(),
                "behind": round(self.predicted(behind, picks), 6),
                "cost": self.sheet.of(picks),
            }
            for picks in front(lost, costs)
            if self.fits(picks)
        ]

    def predicted(self, behind: Evidence, picks: Mapping[str, int]) -> float:
        """Nats that the network with these choices is predicted to lose, summed over layers."""
        return float(sum(_finite(behind[name])[picks[name]] for name in self.sheet.costs))

    def state_dict(self) -> Tree:
        """The costs: what was measured once must hold for the whole search."""
        costs = {name: each.tolist() for name, each in self.sheet.costs.items()}
        return {"fixed": self.sheet.fixed.tolist(), "costs": costs}

    def load_state_dict(self, state: Tree) -> None:
        """Put them back.

        Raises:
            BadBundle: another supernet's, or damaged.
        """
        expect_like(state, self.state_dict(), "ledger")
        costs = {name: np.array(rows, np.float64) for name, rows in state["costs"].items()}
        fixed = np.array(state["fixed"], np.float64)
        if not all(np.isfinite(each).all() for each in (fixed, *costs.values())):
            raise BadBundle("ledger has a cost that is no number", field="ledger")
        sheet = self.sheet
        self.sheet = CostSheet(
            resources=sheet.resources, choices=sheet.choices, costs=costs, fixed=fixed,
            own=sheet.own,
        )  # fmt: skip

    def _whole(self) -> float:
        """What the backbone itself costs on the priced axis, or the dearest where it is unknown."""
        own = {
            name: index if index >= 0 else int(self.sheet.costs[name][:, self._axis].argmax())
            for name, index in self.sheet.own.items()
        }
        return float(self.sheet.total(own)[self._axis])

    def _best(self, values: Sequence[Floats], preferred: Sequence[int] | None) -> Any:
        left = self._limits - self.sheet.fixed[self._limited]
        costs = [each[:, self._limited] for each in self.sheet.costs.values()]
        return best_fit(values, costs, left, preferred=preferred)

    def check(self) -> None:
        """Refuse limits that nothing can keep.

        Raises:
            BadBudget: naming the least that is possible.
        """
        lowest = self.sheet.least()
        least = self.sheet.named(lowest)
        for column, (name, limit) in zip(self._limited, self.budget.limits.items(), strict=True):
            if lowest[column] > limit * (1 + 1e-12):
                raise BadBudget(
                    f"The smallest network of this search has {least[name]:,} {_WORDS[name]}, "
                    f"above --max-{name.replace('_', '-')} {limit:,}; raise it, search smaller "
                    "--kernels, or take a smaller backbone"
                )
        if (
            self._limited
            and self._best([np.zeros(len(c)) for c in self.sheet.costs.values()], None) is None
        ):
            names = " and ".join(f"--max-{name.replace('_', '-')}" for name in self.budget.limits)
            told = ", ".join(f"{least[name]:,} {_WORDS[name]}" for name in self.budget.limits)
            raise BadBudget(
                f"No network of this search keeps {names} together (each by itself it could be "
                f"{told}); raise one of them"
            )


def _finite(behind: Sequence[float]) -> Floats:
    return np.nan_to_num(np.array(behind, np.float64), nan=BROKEN, posinf=BROKEN)


@lru_cache
def _measured_here(device: torch.device) -> LatencyTable:
    """One table a process, so that asking twice gives the same answer."""
    return LatencyTable(device)
