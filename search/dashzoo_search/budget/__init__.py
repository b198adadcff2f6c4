"""What a searched network may cost: limits and a price, the bill of every choice, and the best buy.

`limits` says what was asked for, `sheet` what each choice of each layer costs, `knapsack` finds the
best spec that fits, `front` all that are worth having, and `ledger` puts the four to work in a
search.
"""

from dashzoo_search.budget.front import front
from dashzoo_search.budget.knapsack import best_fit
from dashzoo_search.budget.ledger import Ledger
from dashzoo_search.budget.limits import RESOURCES, Budget, Resource
from dashzoo_search.budget.sheet import CostSheet, cost_sheet

__all__ = [
    "RESOURCES",
    "Budget",
    "CostSheet",
    "Ledger",
    "Resource",
    "best_fit",
    "cost_sheet",
    "front",
]
