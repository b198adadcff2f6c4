"""Time one training step of a supernet against one of the plain network it was made from.

    python benchmarks/supernet_step.py [--quick] [--json FILE] [--device cuda]

The 1-D residual network `wrn1d`, widths 16 and 32, on OSULeaf (427 samples long, 6 classes), batch
32, K = {3, 7, 11, 15, 19}, D = {1, 3, 7, 15}. A step is forward, loss, backward to weights and α,
and AdamW; both networks take turns, minimum process-CPU time on one thread (events on CUDA).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from record import write
from torch import Tensor, nn

from dashzoo_search.networks.convs import replace_module
from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.ops import AggConv
from dashzoo_search.ops.stopwatch import fastest
from dashzoo_search.spec import SearchSpace
from dashzoo_search.supernet import build_supernet
from dashzoo_search.tasks.load import load_task

BATCH = 32
CURVES = ("auto", "auto, shared", "fourier", "per_dilation", "mixed_results")


def main() -> None:
    """Run both widths, print a table, write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="width 16, auto only")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write results here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    split = load_task("ucr/OSULeaf").train
    x = torch.from_numpy(split.X)[:BATCH].to(device)
    y = torch.from_numpy(split.y)[:BATCH].to(device)
    rows = []
    for width in (16,) if options.quick else (16, 32):
        curves = CURVES[: 1 if options.quick else None]
        runs = {"plain": step(network(width).to(device), x, y)}
        for curve in curves:
            runs[curve] = step(supernet(width, curve, x.shape[2:]).to(device), x, y)
        timed = fastest(runs, device, budget=2.0 if options.quick else 6.0)
        row = {
            "width": width,
            "ms": {name: round(1000 * t, 2) for name, t in timed.items()},
            "over_plain": {name: round(timed[name] / timed["plain"], 3) for name in curves},
        }
        rows.append(row)
        print(row, flush=True)
    write(options.json, device, rows=rows)


def network(width: int) -> SearchedNet:
    """The plain network."""
    torch.manual_seed(0)
    arguments = {"width": width}
    return SearchedNet("wrn1d", dims=1, in_chans=1, num_classes=6, backbone_args=arguments)


def supernet(width: int, curve: str, size: tuple[int, ...]) -> nn.Module:
    """The supernet over it."""
    made = build_supernet(network(width), SearchSpace.default(1), tuple(size))
    strategy, _, shared = curve.partition(", ")
    for name, layer in made.layers.items():
        layer.strategy = strategy
        if shared:
            other = AggConv(
                layer.in_channels,
                layer.out_channels,
                layer.choices,
                stride=layer.stride,
                groups=layer.groups,
                bias=layer.bias is not None,
                weights=shared,
                strategy=strategy,
            )
            replace_module(made.network.backbone, name, other)
    return made


def step(net: nn.Module, x: Tensor, y: Tensor) -> Callable[[], Any]:
    """One training step of ``net``, again and again."""
    optimizer = torch.optim.AdamW(net.train().parameters(), lr=1e-4)

    def run() -> None:
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()

    return run


if __name__ == "__main__":
    main()
