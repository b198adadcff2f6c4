"""What a search knows of cost: the budget checked before it, the specs worth having after it."""

from __future__ import annotations

import math
from typing import Any

import torch

from dashzoo_search.budget import Ledger
from dashzoo_search.methods.paths import Paths
from dashzoo_search.plan import Network, build_network
from dashzoo_search.search import SearchOptions, SearchResult
from dashzoo_search.spec import SearchSpace
from dashzoo_search.supernet import Supernet, build_supernet
from dashzoo_search.tasks import Task

__all__ = ["check_budget", "tradeoff"]


def check_budget(
    task: Task, network: Network, space: SearchSpace, options: SearchOptions, device: torch.device
) -> None:
    """Refuse a budget that nothing in the space can meet, before anything is trained.

    Raises:
        BadBudget: naming the least that is possible.
    """
    how = options.how
    if isinstance(how, Paths) and how.bounded:
        net = build_network(network, task)
        supernet = build_supernet(net, space, task.size, kind="paths", rule=network.rule)
        Ledger.open(supernet, task.size, how, device=device)


def tradeoff(
    task: Task,
    supernet: Supernet,
    options: SearchOptions,
    result: SearchResult,
    device: torch.device,
) -> dict[str, Any]:
    """What search.json says of cost; empty where the method gives no evidence.

    Returns:
        ``axis``, the resource traded against loss; the cost of the kernels ``searched`` and of the
        ``default`` ones, and whether those keep the limits; the ``front`` of specs worth having,
        see `Ledger.front`; and the ``evidence``, null where a loss was no number.
    """
    if not result.evidence or not isinstance(options.how, Paths):
        return {}
    ledger = Ledger.open(supernet, task.size, options.how, device=device, check=False)
    sheet = ledger.sheet
    return {
        "axis": options.how.axis,
        "searched": sheet.of(sheet.picks(result.spec)),
        "default": sheet.of(sheet.own),
        "default_fits": ledger.fits(sheet.own),
        "front": ledger.front(result.evidence),
        "evidence": {
            name: [round(gap, 6) if math.isfinite(gap) else None for gap in gaps]
            for name, gaps in result.evidence.items()
        },
    }
