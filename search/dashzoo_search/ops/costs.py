"""The constants of the cost model: what comes with the package, and what a target measured.

`dashzoo calibrate --out FILE` writes a table for the machine it runs on. It is used when loaded
(`load_costs`) or named by the environment variable ``DASHZOO_COSTS``. A device without constants
of its own goes by those of the CPU: ratios of direct to Fourier work carry over better than none.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashzoo_search.errors import BadCosts

__all__ = ["TABLE_VERSION", "Costs", "costs_for", "load_costs", "reset_costs"]

TABLE_VERSION = 1
VARIABLE = "DASHZOO_COSTS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Seconds for one of each thing counted in `cost`, forward and backward.

    The defaults were fitted by `dashzoo calibrate` on one AVX-512 core.

    Raises:
        BadCosts: a constant that is no number, negative, or not finite.
    """

    start: float = 0.00022
    value: float = 2e-09
    mac: float = 6.2e-11
    mac_wide: float = 1.3e-10
    channel_mac: float = 1e-09
    channel_mac_dilated: float = 2e-09
    channel_mac_small: float = 1e-10
    layout: float = 0.0
    add: float = 7e-09
    fourier_start: float = 0.00052
    channel_start: float = 0.00043
    fourier_fft: float = 5.6e-10
    channel_fft: float = 5.3e-10
    fourier_planes: float = 9.1e-10
    channel_planes: float = 9.3e-10
    fourier_value: float = 0.0
    fourier_mac: float = 7.7e-10
    spectrum_mac: float = 8.5e-11
    spectrum_fft: float = 6e-10
    spectrum_value: float = 5e-09

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not (0 <= value < math.inf)
            ):
                raise BadCosts(f"the cost {field.name} must be a number of seconds, not {value!r}")


_loaded: dict[str, Costs] = {}
_asked = False


def load_costs(path: str | os.PathLike[str]) -> Mapping[str, Costs]:
    """Use the table in ``path`` from now on, for the devices it names.

    Returns:
        Device type (``"cpu"``, ``"cuda"``) → constants.

    Raises:
        BadCosts: not such a table, naming the fault.
        OSError: no such file.
    """
    global _asked
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadCosts(f"{path} is not JSON; write it with dashzoo calibrate --out") from error
    if not isinstance(table, dict) or table.get("costs_version") != TABLE_VERSION:
        raise BadCosts(
            f"{path} is no table of costs of version {TABLE_VERSION}; "
            "write it with dashzoo calibrate --out"
        )
    devices: Any = table.get("devices")
    names = {field.name for field in dataclasses.fields(Costs)}
    if not isinstance(devices, dict) or not all(
        isinstance(each, dict) and set(each) == names for each in devices.values()
    ):
        raise BadCosts(
            f"{path} must give {', '.join(sorted(names))} for each device; "
            "write it anew with dashzoo calibrate --out"
        )
    found = {device: Costs(**each) for device, each in devices.items()}
    _loaded.update(found)
    _asked = True
    return found


def reset_costs() -> None:
    """Forget what was loaded; ``DASHZOO_COSTS`` is read again when next needed."""
    global _asked
    _loaded.clear()
    _asked = False


def costs_for(device: str) -> Costs:
    """The constants for a device type."""
    global _asked
    if not _asked:
        _asked = True
        if path := os.environ.get(VARIABLE):
            load_costs(path)
    return _loaded.get(device) or _loaded.get("cpu") or _DEFAULT


_DEFAULT = Costs()
