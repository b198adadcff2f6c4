"""Peak memory of one aggregated convolution, forward and backward, over c and over n.

    python benchmarks/memory.py [--quick] [--json FILE]

What is measured: every case runs in a process of its own. After a small convolution that loads
all libraries, the high-water mark of resident memory is reset, and what it rises by through one
forward and backward is told: input, output, gradients, weights, constants, scratch, all of it. The
allocator is told to give large blocks back at once. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from aggconv import space
from record import save, write
from released import kronecker

from dashzoo_search.ops import AggConv

CURVES = ("shared", "separate", "fourier, shared", "released")
OVER_C = {"batch": 32, "channels": 64, "n": 1000}
OVER_N = {"batch": 4, "channels": 16, "c": 7}


def main() -> None:
    """Run all cases, print a table, write JSON and a plot if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="c = 1 and 7, shared weights only")
    parser.add_argument("--json", type=Path, help="write results here, and a plot beside")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(measure(**json.loads(options.case)))
        return
    curves = CURVES[:1] if options.quick else CURVES
    cases = [OVER_C | {"c": c} for c in ((1, 7) if options.quick else (1, 3, 5, 6, 7))]
    if not options.quick:
        cases += [OVER_N | {"n": n} for n in (1024, 4096, 16384, 65536)]
    rows = []
    for case in cases:
        found = {curve: in_process(case | {"curve": curve}) for curve in curves}
        rows.append({**case, "mib": found})
        print(rows[-1], flush=True)
    over_c = {row["c"]: row["mib"] for row in rows if row["channels"] == OVER_C["channels"]}
    bars = {curve: round(over_c[7][curve] / over_c[1][curve], 2) for curve in curves}
    print("c=7 over c=1:", bars)
    write(options.json, torch.device("cpu"), c7_over_c1=bars, rows=rows)
    save(draw(rows, curves), options.json)


def in_process(case: dict[str, Any]) -> float:
    """MiB of one case, measured in a process of its own."""
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return round(float(done.stdout), 1)


def measure(batch: int, channels: int, n: int, c: int, curve: str) -> float:
    """MiB that the high-water mark rises by."""
    torch.set_num_threads(1)
    for warm in (curve, "direct", "fourier"):
        run(2, 16, 100, 3, warm)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    run(batch, channels, n, c, curve)
    return (resident("VmHWM") - before) / 1024


def run(batch: int, channels: int, n: int, c: int, curve: str) -> None:
    """One forward and backward, everything made anew."""
    shared = "shared" in curve
    layer = AggConv(
        channels,
        channels,
        space(c).choices(dims=1),
        weights="shared" if shared else "separate",
        strategy={"fourier": "fourier", "direct": "mixed_weights"}.get(
            curve[:7].strip(","), "auto"
        ),
    )
    x = torch.randn(batch, channels, n, requires_grad=True)
    y = kronecker(layer, x) if curve == "released" else layer(x)
    y.backward(torch.randn_like(y))


def resident(field: str) -> int:
    """KiB of this process, from the kernel."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field)))


def draw(rows: list[dict[str, Any]], curves: tuple[str, ...]) -> Any:
    """MiB over c and over n."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.3), layout="constrained")
    for curve in curves:
        for panel, key, channels in ((left, "c", 64), (right, "n", 16)):
            points = [(r[key], r["mib"][curve]) for r in rows if r["channels"] == channels]
            if points:
                panel.plot(*zip(*points, strict=True), marker="o", markersize=3, label=curve)
    left.set(title="n=1000, 32, 64→64", xlabel="c", ylabel="peak, MiB", ylim=0)
    right.set(title="c=7, 4, 16→16", xlabel="n", ylabel="peak, MiB", xscale="log", yscale="log")
    left.legend(fontsize=7)
    return figure


if __name__ == "__main__":
    main()
