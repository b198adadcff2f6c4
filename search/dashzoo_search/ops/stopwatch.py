"""How long things take: the minimum over repeats that take turns, in an order drawn anew each turn.

The order matters: what runs after a large one finds the caches empty.

On one CPU thread it is process-CPU time, which other processes hardly disturb; on several it is
wall time; on CUDA it is the time between two events.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

__all__ = ["fastest", "once"]


def once(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call."""
    if device.type == "cuda":
        event: Any = torch.cuda.Event
        start, end = event(enable_timing=True), event(enable_timing=True)
        start.record()
        run()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1000
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    begun = clock()
    run()
    return clock() - begun


def fastest(
    runs: Mapping[str, Callable[[], object]],
    device: torch.device,
    *,
    budget: float,
    least: int = 3,
    most: int = 100,
) -> dict[str, float]:
    """Seconds of each run, the least over repeats; all take turns, so that none is favoured.

    Args:
        runs: by name.
        device: that they run on.
        budget: seconds for each in all, after ``least`` repeats; one that takes longer than that
            alone is repeated only once.
        least: repeats, after one that is not counted.
        most: repeats.
    """
    spent = {name: once(run, device) for name, run in runs.items()}
    best = {name: seconds for name, seconds in spent.items() if seconds > budget}
    order, chance = list(runs.items()), random.Random(0)
    for turn in range(most):
        chance.shuffle(order)
        for name, run in order:
            if spent[name] > budget and (turn >= least or best.get(name, 0) > budget):
                continue
            seconds = once(run, device)
            spent[name] += seconds
            best[name] = min(best.get(name, seconds), seconds)
    return {name: best[name] for name in runs}
