"""What it takes to turn a backbone into a supernet, and what training that would take on ImageNet.

    python benchmarks/convert.py [--json FILE]

Measured: process-CPU seconds of `build_supernet` on inputs of 224², K = {3, 5, 7, 9},
D = {1, 3, 7, 15}, and what the high-water mark of resident memory rises by; every case in a process
of its own, Linux only. Computed, from the layers' shapes and the counts of the cost model: weights,
multiply-accumulates and bytes of a training step at batch 128.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from memory import resident
from record import write
from torch import Tensor, nn

from dashzoo_search.networks import SearchedNet
from dashzoo_search.networks.convs import ConvLayer, conv_layers
from dashzoo_search.ops import AggConv
from dashzoo_search.ops.cost import cheapest, work
from dashzoo_search.plan import count_macs
from dashzoo_search.spec import SearchSpace
from dashzoo_search.supernet import Supernet, build_supernet

BACKBONES = (
    "resnet50",
    "convnext_tiny",
    "efficientnet_b0",
    "mobilenetv3_large_100",
    "convmixer_768_32",
)
Kind = Literal["paths", "mixture"]
HOW: tuple[tuple[str, Kind, Literal["separate", "shared"]], ...] = (
    ("paths", "paths", "separate"),
    ("mixture", "mixture", "separate"),
    ("mixture, shared", "mixture", "shared"),
)
SPACE = SearchSpace(kernels=(3, 5, 7, 9), dilations=(1, 3, 7, 15))
SIZE, BATCH = (224, 224), 128
PRODUCTS = {
    **dict.fromkeys(
        ("mac", "mac_wide", "channel_mac", "channel_mac_dilated", "channel_mac_small"), 1
    ),
    **dict.fromkeys(("fourier_fft", "channel_fft", "fourier_planes", "channel_planes"), 2),
    **{"spectrum_fft": 2, "spectrum_mac": 2, "fourier_mac": 4},
}


def main() -> None:
    """Run all cases, print a row for each, write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write results here")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(*json.loads(options.case))))
        return
    rows = []
    for name in BACKBONES:
        rows.append({"name": name, **{how: in_process(name, how) for how, *_ in HOW}})
        print(rows[-1], flush=True)
        write(options.json, torch.device("cpu"), batch=BATCH, size=SIZE, rows=rows)


def in_process(name: str, how: str) -> dict[str, Any]:
    """One case, measured in a process of its own."""
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--case", json.dumps([name, how])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(name: str, how: str) -> dict[str, Any]:
    """Convert one backbone, and reckon what its training would take."""
    torch.set_num_threads(1)
    kind, weights = next((kind, weights) for other, kind, weights in HOW if other == how)
    net = SearchedNet(name, dims=2, in_chans=3, num_classes=1000)
    with torch.no_grad():
        net.eval()(net.example_input(SIZE, batch=2))  # loads what a forward pass loads
    planes = net.preprocess(net.example_input(SIZE))
    layers = {layer.name: layer for layer in conv_layers(net.backbone, planes, dims=2)}
    plain = {
        "parameters": sum(p.numel() for p in net.parameters()),
        "macs": BATCH * count_macs(net, SIZE),
        "values": BATCH * _outputs(net),
    }
    Path("/proc/self/clear_refs").write_text("5")
    before, start = resident("VmRSS"), time.process_time()
    supernet = build_supernet(net, SPACE, SIZE, kind=kind, weights=weights)
    seconds, after = time.process_time() - start, resident("VmHWM")
    return {
        "cpu_seconds": round(seconds, 2),
        "peak_gib": round((after - before) / 2**20, 2),
        "layers": len(supernet.layers),
        "plain": plain,
        "supernet": reckon(supernet, layers, plain),
    }


def reckon(
    supernet: Supernet, layers: Mapping[str, ConvLayer], plain: Mapping[str, int]
) -> dict[str, int]:
    """Parameters, MACs of a forward pass of a batch, and values kept for the backward.

    Of paths the mean over choices. Of a mixture by the way the operator takes: products in the
    signal's domain; or four for each of complex numbers, and N·log₂N twice for a transform.
    """
    macs, values = plain["macs"], plain["values"]
    for name, layer in supernet.layers.items():
        macs -= BATCH * layers[name].macs
        if isinstance(layer, AggConv):
            shape = (BATCH, layer.in_channels, *supernet.planes[name])
            how = (layer.geometry, None)
            x = torch.empty(shape, device="meta")
            path = cheapest(x, layer.out_channels, *how, layer.setting)
            counts = work(path, *how, shape, layer.out_channels, layer.setting)
            macs += int(sum(PRODUCTS.get(what, 0) * count for what, count in counts.items()))
            values += int(2 * counts.get("fourier_value", 0) + 2 * counts.get("spectrum_value", 0))
        else:
            costs = [layers[name].with_choice(choice)[1] for choice in supernet.choices(name)]
            macs += BATCH * sum(costs) // len(costs)
    weights = sum(p.numel() for p in supernet.parameters())
    return {"parameters": weights, "macs": macs, "values": values}


def _outputs(net: SearchedNet) -> int:
    """Values that all leaves of ``net`` put out for one sample, about what autograd keeps."""
    found = 0

    def count(_: nn.Module, __: object, y: Tensor) -> None:
        nonlocal found
        found += y.numel()

    leaves = [module for module in net.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(count) for leaf in leaves]
    with torch.no_grad():
        net(net.example_input(SIZE))
    for handle in hooks:
        handle.remove()
    return found


if __name__ == "__main__":
    main()
