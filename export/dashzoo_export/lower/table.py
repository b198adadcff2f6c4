"""The cost model's constants for a provider: read from the table that `dashzoo calibrate` writes.

One file holds what every calibration of a target found; the part here is under ``lowering``. It is
named by the environment variable ``DASHZOO_COSTS``. A provider that was not measured goes by the
CPU's constants, measured or those that come along.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashzoo_export.lower.cost import LoweringCosts
from dashzoo_export.providers import Provider
from dashzoo_search.errors import BadCosts
from dashzoo_search.ops.costs import TABLE_VERSION, VARIABLE

__all__ = ["add_to_table", "load_lowering_costs", "lowering_costs", "read_table"]

LOWERING_VERSION = 1
PART = "lowering"


def lowering_costs(provider: Provider = "cpu") -> LoweringCosts:
    """The constants for a provider, from the table ``DASHZOO_COSTS`` names if it has any.

    Raises:
        BadCosts: the table does not parse.
        OSError: there is no such file.
    """
    path = os.environ.get(VARIABLE)
    known = load_lowering_costs(path) if path else {}
    return known.get(provider) or known.get("cpu") or LoweringCosts()


def load_lowering_costs(path: str | os.PathLike[str]) -> Mapping[str, LoweringCosts]:
    """Provider → constants, as ``path`` has them; empty if no provider was ever measured.

    Raises:
        BadCosts: not such a table, naming the fault.
        OSError: no such file.
    """
    providers = read_table(path).get(PART, {}).get("providers", {})
    return {name: LoweringCosts(**entry["costs"]) for name, entry in providers.items()}


def add_to_table(
    table: Mapping[str, Any] | None, provider: Provider, entry: Mapping[str, Any]
) -> dict[str, Any]:
    """``table`` as `read_table` gives it, or a new one, with what was found for ``provider``."""
    known: dict[str, Any] = {"costs_version": TABLE_VERSION, "devices": {}, **(table or {})}
    providers = {**known.get(PART, {}).get("providers", {}), provider: dict(entry)}
    return {**known, PART: {"version": LOWERING_VERSION, "providers": providers}}


def read_table(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A table of costs, of which the part about lowering is sound or not there.

    Raises:
        BadCosts: not such a table, naming the fault.
        OSError: no such file.
    """
    again = "write it with dashzoo calibrate --out"
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadCosts(f"{path} is not JSON; {again}") from error
    if not isinstance(table, dict) or table.get("costs_version") != TABLE_VERSION:
        raise BadCosts(f"{path} is no table of costs of version {TABLE_VERSION}; {again}")
    if PART in table and (fault := _fault(table[PART])):
        raise BadCosts(f"{path}: {fault}; remove it and write it with dashzoo calibrate --provider")
    return table


def _fault(part: Any) -> str:
    """What is wrong with the part about lowering; empty if nothing is."""
    if not isinstance(part, dict) or part.get("version") != LOWERING_VERSION:
        return f"its {PART} costs are not of version {LOWERING_VERSION}"
    if not isinstance(part.get("providers"), dict):
        return f"its {PART} costs name no providers"
    names = {field.name for field in dataclasses.fields(LoweringCosts)}
    for provider, entry in part["providers"].items():
        costs = entry.get("costs") if isinstance(entry, dict) else None
        if not isinstance(costs, dict) or set(costs) != names:
            return f"{PART} costs of {provider} must be {', '.join(sorted(names))}"
        for name, value in costs.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value < math.inf:
                return f"{name} of {provider} is no number of seconds"
    return ""
