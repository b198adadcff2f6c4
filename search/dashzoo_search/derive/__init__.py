"""From a trained mixture to one choice a layer: five rules behind `derive`.

Read `rules` (what each asks, and the one prior they share), then how they score choices:
`restriction` (of the aggregated kernel, its energy and its output), `least_squares` (the best
kernel on a support), `validation` (one layer after the other, by held-out loss).
"""

from dashzoo_search.derive.rules import RULES, Derived, Rule, derive, settle

__all__ = ["RULES", "Derived", "Rule", "derive", "settle"]
