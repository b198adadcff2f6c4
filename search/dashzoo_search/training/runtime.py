"""The machine a run has: device, cores, seeds and time.

Nothing here acts at import; the command line and `dashzoo.search` call it once, at the edge.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dashzoo_search.errors import UnknownDevice
from dashzoo_search.training import world

HEAVY = 2e9

# Wall and CPU seconds of processes before this one, whose work a checkpoint brought back.
_earlier = [0.0, 0.0]

__all__ = [
    "Stopwatch",
    "cores_at_hand",
    "credit",
    "describe_machine",
    "limit_threads",
    "resolve_device",
    "seed_everything",
]


def cores_at_hand() -> int:
    """Cores this process may use: its affinity mask, or its container's quota if that is less."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def limit_threads(threads: int | None = None, *, work: float = math.inf) -> int:
    """Let torch use ``threads`` cores, at most those at hand; returns the number.

    Args:
        threads: None takes all cores for heavy batches and one for light ones: two cores made a
            batch of 0.3 GMAC 1.2 times as fast where both were idle, and 2.4 times as slow where
            one was not.
        work: multiply-accumulates of one batch.
    """
    ours = max(1, cores_at_hand() // world.size_here())
    wanted = threads or (ours if work >= HEAVY else 1)
    count = min(wanted, cores_at_hand())
    torch.set_num_threads(count)
    return count


def resolve_device(name: str = "auto") -> torch.device:
    """``"auto"`` takes CUDA where there is one, else the CPU; any other name must be there.

    Raises:
        UnknownDevice: torch does not know the name, or this machine lacks the device.
    """
    here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        here.append("mps")
    if name == "auto":
        return torch.device("cuda" if len(here) > 1 and here[1].startswith("cuda") else "cpu")
    if name not in here and not (name == "cuda" and "cuda:0" in here):
        raise UnknownDevice(name, here, hint=f"This machine has: {', '.join(here)}.")
    return torch.device(name)


def seed_everything(seed: int) -> torch.Generator:
    """Seed torch, NumPy and `random` for initialisation and dropout; returns a CPU generator."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def describe_machine(device: torch.device) -> dict[str, str | int]:
    """What results.json says of the machine."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def credit(seconds: float, cpu_seconds: float) -> None:
    """Let every running `Stopwatch` count work that an earlier process did."""
    _earlier[0] += seconds
    _earlier[1] += cpu_seconds


@dataclass
class Stopwatch:
    """Wall and process-CPU seconds since it was made, those credited since then included.

    >>> watch = Stopwatch()
    >>> credit(60, 50)
    >>> 60 <= watch.seconds < 61, Stopwatch().seconds < 1
    (True, True)
    """

    def __post_init__(self) -> None:
        self._wall, self._cpu = 0.0, 0.0
        self._wall, self._cpu = self.seconds, self.cpu_seconds

    @property
    def seconds(self) -> float:
        """Wall seconds."""
        return time.perf_counter() + _earlier[0] - self._wall

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all threads."""
        return time.process_time() + _earlier[1] - self._cpu

    def to_json(self) -> dict[str, float]:
        """Both, rounded to a hundredth."""
        return {"seconds": round(self.seconds, 2), "cpu_seconds": round(self.cpu_seconds, 2)}
