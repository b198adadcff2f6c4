"""How long one plain convolution takes on a target: measured once, looked up ever after.

A search under a latency budget asks for the same few convolutions again and again: layer shape ×
choice → milliseconds. A `LatencyTable` answers from memory, measures what it lacks, and goes to
JSON, so that a table taken on the target can be used elsewhere; there it interpolates between
kernels of the same layer instead of measuring. `dashzoo calibrate --out FILE` writes one.

What is measured: the forward pass in float32 of the convolution a derived network would have,
without gradients, the minimum over repeats.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dashzoo_search.choice import Kernel
from dashzoo_search.errors import BadCosts
from dashzoo_search.ops.boundary import extend
from dashzoo_search.ops.direct import CONVOLUTIONS
from dashzoo_search.ops.stopwatch import fastest

__all__ = ["ConvShape", "LatencyTable", "machine", "measured_latency"]

LATENCY_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvShape:
    """A convolution's layer without its kernel.

    Attributes:
        batch: samples at a time.
        ins: channels in.
        outs: channels out.
        size: of the input, one integer an axis.
        stride: one integer an axis.
        groups: of channels.
    """

    batch: int
    ins: int
    outs: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    groups: int = 1

    def __str__(self) -> str:
        size, stride = ("×".join(map(str, axes)) for axes in (self.size, self.stride))
        return f"b{self.batch} {self.ins}→{self.outs} {size} s{stride} g{self.groups}"


class LatencyTable:
    """Milliseconds of convolutions, by layer shape and kernel.

    Args:
        device: the convolutions run on.
        taken_on: the machine, as `machine` describes it; this one if None.
        known: milliseconds by key.

    >>> shape = ConvShape(batch=1, ins=4, outs=4, size=(50,), stride=(1,))
    >>> table = LatencyTable()
    >>> table.milliseconds(shape, Kernel((3,), (1,))) > 0, len(table)
    (True, 1)
    """

    def __init__(
        self,
        device: torch.device | str = "cpu",
        *,
        taken_on: Mapping[str, Any] | None = None,
        known: Mapping[str, float] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self._taken_on = None if taken_on is None else dict(taken_on)
        self._known = dict(known or {})

    def __len__(self) -> int:
        return len(self._known)

    @property
    def here(self) -> bool:
        """Whether this machine is the one the table was taken on, so that it can grow."""
        return self._taken_on in (None, machine(self.device))

    def milliseconds(self, shape: ConvShape, kernel: Kernel) -> float:
        """Look up, else measure (on the table's machine) or interpolate (elsewhere).

        Raises:
            LookupError: another machine, and nothing known to interpolate from.
        """
        key = f"{shape} {_told(kernel)}"
        if key not in self._known:
            if not self.here:
                return self._interpolated(shape, kernel)
            self._known[key] = _measure(shape, kernel, self.device)
        return self._known[key]

    def fill(self, shapes: Iterable[ConvShape], kernels: Iterable[Kernel]) -> None:
        """Measure every kernel on every shape."""
        kernels = tuple(kernels)
        for shape in shapes:
            for kernel in kernels:
                self.milliseconds(shape, kernel)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            "latency_version": LATENCY_VERSION,
            "device": str(self.device),
            "machine": self._taken_on or machine(self.device),
            "ms": {key: round(ms, 5) for key, ms in sorted(self._known.items())},
        }

    @classmethod
    def from_json(cls, value: Any) -> LatencyTable:
        """Parse what `to_json` wrote, alone or under ``latency`` in a calibration.

        Raises:
            BadCosts: anything else.
        """
        if isinstance(value, Mapping) and "latency" in value:
            value = value["latency"]
        if not isinstance(value, Mapping) or value.get("latency_version") != LATENCY_VERSION:
            raise BadCosts(
                f"no latency table of version {LATENCY_VERSION}; write it with dashzoo calibrate"
            )
        known, taken_on = value.get("ms"), value.get("machine")
        if not isinstance(known, Mapping) or not isinstance(taken_on, Mapping):
            raise BadCosts("a latency table needs 'ms' and 'machine'; write it anew")
        for key, ms in known.items():
            if isinstance(ms, bool) or not isinstance(ms, int | float) or not 0 < ms < 1e9:
                raise BadCosts(f"the latency of {str(key)[:60]!r} is no number of milliseconds")
        try:
            return cls(str(value.get("device", "cpu")), taken_on=taken_on, known=known)
        except RuntimeError as error:
            raise BadCosts(f"{str(value['device'])[:60]!r} is no device") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON, whole or not at all."""
        target = Path(path)
        part = target.with_name(f"{target.name}.part")
        part.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")
        part.replace(target)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LatencyTable:
        """Read what `save` or `dashzoo calibrate` wrote.

        Raises:
            BadCosts: not such a file.
            OSError: no such file.
        """
        try:
            value = json.loads(Path(path).read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise BadCosts(f"{path} is not JSON; write it with dashzoo calibrate") from error
        return cls.from_json(value)

    def _interpolated(self, shape: ConvShape, kernel: Kernel) -> float:
        """Between the kernels of the same layer and dilation, by taps; flat beyond the ends."""
        prefix = f"{shape} "
        points = sorted(
            (taps, ms)
            for key, ms in self._known.items()
            if key.startswith(prefix)
            for taps, dilation in [_parsed(key.removeprefix(prefix))]
            if dilation == "×".join(map(str, kernel.dilation))
        )
        if not points:
            raise LookupError(
                f"no latency of {shape} at dilation {kernel.dilation} is known, and this is not "
                "the machine the table was taken on; run dashzoo calibrate there"
            )
        below = max((p for p in points if p[0] <= kernel.taps), default=points[0])
        above = min((p for p in points if p[0] >= kernel.taps), default=points[-1])
        share = (kernel.taps - below[0]) / (above[0] - below[0]) if above[0] > below[0] else 0.0
        return below[1] + min(1.0, max(0.0, share)) * (above[1] - below[1])


def measured_latency(shape: ConvShape, kernel: Kernel, table: LatencyTable | None = None) -> float:
    """Milliseconds of one convolution, from ``table`` or from the one this process keeps.

    >>> shape = ConvShape(batch=1, ins=4, outs=4, size=(50,), stride=(1,))
    >>> measured_latency(shape, Kernel((3,), (2,))) == measured_latency(shape, Kernel((3,), (2,)))
    True
    """
    return (_PROCESS if table is None else table).milliseconds(shape, kernel)


def machine(device: torch.device) -> dict[str, Any]:
    """What latencies depend on besides the convolution."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    cuda = device.type == "cuda" and torch.cuda.is_available()
    return {
        "processor": next(named, platform.processor()),
        "gpu": torch.cuda.get_device_name(device) if cuda else None,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def _measure(shape: ConvShape, kernel: Kernel, device: torch.device) -> float:
    x = torch.zeros(shape.batch, shape.ins, *shape.size, device=device)
    weight = torch.zeros(shape.outs, shape.ins // shape.groups, *kernel.kernel, device=device)
    before, after = kernel.padding, kernel.padding_after
    convolve = CONVOLUTIONS[kernel.dims]

    @torch.no_grad()
    def run() -> None:
        laid = x if before == after else extend(x, before, after, "zeros")
        padding = before if before == after else 0
        convolve(laid, weight, None, shape.stride, padding, kernel.dilation, shape.groups)

    return 1000 * fastest({"": run}, device, budget=0.02, most=50)[""]


def _told(kernel: Kernel) -> str:
    sizes = ("×".join(map(str, axes)) for axes in (kernel.kernel, kernel.dilation))
    return "k{} d{}".format(*sizes)


def _parsed(told: str) -> tuple[int, str]:
    """Taps and dilation of what `_told` wrote."""
    size, _, dilation = told.removeprefix("k").partition(" d")
    taps = 1
    for k in size.split("×"):
        taps *= int(k) if k.isdecimal() else 0
    return taps, dilation


_PROCESS = LatencyTable()
