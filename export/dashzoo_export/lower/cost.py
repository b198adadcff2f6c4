"""Which form of a convolution is cheaper: counts of work, times constants.

| constant, seconds | one for each |
|---|---|
| start | convolution |
| row_mac, row_channel_mac | multiply-accumulate of a sequence's convolution, dense and depthwise |
| plane_mac, plane_channel_mac | the same of a plane's |
| dft_start | convolution by matrices |
| transform_mac | multiply-accumulate of a transform's products |
| mix_mac | multiply-accumulate of channels, frequency by frequency |
| value | number that is written: turned, cut, transformed, or multiplied on its own |
| far_value | the same where its tensor has outgrown the cache |
| constant | byte of matrices and spectrum |

Direct convolution is kept unless it is `MARGIN` times as dear, for it is simpler and takes any
length.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dashzoo_export.lower.plan import SPECTRUM_LIMIT, Plan, plans, spectrum_bytes
from dashzoo_export.lower.plane import PlaneConv
from dashzoo_export.lower.record import LoweredLayer

__all__ = [
    "MARGIN",
    "LoweringCosts",
    "best_plan",
    "choose",
    "direct_work",
    "matmul_work",
    "milliseconds",
]

MARGIN = 1.2
LANES = 16
CACHED = 500_000  # numbers of float32; a core's own cache holds 1 to 2 MB

Work = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweringCosts:
    """Seconds for one of each thing that is counted; the defaults are one AVX-512 core's."""

    start: float = 5.7e-06
    row_mac: float = 2.1e-11
    row_channel_mac: float = 3.2e-11
    plane_mac: float = 2.1e-11
    plane_channel_mac: float = 3.1e-11
    dft_start: float = 1e-05
    transform_mac: float = 2.2e-11
    mix_mac: float = 4.1e-11
    value: float = 1.9e-10
    far_value: float = 5.1e-10
    constant: float = 6.7e-11


def milliseconds(work: Work, costs: LoweringCosts) -> float:
    """Counts times constants."""
    return 1000 * math.fsum(count * getattr(costs, name) for name, count in work.items())


def direct_work(conv: PlaneConv, batch: int = 1) -> Work:
    """Count what an ordinary convolution does."""
    shape = "row" if conv.flat else "plane"
    if conv.depthwise:
        return {"start": 1, f"{shape}_channel_mac": batch * conv.macs}
    outs = conv.outs // conv.groups  # worked on LANES at a time, whether there or not
    return {"start": 1, f"{shape}_mac": batch * conv.macs * LANES * math.ceil(outs / LANES) / outs}


def matmul_work(conv: PlaneConv, plan: Plan, batch: int = 1) -> Work:
    """Count what `matmul.DFTMatmulConv` does."""
    (k1, k2), (r1, r2), (m1, m2) = plan.grid, plan.rows_in, plan.rows_out
    lines = batch * plan.tiles
    signals = lines * conv.ins, lines * conv.outs
    first = 2 * k1 * (r1 * r2 * signals[0] + m1 * m2 * signals[1])
    second = 4 * k1 * k2 * (r2 * signals[0] + m2 * signals[1]) if k2 > 1 else 0
    matrices = 2 * k1 * (r1 + m1)
    if k2 > 1:
        matrices += 4 * k2 * (r2 + m2) * (k1 if plan.factors else 1)
    pairs = conv.outs * (conv.ins // conv.groups)
    written = {"value": 0, "far_value": 0}
    for count, times in _written(plan, signals):
        written["far_value" if count > CACHED else "value"] += count * times
    return {
        "dft_start": 1,
        "transform_mac": first + second,
        "mix_mac": 0 if conv.depthwise else 4 * plan.frequencies * lines * pairs,
        **written,
        "constant": 4 * matrices + spectrum_bytes(conv, plan),
    }


def _written(plan: Plan, signals: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """How many numbers each stage of `matmul.DFTMatmulConv` writes, and how many times over."""
    (k1, k2), (_, r2), (_, m2) = plan.grid, plan.rows_in, plan.rows_out
    cut = plan.tiles > 1
    yield math.prod(plan.rows_in) * signals[0], 3 if cut else 1
    yield 2 * k1 * r2 * signals[0], 1
    if k2 > 1:
        yield 2 * plan.frequencies * signals[0], 1
    # Taken apart, multiplied and put together: depthwise number by number, else after the product.
    yield 2 * plan.frequencies * signals[1], 5
    if k2 > 1:
        yield 2 * k1 * m2 * signals[1], 1
    yield math.prod(plan.rows_out) * signals[1], 4 if cut else 3


def choose(
    conv: PlaneConv,
    wanted: str,
    costs: LoweringCosts,
    *,
    batch: int = 1,
    only_direct: str = "",
) -> LoweredLayer:
    """Decide on a form.

    Args:
        conv: the convolution.
        wanted: ``"auto"``, or a form, which is given if the layer has it.
        costs: constants.
        batch: samples at a time.
        only_direct: why the layer can only be ``conv``, if so.
    """
    known = {"conv": milliseconds(direct_work(conv, batch), costs)}
    plan = None if only_direct else best_plan(conv, costs, batch)
    if plan is not None:
        known["dft_matmul"] = milliseconds(matmul_work(conv, plan, batch), costs)
    form, reason = wanted, "asked for"
    if only_direct:
        form, reason = "conv", only_direct
    elif plan is None and wanted in ("auto", "dft_matmul"):
        form, reason = "conv", f"its spectrum exceeds {SPECTRUM_LIMIT / 1e6:.0f} MB"
    elif wanted == "auto":
        form, reason = "conv", "cheaper"
        if known["conv"] > MARGIN * known["dft_matmul"]:
            form = "dft_matmul"
    return LoweredLayer(
        form=form,
        reason=reason,
        conv=conv,
        plan=plan if form == "dft_matmul" else None,
        predicted_ms=known,
    )


def best_plan(conv: PlaneConv, costs: LoweringCosts, batch: int = 1) -> Plan | None:
    """The cheapest layout, or None if every one has too large a spectrum."""
    return min(
        plans(conv),
        key=lambda plan: milliseconds(matmul_work(conv, plan, batch), costs),
        default=None,
    )


def constants() -> tuple[str, ...]:
    """Names of `LoweringCosts`."""
    return tuple(field.name for field in dataclasses.fields(LoweringCosts))
