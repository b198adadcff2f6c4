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

__all__ = ["add_to_table", "load_lowering_costs", "lowering_costs"]

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
    part = _read(path).get(PART, {"version": LOWERING_VERSION, "providers": {}})
    again = "write it anew with dashzoo calibrate --provider cpu --out"
    if not isinstance(part, dict) or part.get("version") != LOWERING_VERSION:
        raise BadCosts(f"{path} has no lowering costs of version {LOWERING_VERSION}; {again}")
    providers: Any = part.get("providers")
    if not isinstance(providers, dict):
        raise BadCosts(f"{path} names no providers under lowering; {again}")
    names = {field.name for field in dataclasses.fields(LoweringCosts)}
    found = {}
    for provider, entry in providers.items():
        costs = entry.get("costs") if isinstance(entry, dict) else None
        if not isinstance(costs, dict) or set(costs) != names:
            raise BadCosts(f"{path} must give {', '.join(sorted(names))} for {provider}; {again}")
        for name, value in costs.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value < math.inf:
                raise BadCosts(f"{path} gives {provider} no number of seconds as {name}; {again}")
        found[str(provider)] = LoweringCosts(**costs)
    return found


def add_to_table(path: Path, provider: Provider, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The table in ``path``, if there is one, with what was found for ``provider``.

    Raises:
        BadCosts: the file is something else, which is not to be overwritten.
    """
    known = _read(path) if path.exists() else {"costs_version": TABLE_VERSION, "devices": {}}
    if path.exists():
        load_lowering_costs(path)  # what stays must be sound
    providers = {**known.get(PART, {}).get("providers", {}), provider: dict(entry)}
    return {**known, PART: {"version": LOWERING_VERSION, "providers": providers}}


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadCosts(f"{path} is not JSON; write it with dashzoo calibrate --out") from error
    if not isinstance(table, dict) or table.get("costs_version") != TABLE_VERSION:
        raise BadCosts(
            f"{path} is no table of costs of version {TABLE_VERSION}; "
            "write it with dashzoo calibrate --out"
        )
    return table
