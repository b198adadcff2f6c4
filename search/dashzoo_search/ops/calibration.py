"""Fit the constants of the cost model on the machine at hand.

Single convolutions of many shapes are timed along each path, forward and backward, and the
constants are what fits best in relative terms with none negative. About a minute on one core.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dashzoo_search.choice import Kernel
from dashzoo_search.ops.cost import seconds, work
from dashzoo_search.ops.costs import TABLE_VERSION, Costs
from dashzoo_search.ops.geometry import Geometry
from dashzoo_search.ops.latency import ConvShape, LatencyTable, machine
from dashzoo_search.ops.paths import Setting, convolve_all
from dashzoo_search.ops.stopwatch import fastest
from dashzoo_search.space import SearchSpace

__all__ = [
    "Calibration",
    "Case",
    "calibrate",
    "cases",
    "fit",
    "fit_counts",
    "table",
    "usual_latencies",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One convolution to time.

    Attributes:
        path: one of `paths.PATHS`.
        shape: ``[b, c, *size]``.
        outs: channels out.
        groups: of channels.
        kernels: sizes and dilations.
        stride: on every axis.
    """

    path: str
    shape: tuple[int, ...]
    outs: int
    groups: int
    kernels: tuple[Kernel, ...]
    stride: int = 1

    @property
    def setting(self) -> Setting:
        """With zero padding."""
        return Setting((self.stride,) * len(self.shape[2:]), self.groups, "zeros")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a calibration found.

    Attributes:
        device: type of the device.
        costs: the fitted constants.
        errors: relative error of the fitted cost, a case each.
        cases: that were timed, with their measured seconds.
    """

    device: str
    costs: Costs
    errors: tuple[float, ...]
    cases: tuple[tuple[Case, float], ...]


def cases(*, quick: bool = False) -> Iterator[Case]:
    """The shapes that tell the constants apart.

    Args:
        quick: a sixth of them.
    """
    every = itertools.chain(_sequences(), _images())
    return itertools.islice(every, 0, None, 6) if quick else every


def _sequences() -> Iterator[Case]:
    shapes = [(4, 16, 1000), (32, 64, 1000), (32, 32, 427), (32, 16, 150), (8, 8, 4096)]
    for batch, channels, n in shapes:
        for k, d in ((3, 1), (3, 15), (7, 1), (19, 1), (19, 7), (63, 1)):
            for groups, path in itertools.product((1, channels), ("mixed_weights", "fourier")):
                if batch * channels * channels * n * k > 3e9 and groups == 1 and k > 19:
                    continue
                shape = (batch, channels, n)
                kernels = (Kernel((k,), (d,)),)
                yield Case(path=path, shape=shape, outs=channels, groups=groups, kernels=kernels)
        wide = tuple(Kernel((k,), (d,)) for k in (3, 7, 11, 15) for d in (1, 3, 7, 15))
        for groups, path in itertools.product((1, channels), ("per_dilation", "fourier")):
            yield Case(
                path=path, shape=(batch, channels, n), outs=channels, groups=groups, kernels=wide
            )


def _images() -> Iterator[Case]:
    for batch, channels, n in [(4, 16, 64), (16, 32, 16), (16, 64, 8)]:
        for k, d in ((3, 1), (5, 3), (9, 1)):
            for groups, path in itertools.product((1, channels), ("mixed_weights", "fourier")):
                shape, kernels = (batch, channels, n, n), (Kernel((k, k), (d, d)),)
                yield Case(path=path, shape=shape, outs=channels, groups=groups, kernels=kernels)
        wide = tuple(Kernel((k, k), (d, d)) for k in (3, 5, 7) for d in (1, 3, 7))
        for groups, path in itertools.product((1, channels), ("per_dilation", "fourier")):
            yield Case(
                path=path, shape=(batch, channels, n, n), outs=channels, groups=groups, kernels=wide
            )


def calibrate(device: torch.device, *, quick: bool = False, budget: float = 0.1) -> Calibration:
    """Time `cases` on ``device`` and fit.

    Args:
        device: to measure.
        quick: fewer cases.
        budget: seconds for each.
    """
    measured = tuple((case, _time(case, device, budget)) for case in cases(quick=quick))
    costs = fit(measured)
    errors = tuple(seconds(_work(case), costs) / taken - 1 for case, taken in measured)
    return Calibration(device=device.type, costs=costs, errors=errors, cases=measured)


def fit(measured: tuple[tuple[Case, float], ...]) -> Costs:
    """Constants with the least absolute relative error; what no case counts keeps its default."""
    return Costs(**fit_counts([(_work(case), taken) for case, taken in measured]))


def fit_counts(measured: Sequence[tuple[Mapping[str, float], float]]) -> dict[str, float]:
    """Constants c ≥ 0 with the least |Σ count · c / seconds − 1|, for all that is counted.

    Args:
        measured: counts by name and the seconds they took, a case each.

    >>> found = fit_counts([({"mac": 10}, 2.0), ({"mac": 30}, 6.0)])
    >>> round(found["mac"], 6)
    0.2
    """
    names = sorted({n for counts, _ in measured for n, count in counts.items() if count})
    rows = np.zeros((len(measured), len(names)))
    for row, (counts, taken) in zip(rows, measured, strict=True):
        for name, count in counts.items():
            if count:
                row[names.index(name)] = count / taken
    weights = np.ones(len(rows))
    for _ in range(20):  # towards least absolute errors: a disturbed measurement counts little
        constants = _least_squares(rows * weights[:, None], weights)
        weights = 1 / np.sqrt(np.maximum(np.abs(rows @ constants - 1), 0.05))
    return dict(zip(names, map(float, constants), strict=True))


def table(calibration: Calibration) -> dict[str, Any]:
    """What `costs.load_costs` reads, with what it was measured on."""
    errors = np.abs(calibration.errors)
    return {
        "costs_version": TABLE_VERSION,
        "machine": machine(torch.device(calibration.device)),
        "devices": {calibration.device: dataclasses.asdict(calibration.costs)},
        "fit": {
            "cases": len(errors),
            "median_error": float(np.median(errors)),
            "largest_error": float(errors.max()),
        },
    }


def usual_latencies(device: torch.device, *, quick: bool = False) -> LatencyTable:
    """Latencies of the layers that usual networks have, one sample at a time, K × D of DASH."""
    latencies = LatencyTable(device)
    few = 1 if quick else None
    widths, lengths, sides = (16, 32, 64)[:few], (150, 427, 1000)[:few], (32, 16, 8)[:few]
    lines = [_layer(width, (1, n)) for width, n in itertools.product(widths, lengths)]
    planes = [_layer(width, (n, n)) for width, n in zip(widths, sides, strict=True)]
    latencies.fill(lines, [c.on_plane() for c in SearchSpace.default(1).choices(dims=1)])
    latencies.fill(planes, SearchSpace.default(2).choices(dims=2))
    return latencies


def _layer(channels: int, size: tuple[int, ...]) -> ConvShape:
    return ConvShape(batch=1, ins=channels, outs=channels, size=size, stride=(1, 1))


def _time(case: Case, device: torch.device, budget: float) -> float:
    generator = torch.Generator().manual_seed(0)
    geometry = Geometry.of(case.kernels)
    tail = (case.outs, case.shape[1] // case.groups)
    x, weight, slope = (
        torch.randn(shape, generator=generator).to(device)
        for shape in (
            case.shape,
            (geometry.rows, *tail),
            (case.shape[0], case.outs, *case.setting.out(case.shape[2:])),
        )
    )
    coefficients = torch.full((len(case.kernels),), 1 / len(case.kernels), device=device)
    wanted = (x.requires_grad_(), weight.requires_grad_(), coefficients.requires_grad_())

    def run() -> None:
        y = convolve_all(x, weight, coefficients, geometry, None, case.setting, case.path)
        torch.autograd.grad(y, wanted, slope)

    return fastest({"": run}, device, budget=budget)[""]


def _work(case: Case) -> dict[str, float]:
    geometry = Geometry.of(case.kernels)
    return dict(work(case.path, geometry, None, case.shape, case.outs, case.setting))


def _least_squares(rows: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> Any:
    """The x ≥ 0 with the least ‖rows · x − wanted‖², a coordinate at a time."""
    scale = np.linalg.norm(rows, axis=0)
    scale[scale == 0] = 1
    rows = rows / scale
    gram, target = rows.T @ rows, rows.T @ wanted
    x = np.zeros(len(target))
    for _ in range(2000):
        before = x.copy()
        for i in range(len(x)):
            if gram[i, i]:
                x[i] = max(0.0, x[i] - (gram[i] @ x - target[i]) / gram[i, i])
        if np.abs(x - before).max() <= 1e-6 * np.abs(x).max():
            break
    return x / scale
