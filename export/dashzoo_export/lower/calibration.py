"""Fit the constants of the lowering's cost model to a provider: single layers in ONNX Runtime.

Sequences and planes of several sizes are timed as an ordinary convolution and as the cheapest plan
of matrices, and the constants are what fits best in relative terms with none negative. About two
minutes, most of it spent on writing the models.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dashzoo_export.lower.cost import (
    LoweringCosts,
    Work,
    best_plan,
    direct_work,
    matmul_work,
    milliseconds,
)
from dashzoo_export.lower.matmul import DFTMatmulConv
from dashzoo_export.lower.plane import PlaneConv
from dashzoo_export.lower.timing import conv_model, layer_model, time_models
from dashzoo_export.providers import Provider, require_runtime
from dashzoo_search.ops.calibration import fit_counts
from dashzoo_search.ops.latency import machine

__all__ = ["Calibration", "calibrate", "cases"]

DEAREST = 2e9  # multiply-accumulates of a direct convolution that is still timed


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a calibration found.

    Attributes:
        provider: that was measured.
        threads: of the CPU; None for as many as the runtime takes.
        costs: the fitted constants.
        measured: counts of work, and the milliseconds they took, a case each.
    """

    provider: Provider
    threads: int | None
    costs: LoweringCosts
    measured: tuple[tuple[Work, float], ...]

    @property
    def errors(self) -> tuple[float, ...]:
        """Relative error of the fitted costs, a case each."""
        return tuple(milliseconds(work, self.costs) / ms - 1 for work, ms in self.measured)

    def to_json(self) -> dict[str, Any]:
        """What `table.add_to_table` keeps."""
        errors = np.abs(self.errors)
        return {
            "costs": dataclasses.asdict(self.costs),
            "machine": machine(torch.device("cpu" if self.provider == "cpu" else "cuda")),
            "runtime": require_runtime().__version__,
            "threads": self.threads,
            "fit": {
                "cases": len(errors),
                "median_error": float(np.median(errors)),
                "largest_error": float(errors.max()),
            },
        }


def cases(*, quick: bool = False) -> Iterator[tuple[PlaneConv, int]]:
    """Convolutions and batches that tell the constants apart; ``quick`` takes a few of them."""
    every = itertools.chain(_sequences(), _planes())
    return itertools.islice(every, 0, None, 5) if quick else every


def calibrate(
    provider: Provider = "cpu",
    *,
    threads: int | None = 1,
    quick: bool = False,
    budget: float = 0.05,
) -> Calibration:
    """Time `cases` on ``provider`` and fit.

    Args:
        provider: of ONNX Runtime, which must run here.
        threads: of the CPU; None lets the runtime decide.
        quick: a fifth of the cases.
        budget: seconds for each.

    Raises:
        MissingRuntime, MissingProvider: onnxruntime, or the provider in it, is not there.
    """
    known = LoweringCosts()
    measured: list[tuple[Work, float]] = []
    for conv, batch in cases(quick=quick):
        plan = best_plan(conv, known, batch)
        models, works = {}, {}
        if batch * conv.macs < DEAREST:
            models["conv"], works["conv"] = conv_model(conv), direct_work(conv, batch)
        if plan is not None:
            shape = (conv.outs, conv.ins // conv.groups, *conv.kernel)
            weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
            models["dft"] = layer_model(DFTMatmulConv(weight, None, conv, plan), conv)
            works["dft"] = matmul_work(conv, plan, batch)
        taken = time_models(
            models, conv, batch=batch, provider=provider, threads=threads, budget=budget
        )
        measured += [(works[form], ms) for form, ms in taken.items()]
    found = fit_counts([(work, ms / 1000) for work, ms in measured])
    costs = dataclasses.replace(known, **found)
    return Calibration(provider=provider, threads=threads, costs=costs, measured=tuple(measured))


def _sequences() -> Iterator[tuple[PlaneConv, int]]:
    for n, k, channels, batch in [
        (300, 31, 32, 1),
        (300, 151, 32, 16),
        (1000, 11, 32, 1),
        (1000, 63, 32, 16),
        (1000, 127, 32, 1),
        (1000, 127, 64, 16),
        (1000, 511, 16, 1),
        (1000, 1001, 32, 1),
        (4096, 255, 32, 1),
        (8192, 1001, 32, 1),
    ]:
        for groups in (1, channels):
            yield _case((1, n), (1, k), channels, groups), batch


def _planes() -> Iterator[tuple[PlaneConv, int]]:
    for n, k, channels, batch in [
        (14, 7, 64, 1),
        (14, 13, 64, 16),
        (32, 3, 32, 1),
        (32, 9, 32, 16),
        (64, 15, 32, 1),
        (64, 31, 16, 1),
        (64, 31, 32, 4),
        (112, 21, 16, 1),
    ]:
        for groups in (1, channels):
            yield _case((n, n), (k, k), channels, groups), batch


def _case(size: tuple[int, int], kernel: tuple[int, int], channels: int, groups: int) -> PlaneConv:
    before = (kernel[0] // 2, kernel[1] // 2)
    return PlaneConv(
        ins=channels,
        outs=channels,
        size=size,
        out=size,
        kernel=kernel,
        before=before,
        groups=groups,
    )
