"""How long a network takes, and how much memory: several forms of it, called in turn.

Times are wall times of one call, which users wait for, and on a CPU the processor time beside
them, which other processes hardly disturb. Forms take turns in an order drawn anew each turn, so a
machine that slows down slows all of them. On a GPU inputs and outputs lie there already, and a
call ends when its result is there.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Times", "added_memory", "bound", "take_turns"]

Call = Callable[[], object]
_WARM_UP = 3
_PROC = Path("/proc/self")


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Calls of one form of a network.

    Attributes:
        calls: how many were timed.
        median_ms, p95_ms: wall time of a call; 95 of 100 took no longer than the second.
        best_ms: the least.
        cpu_ms: mean processor time of a call, of all threads.
    """

    calls: int
    median_ms: float
    p95_ms: float
    best_ms: float
    cpu_ms: float


@dataclass(slots=True)
class _Taken:
    wall: list[float] = field(default_factory=list)
    cpu: float = 0.0

    def times(self) -> Times:
        p95 = float(np.percentile(self.wall, 95, method="higher"))
        return Times(
            calls=len(self.wall),
            median_ms=1000 * statistics.median(self.wall),
            p95_ms=1000 * p95,
            best_ms=1000 * min(self.wall),
            cpu_ms=1000 * self.cpu / len(self.wall),
        )


def take_turns(
    calls: Mapping[str, Call], *, seconds: float = 1.0, least: int = 10, most: int = 1000
) -> dict[str, Times]:
    """Time ``calls``, which return when their work is done, in turns.

    Args:
        calls: by name.
        seconds: for each in all.
        least: calls of each that are timed, however long they take; before them come three that
            are not.
        most: calls of each.

    >>> sorted(take_turns({"sum": lambda: sum(range(9))}, seconds=0, least=2))
    ['sum']
    """
    for call in calls.values():
        for _ in range(_WARM_UP):
            call()
    taken = {name: _Taken() for name in calls}
    order, chance = list(calls), random.Random(0)
    for turn in range(most):
        chance.shuffle(order)
        waiting = [n for n in order if turn < least or sum(taken[n].wall) < seconds]
        if not waiting:
            break
        for name in waiting:
            cpu, begun = time.process_time(), time.perf_counter()
            calls[name]()
            taken[name].wall.append(time.perf_counter() - begun)
            taken[name].cpu += time.process_time() - cpu
    return {name: each.times() for name, each in taken.items()}


def bound(session: Any, x: NDArray[np.float32], device: str) -> tuple[Call, Any]:
    """One call of ``session`` on ``x`` with input and output on ``device``, without copies.

    Args:
        session: of one input and one output.
        x: samples, copied to the device once.
        device: ``cpu`` or ``cuda``.

    Returns:
        The call, and the binding, whose ``copy_outputs_to_cpu`` gives what it computed.
    """
    import onnxruntime

    binding = session.io_binding()
    there = onnxruntime.OrtValue.ortvalue_from_numpy(x, device, 0)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, there)
    binding.bind_output(session.get_outputs()[0].name, device)

    def call() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return call, binding


@contextlib.contextmanager
def added_memory(device: str) -> Iterator[list[int]]:
    """Bytes that the block's work needed at its peak, beyond those in use before it.

    On a CPU the growth of the process's resident memory, which Linux tells; on a GPU that of all
    memory in use there, which torch must see. The list gets one number, or none where nobody tells.
    """
    found: list[int] = []
    before = _on_gpu() if device == "cuda" else _reset_peak()
    yield found
    after = _on_gpu() if device == "cuda" else _status("VmHWM")
    if before is not None and after is not None:
        found.append(max(0, after - before))


def _on_gpu() -> int | None:
    if not torch.cuda.is_available():
        return None
    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    return total - free


def _reset_peak() -> int | None:
    """Give free memory back, and let the kernel count the peak from here on; tells what is in use.

    What was freed and kept would be taken again, and be missing in the growth.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # of glibc
    except (AttributeError, OSError, TypeError):
        return None
    try:
        with (_PROC / "clear_refs").open("w") as file:
            file.write("5")
    except OSError:
        return None
    return _status("VmRSS")


def _status(key: str) -> int | None:
    with contextlib.suppress(OSError):
        for line in (_PROC / "status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    return None
