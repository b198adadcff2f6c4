"""How long things take: the minimum over repeats that take turns, in an order drawn anew each turn.

The order matters: what runs after a large one finds the caches empty.

On one CPU thread it is process-CPU time, which other processes hardly disturb; on several it is
wall time; on CUDA it is the time between two events.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

__all__ = ["fastest", "once"]


def once(
    run: Callable[[], object],
    device: torch.device,
    clock: Callable[[], float] | None = None,
) -> float:
    """Seconds of one call, by ``clock`` or by what suits the device."""
    if clock is None and device.type == "cuda":
        event: Any = torch.cuda.Event
        start, end = event(enable_timing=True), event(enable_timing=True)
        start.record()
        run()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1000
    if clock is None:
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
    clock: Callable[[], float] | None = None,
) -> dict[str, float]:
    """Seconds of each run, the least over repeats; all take turns, so that none is favoured.

    Args:
        runs: by name.
        device: that they run on.
        budget: seconds for each in all, after ``least`` repeats; one that takes longer than that
            alone is not repeated.
        least: repeats, after a first call that never counts: it may have to load or compile.
        most: repeats.
        clock: seconds, such as `time.perf_counter`, for what does not run in torch.
    """
    for run in runs.values():
        once(run, device, clock)
    spent, best = dict.fromkeys(runs, 0.0), dict.fromkeys(runs, math.inf)
    order, chance = list(runs), random.Random(0)
    for turn in range(most):
        chance.shuffle(order)
        for name in order:
            enough = turn >= least or (turn > 0 and best[name] > budget)
            if enough and spent[name] > budget:
                continue
            seconds = once(runs[name], device, clock)
            spent[name] += seconds
            best[name] = min(best[name], seconds)
    return {name: best[name] for name in runs}
