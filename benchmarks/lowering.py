"""Time single convolutions in every form they can be exported in, and what auto picks.

    python benchmarks/lowering.py [--quick] [--json FILE]

Sequences and planes, dense and depthwise, 32 channels each way, batch 1 and 16, float32. ONNX
Runtime on one CPU thread: ``conv``, ``dft_matmul`` and, where auto takes a Fourier transform,
``dft_op``, whose lengths are powers of two. Beside them, on the 5-smooth lengths that FFTs like,
the operator as exporting `torch.fft` gives it (``plain_op``), and `torch.fft` (``torch_fft``).
Spectra of kernels are at hand everywhere. All of a row take turns in one process; what counts is
the least process-CPU time. Values are compared first.

What auto picks comes from the constants that come with the package, or from the table that
DASHZOO_COSTS names. A form that would take above a second is left out; there another is faster.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.ticker import NullLocator
from record import save, write
from torch import Tensor, nn

from dashzoo_export.latency import bound
from dashzoo_export.lower import DFTMatmulConv, lowering_costs
from dashzoo_export.lower.cost import best_plan, choose
from dashzoo_export.lower.dft_op import DFTOpConv
from dashzoo_export.lower.plan import Axis, Plan, whole
from dashzoo_export.lower.plane import PlaneConv
from dashzoo_export.lower.timing import conv_model, layer_model
from dashzoo_export.session import open_session
from dashzoo_search.ops.stopwatch import fastest
from dashzoo_search.ops.transforms import smooth_length

FORMS = ("conv", "dft_matmul", "dft_op")
CURVES = (*FORMS, "plain_op", "torch_fft")
CHANNELS = 32
BATCHES = (1, 16)
DEAREST = 2e10  # multiply-accumulates: about a second
CPU = torch.device("cpu")
SETTINGS = [
    # name, size, kernels as (k, d), batches
    ("n=1000", (1, 1000), [(k, 1) for k in (3, 11, 31, 63, 127, 255, 511, 1001)], BATCHES),
    ("n=1000", (1, 1000), [(11, 15), (11, 127)], BATCHES),
    ("n=8192", (1, 8192), [(11, 127), (63, 1), (255, 1), (1001, 1)], (1,)),
    ("16×16", (16, 16), [(3, 1), (7, 1), (15, 1)], BATCHES),
    ("64×64", (64, 64), [(3, 1), (7, 1), (7, 15), (15, 1), (31, 1), (63, 1)], BATCHES),
    ("224×224", (224, 224), [(7, 1), (31, 1)], (1,)),
]


def main() -> None:
    """Run all rows, print a table and the bars, write JSON and a plot if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one row in six")
    parser.add_argument("--json", type=Path, help="write results here, and a plot beside")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'layer':34}", *(f"{curve:>19}" for curve in CURVES), "  auto takes", sep="")
    rows = []
    for name, conv, batches in list(convs())[:: 6 if options.quick else 1]:
        for row in case(name, conv, batches):
            rows.append(row)
            tell(row)
    found = bars(rows)
    write(options.json, CPU, bars=found, rows=rows)
    save(draw(rows), options.json)
    for bar in found:
        print(f"{bar['bar']}: {bar['measured']} (wanted: {bar['wanted']})")


def convs() -> Iterator[tuple[str, PlaneConv, tuple[int, ...]]]:
    """Setting, convolution and batches of every row."""
    for name, size, kernels, batches in SETTINGS:
        for groups in (1, CHANNELS):
            for k, d in kernels:
                kernel = tuple(k if n > 1 else 1 for n in size)
                before = tuple(d * (n - 1) // 2 for n in kernel)
                conv = PlaneConv(
                    ins=CHANNELS,
                    outs=CHANNELS,
                    size=size,
                    out=size,
                    kernel=kernel,
                    dilation=(d, d),
                    before=before,
                    groups=groups,
                )
                if conv.macs < 2 * DEAREST:
                    yield f"{name} {'depthwise' if groups > 1 else 'dense'}", conv, batches


def case(name: str, conv: PlaneConv, batches: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """One row for each batch."""
    torch.manual_seed(0)
    weight = torch.randn(conv.outs, conv.ins // conv.groups, *conv.kernel) / conv.macs**0.25
    models: dict[str, bytes] = {}

    def session(form: str, plan: Plan | None = None) -> Any:
        key = f"{form} {plan}"
        if key not in models and form == "conv":
            models[key] = conv_model(conv, weight.numpy())
        elif key not in models:
            models[key] = layer_model(module(form, weight, conv, plan), conv)
        return open_session(models[key], threads=1)

    reference = TorchFFT(weight, conv)
    for batch in batches:
        picked = choose(conv, "auto", lowering_costs(), batch=batch)
        plan = best_plan(conv, lowering_costs(), batch)
        sessions = {}
        if batch * conv.macs < DEAREST:
            sessions["conv"] = session("conv")
        if plan is not None:
            sessions["dft_matmul"] = session("dft_matmul", plan)
        if picked.form != "conv":
            sessions["dft_op"] = session("dft_op")
            sessions["plain_op"] = session("plain_op", smooth(conv))
        x = torch.randn(batch, conv.ins, *conv.size)
        expected = reference(x)
        runs: dict[str, Callable[[], object]] = {"torch_fft": lambda x=x: reference(x)}
        errors = {}
        for form, each in sessions.items():
            runs[form], binding = bound(each, x.numpy(), "cpu")
            runs[form]()
            gap = torch.from_numpy(binding.copy_outputs_to_cpu()[0]) - expected
            errors[form] = float(gap.abs().max() / expected.abs().max())
            assert form == "plain_op" or errors[form] <= 1e-5, (name, conv, form, errors)
        taken = fastest(runs, CPU, budget=0.15, most=60, clock=time.process_time)
        yield {
            "setting": name,
            "kernel": max(conv.kernel),
            "dilation": conv.dilation[1],
            "batch": batch,
            "auto_takes": picked.form,
            "plan": str(plan) if plan else None,
            "ms": {form: round(1000 * taken[form], 4) for form in CURVES if form in taken},
            "predicted_ms": {form: round(ms, 4) for form, ms in picked.predicted_ms.items()},
            "errors": {form: float(f"{error:.1e}") for form, error in errors.items()},
        }


def module(form: str, weight: Tensor, conv: PlaneConv, plan: Plan | None) -> nn.Module:
    """The layer in a form by Fourier transform."""
    if form == "dft_matmul":
        assert plan is not None
        return DFTMatmulConv(weight, None, conv, plan)
    return DFTOpConv(weight, None, conv, plan)


def smooth(conv: PlaneConv) -> Plan:
    """One segment of 5-smooth lengths."""
    plan = whole(conv)

    def rounded(axis: Axis) -> Axis:
        return dataclasses.replace(axis, length=smooth_length(axis.length))

    height = plan.height if plan.flat else rounded(plan.height)
    return dataclasses.replace(plan, height=height, width=rounded(plan.width))


class TorchFFT:
    """The convolution by `torch.fft`, with the kernel's spectrum computed beforehand.

    Args:
        weight: [o, c / groups, k, k].
        conv: its channels and plane, stride 1.
    """

    def __init__(self, weight: Tensor, conv: PlaneConv) -> None:
        self.conv, plan = conv, smooth(conv)
        self.axes = (3,) if conv.flat else (2, 3)
        self.lengths = (plan.height.length, plan.width.length)[-len(self.axes) :]
        # Tap j of an axis reads the sample d·j − p on: on a circle, taps wrap around.
        places = [
            (d * torch.arange(k) - p) % n
            for k, d, p, n in zip(
                conv.kernel, conv.dilation, conv.before, (1, *self.lengths)[-2:], strict=True
            )
        ]
        laid = torch.zeros(*weight.shape[:2], *(1, *self.lengths)[-2:])
        laid[:, :, places[0][:, None], places[1]] = weight
        spectrum = torch.fft.rfftn(laid, dim=self.axes).conj()
        # Frequency first, as products of matrices want it.
        first = spectrum if conv.depthwise else spectrum.flatten(2).permute(2, 1, 0)
        self.spectrum = first.resolve_conj().contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        """[b, c, h, w] → [b, o, h, w]."""
        z = torch.fft.rfftn(x, s=self.lengths, dim=self.axes)
        if self.conv.depthwise:
            z = z * self.spectrum[:, 0]
        else:
            bins = z.shape[2:]
            z = z.flatten(2).permute(2, 0, 1) @ self.spectrum
            z = z.permute(1, 2, 0).reshape(len(x), -1, *bins)
        y = torch.fft.irfftn(z, s=self.lengths, dim=self.axes)
        return y[:, :, : self.conv.out[0], : self.conv.out[1]]


def tell(row: dict[str, Any]) -> None:
    """One line of the table."""
    best = min(ms for form, ms in row["ms"].items() if form in FORMS)
    cells = [
        f"{row['ms'][c]:9.3f} {row['ms'][c] / best:8.2f}×" if c in row["ms"] else "–"
        for c in CURVES
    ]
    name = f"{row['setting']} k={row['kernel']} d={row['dilation']} B={row['batch']}"
    print(f"{name:36}", *(f"{c:>19}" for c in cells), f"  {row['auto_takes']}", sep="", flush=True)


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the project promises, as measured in this run."""
    picks = [
        row["ms"][row["auto_takes"]] / min(ms for form, ms in row["ms"].items() if form in FORMS)
        for row in rows
    ]
    chosen = [row["ms"] for row in rows if row["auto_takes"] == "dft_matmul"]
    over_op = [ms["dft_op"] / ms["dft_matmul"] for ms in chosen]
    over_plain = [ms["plain_op"] / ms["dft_matmul"] for ms in chosen]
    over_torch = [ms["dft_matmul"] / ms["torch_fft"] for ms in chosen]
    return [
        {
            "bar": "rows where auto is within 1.25 of the fastest form",
            "wanted": "≥ 95 %",
            "measured": f"{np.mean([p <= 1.25 for p in picks]):.1%} of {len(rows)}",
        },
        {
            "bar": "auto over the fastest form, at worst",
            "wanted": "≤ 1.5",
            "measured": round(max(picks), 3),
        },
        {
            "bar": "dft_op over dft_matmul where FFT is chosen, least and median",
            "wanted": "≥ 20",
            "measured": f"{min(over_op):.1f}, {float(np.median(over_op)):.1f}",
        },
        {
            "bar": "plain_op over dft_matmul where FFT is chosen, least and median",
            "wanted": "≥ 20",
            "measured": f"{min(over_plain):.1f}, {float(np.median(over_plain)):.1f}",
        },
        {
            "bar": "dft_matmul over torch_fft where FFT is chosen, at worst and median",
            "wanted": "≤ 3",
            "measured": f"{max(over_torch):.2f}, {float(np.median(over_torch)):.2f}",
        },
    ]


def draw(rows: list[dict[str, Any]]) -> Any:
    """Time over kernel size for rows without dilation, a panel for each setting and batch."""
    panels = list(dict.fromkeys((row["setting"], row["batch"]) for row in rows))
    across = min(4, len(panels))
    down = -(-len(panels) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(3.6 * across, 2.9 * down), squeeze=False, layout="constrained"
    )
    for panel, (setting, batch) in zip(axes.flat, panels, strict=False):
        mine = [
            row
            for row in rows
            if (row["setting"], row["batch"], row["dilation"]) == (setting, batch, 1)
        ]
        for number, curve in enumerate(CURVES):
            points = [(row["kernel"], row["ms"][curve]) for row in mine if curve in row["ms"]]
            if points:
                style = {"color": f"C{number}", "marker": "o", "markersize": 3, "label": curve}
                panel.plot(*zip(*points, strict=True), **style)
        picks = [(row["kernel"], row["ms"][row["auto_takes"]]) for row in mine]
        if picks:
            panel.scatter(
                *zip(*picks, strict=True), s=60, facecolors="none", edgecolors="black", label="auto"
            )
        panel.set(
            title=f"{setting}, batch {batch}", xlabel="k", ylabel="ms", xscale="log", yscale="log"
        )
        sizes = sorted({row["kernel"] for row in mine})
        panel.set_xticks(sizes, map(str, sizes))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.grid(alpha=0.3)
    for panel in axes.flat[len(panels) :]:
        panel.remove()
    axes.flat[0].legend(fontsize=7)
    return figure


if __name__ == "__main__":
    main()
