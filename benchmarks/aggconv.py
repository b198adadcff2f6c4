"""Time one aggregated convolution, forward and backward, along every path.

    python benchmarks/aggconv.py [--quick] [--json FILE]

Curves: the sum of one convolution per choice (``mixed_results``), the aggregated kernel run
``direct``ly or in the frequency domain (``fourier``), the cheaper of the two as guessed
(``auto``), and ``kron``, a stand-in for the layer DASH released, written from its description:
every choice's weight dilated by a Kronecker product and zero-padded to the widest, summed with
α, then one FFT of length n + 2p.

What is measured: minimum over interleaved repeats of `time.process_time`, forward and backward
with input gradient, one thread. A case that takes long is repeated less. Values are compared
first, so every curve computes the same.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dashzoo_search.ops import AggConv
from dashzoo_search.ops.cost import cheaper, direct_seconds
from dashzoo_search.spec import Choice, SearchSpace

CURVES = ("mixed_results", "direct", "fourier", "auto", "kron")
LONGEST = 20.0  # seconds; a direct convolution estimated above is left out


def main() -> None:
    """Run all cases, print a table, write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small cases only, fewer repeats")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--skip", nargs="*", default=[], choices=CURVES, help="leave out a curve")
    parser.add_argument("--json", type=Path, help="write results to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    curves = [curve for curve in CURVES if curve not in options.skip]
    print(f"{'case':30}", *(f"{curve:>14}" for curve in curves), f"{'auto takes':>11}", sep="")
    rows = []
    for name, batch, channels, size, space in cases(quick=options.quick):
        if options.only not in name:
            continue
        offsets = layer(channels, space, "auto").geometry.offsets
        kept = tuple(o for o in offsets if all(abs(a) < n for a, n in zip(o, size, strict=True)))
        shape = (kept, batch, (channels, channels), size, (1,) * len(size), 1)
        path = cheaper(*shape)
        feasible = [c for c in curves if c != "direct" or direct_seconds(*shape) < LONGEST]
        times = measure(batch, channels, size, space, feasible, budget=2 if options.quick else 6)
        row = {"case": name, "batch": batch, "channels": channels, "size": size, "path": path}
        rows.append({**row, "ms": times})
        best = min(times[curve] for curve in ("direct", "fourier") if curve in times)
        cells = [
            f"{times[curve]:8.2f} {times[curve] / best:4.1f}×" if curve in times else "–"
            for curve in curves
        ]
        print(f"{name:30}", *(f"{cell:>14}" for cell in cells), f"{path:>11}", sep="", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")


def cases(*, quick: bool) -> list[tuple[str, int, int, tuple[int, ...], list[Choice]]]:
    """Name, batch, channels in and out, size, choices."""
    found: list[tuple[str, int, int, tuple[int, ...], list[Choice]]] = []
    for batch, channels in [(4, 16)] if quick else [(4, 16), (32, 64)]:
        for c in range(1, 8):
            space = SearchSpace(
                kernels=tuple(range(3, 2 * c + 2, 2)),
                dilations=tuple(2**j - 1 for j in range(1, c + 1)),
            )
            name = f"n=1000 b={batch} {channels}ch c={c}"
            found.append((name, batch, channels, (1000,), list(space.choices(dims=1))))
    for n in (150, 427):
        plane = [choice.on_plane() for choice in SearchSpace.default(1).choices(dims=1)]
        found.append((f"supernet 1×{n} b=32 32ch", 32, 32, (1, n), plane))
    image = list(SearchSpace.default(2).choices(dims=2))
    for batch, channels, side in [(16, 16, 32), (16, 32, 16), (16, 64, 8)]:
        name = f"supernet {side}×{side} b={batch} {channels}ch"
        found.append((name, batch, channels, (side, side), image))
    return found


def layer(channels: int, choices: list[Choice], strategy: str) -> AggConv:
    """The layer under test, drawn alike for every strategy."""
    torch.manual_seed(0)
    made = AggConv(channels, channels, choices, strategy=strategy)
    torch.nn.init.normal_(made.alpha)
    return made


def measure(
    batch: int,
    channels: int,
    size: tuple[int, ...],
    choices: list[Choice],
    curves: list[str],
    *,
    budget: float,
) -> dict[str, float]:
    """Milliseconds per curve: the minimum over repeats that take turns."""
    runs: dict[str, Callable[[Tensor], Tensor]] = {}
    for curve in curves:
        made = layer(channels, choices, "direct" if curve == "kron" else curve)
        runs[curve] = (lambda x, m=made: kron(m, x)) if curve == "kron" else made
    x = torch.randn(batch, channels, *size, requires_grad=True)
    slope = torch.randn(batch, channels, *size)
    expected = runs[curves[0]](x).detach()
    spent: dict[str, float] = {}
    for curve, run in runs.items():
        got = run(x).detach()
        assert (got - expected).abs().max() <= 1e-5 * expected.abs().max(), curve
        spent[curve] = once(run, x, slope)
    best = dict(spent)
    for turn in range(200):
        for curve, run in runs.items():
            if turn < 3 or spent[curve] < budget / len(runs):
                if turn and spent[curve] > 4 * budget:
                    continue
                seconds = once(run, x, slope)
                spent[curve] += seconds
                best[curve] = min(best[curve], seconds)
    return {curve: 1000 * seconds for curve, seconds in best.items()}


def once(run: Callable[[Tensor], Tensor], x: Tensor, slope: Tensor) -> float:
    """CPU seconds of one forward and backward."""
    x.grad = None
    start = time.process_time()
    y = run(x)
    y.backward(slope)
    return time.process_time() - start


def kron(made: AggConv, x: Tensor) -> Tensor:
    """The released layer, from its description."""
    widest = [max(choice.extent[a] for choice in made.choices) for a in range(made.dims)]
    total: Tensor | None = None
    for index, (alpha, choice) in enumerate(zip(made.coefficients(), made.choices, strict=True)):
        pattern = torch.zeros(choice.dilation)
        pattern[(0,) * made.dims] = 1
        dilated = torch.kron(made.choice_weight(index).contiguous(), pattern)
        dilated = dilated[(..., *(slice(0, extent) for extent in choice.extent))]
        pads = [(w - e) // 2 for w, e in zip(widest, choice.extent, strict=True)]
        full = torch.nn.functional.pad(dilated, [p for pad in reversed(pads) for p in (pad, pad)])
        total = alpha * full if total is None else total + alpha * full
    assert total is not None
    half = [w // 2 for w in widest]
    padded = torch.nn.functional.pad(x, [p for pad in reversed(half) for p in (pad, pad)])
    length = padded.shape[2:]
    axes = list(range(-made.dims, 0))
    signal = torch.fft.rfftn(padded, dim=axes)
    kernel = torch.fft.rfftn(total, s=length, dim=axes).conj()
    mixed = torch.einsum("bi...,oi...->bo...", signal, kernel)
    y = torch.fft.irfftn(mixed, s=length, dim=axes)
    y = y[(..., *(slice(0, n) for n in x.shape[2:]))]
    return y if made.bias is None else y + made.bias.view(-1, *(1,) * made.dims)


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    return {
        "cpu": model or platform.processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "seed": 0,
    }


if __name__ == "__main__":
    main()
