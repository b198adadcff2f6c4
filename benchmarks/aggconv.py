"""Time one aggregated convolution, forward and backward, along every path.

    python benchmarks/aggconv.py [--quick] [--json FILE] [--device cuda]

Choices at c are K = {3, 5, …, 2c+1} × D = {1, 3, …, 2^c − 1}, the same operator on every curve:
each strategy of `AggConv`, ``auto`` with separate and with shared weights, and ``released``, a
stand-in for the layer that DASH released (`released.py`). Full and depthwise, 1-D and 2-D.

What is measured: minimum over interleaved repeats, forward and backward with input gradient; on
CPU one thread and process-CPU time, on CUDA events. A case that takes long is repeated less.
Values are compared first, so every curve computes the same.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from record import save, write
from released import kronecker
from torch import Tensor

from dashzoo_search.ops import AggConv
from dashzoo_search.ops.cost import cheapest, seconds, work
from dashzoo_search.ops.costs import costs_for
from dashzoo_search.ops.stopwatch import fastest
from dashzoo_search.spec import SearchSpace

STRATEGIES = ("mixed_results", "per_dilation", "mixed_weights", "fourier", "auto")
CURVES = (*STRATEGIES, "shared", "released")
RELEASED = ("mixed_results", "mixed_weights", "released")
LONGEST = 3.0  # seconds; what is estimated above is left out
SETTINGS = [
    # name, batch, channels, size, depthwise, largest c
    ("n=1000, 4, 16→16", 4, 16, (1000,), False, 7),
    ("n=1000, 32, 64→64", 32, 64, (1000,), False, 7),
    ("n=1000, 4, 16 depthwise", 4, 16, (1000,), True, 7),
    ("n=1000, 32, 64 depthwise", 32, 64, (1000,), True, 7),
    ("64×64, 4, 16→16", 4, 16, (64, 64), False, 4),
    ("64×64, 4, 16 depthwise", 4, 16, (64, 64), True, 4),
]


def main() -> None:
    """Run all cases, print a table, write JSON and a plot if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="c = 1, 3 and 7 of the first setting")
    parser.add_argument("--only", default="", help="settings whose name contains this")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write results here, and a plot beside")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    print(f"{'case':32}", *(f"{curve:>16}" for curve in CURVES), "  auto takes", sep="")
    rows = []
    for name, batch, channels, size, depthwise, most in SETTINGS[: 1 if options.quick else None]:
        if options.only not in name:
            continue
        for c in (1, 3, 7) if options.quick else range(1, most + 1):
            for precision in precisions(device):
                row = case(c, batch, channels, size, depthwise, device, precision)
                rows.append({"setting": name, **row})
                tell(rows[-1])
    write(options.json, device, bars=bars(rows), rows=rows)
    save(draw(rows), options.json)
    for bar in bars(rows):
        print(bar)


def space(c: int) -> SearchSpace:
    """The choices at c."""
    return SearchSpace(
        kernels=tuple(range(3, 2 * c + 2, 2)), dilations=tuple(2**j - 1 for j in range(1, c + 1))
    )


def precisions(device: torch.device) -> tuple[str, ...]:
    """Ways to compute: all three where there is a GPU to tell them apart."""
    return ("fp32", "tf32", "bf16") if device.type == "cuda" else ("fp32",)


def case(
    c: int,
    batch: int,
    channels: int,
    size: tuple[int, ...],
    depthwise: bool,
    device: torch.device,
    precision: str,
) -> dict[str, Any]:
    """Milliseconds of every curve."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    groups = channels if depthwise else 1

    def layer(strategy: str, weights: str = "separate") -> AggConv:
        torch.manual_seed(0)
        made = AggConv(
            channels,
            channels,
            space(c).choices(dims=len(size)),
            groups=groups,
            strategy=strategy,
            weights=weights,
            device=device,
        )
        torch.nn.init.normal_(made.alpha)
        return made

    x = torch.randn(batch, channels, *size, device=device, requires_grad=True)
    slope = torch.randn(batch, channels, *size, device=device)
    runs: dict[str, Callable[[Tensor], Tensor]] = {}
    for strategy in STRATEGIES:
        made = layer(strategy)
        if strategy in ("auto", "fourier") or estimate(made, x, strategy) < LONGEST:
            runs[strategy] = made
    runs["shared"] = layer("auto", "shared")
    made = layer("auto")
    if math.prod(e for e in made.choices[-1].extent) * channels**2 / groups < 2e7:
        runs["released"] = lambda x: kronecker(made, x)
    with torch.no_grad():
        expected = runs["fourier"](x)
        for curve in set(runs) - {"shared"} if precision == "fp32" else ():
            gap = (runs[curve](x) - expected).abs().max() / expected.abs().max()
            assert gap <= 1e-5, (curve, float(gap))
    half = torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else None

    def once(run: Callable[[Tensor], Tensor]) -> None:
        x.grad = None
        with half or nullcontext():
            y = run(x)
        y.backward(slope.to(y.dtype))

    timed = fastest({k: lambda r=r: once(r) for k, r in runs.items()}, device, budget=0.7, most=400)
    path = cheapest(x, channels, made.geometry, None, made.setting)
    return {
        "c": c,
        "precision": precision,
        "auto_takes": path,
        "ms": {curve: round(1000 * t, 4) for curve, t in timed.items()},
    }


def estimate(made: AggConv, x: Tensor, strategy: str) -> float:
    """Seconds by the cost model; one convolution a choice is a sum of its own."""
    costs, shape = costs_for(x.device.type), tuple(x.shape)
    picks = range(len(made.choices)) if strategy == "mixed_results" else [None]
    path = "mixed_weights" if strategy == "mixed_results" else strategy
    found = [
        seconds(work(path, made.geometry, pick, shape, made.out_channels, made.setting), costs)
        for pick in picks
    ]
    return 0.0 if math.isinf(sum(found)) else sum(found)


def tell(row: dict[str, Any]) -> None:
    """One line of the table."""
    best = min(row["ms"][k] for k in STRATEGIES if k in row["ms"])
    cells = [
        f"{row['ms'][k]:9.2f} {row['ms'][k] / best:5.2f}×" if k in row["ms"] else "–"
        for k in CURVES
    ]
    name = f"{row['setting']} c={row['c']} {row['precision']}"
    print(f"{name:32}", *(f"{c:>16}" for c in cells), f"  {row['auto_takes']}", sep="", flush=True)


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The ratios that the project promises, as measured in this run."""
    found = []
    for row in rows:
        ms = row["ms"]
        rivals = [ms[k] for k in {*STRATEGIES, "released"} - {"auto"} if k in ms]
        bar = {"setting": row["setting"], "c": row["c"], "precision": row["precision"]}
        bar["auto_over_fastest"] = round(ms["auto"] / min(rivals), 3)
        # The same without the noise between two runs of one path: auto and the path it took.
        bar["pick_over_fastest"] = round(ms[row["auto_takes"]] / min(rivals), 3)
        offered = [ms[k] for k in RELEASED if k in ms]
        bar["auto_over_best_released"] = round(ms["auto"] / min(offered), 3) if offered else None
        if "released" in ms:
            bar["released_over_auto"] = round(ms["released"] / ms["auto"], 2)
            bar["released_over_shared"] = round(ms["released"] / ms["shared"], 2)
        found.append(bar)
    return found


def draw(rows: list[dict[str, Any]]) -> Any:
    """Time over c, a panel a setting."""
    names = list(dict.fromkeys(row["setting"] for row in rows))
    across = min(3, len(names))
    down = -(-len(names) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(4.2 * across, 3.3 * down), squeeze=False, layout="constrained"
    )
    for panel, name in zip(axes.flat, names, strict=False):
        mine = [r for r in rows if r["setting"] == name and r["precision"] == "fp32"]
        for curve in CURVES:
            points = [(r["c"], r["ms"][curve]) for r in mine if curve in r["ms"]]
            if points:
                strong = curve in ("auto", "released")
                panel.plot(
                    *zip(*points, strict=True),
                    marker="o",
                    markersize=3,
                    linewidth=2.2 if strong else 1.0,
                    label=curve,
                )
        panel.set(title=name, xlabel="c", ylabel="ms, forward + backward", yscale="log")
        panel.grid(alpha=0.3)
    axes.flat[0].legend(fontsize=7)
    return figure


if __name__ == "__main__":
    main()
