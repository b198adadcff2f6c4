"""Time whole networks: ONNX Runtime in float32 and int8 beside torch eager.

    python benchmarks/models.py [--quick] [--json FILE]

Networks have the kernels a search could have chosen, a mix of sizes and dilations, and random
weights. Each is exported as `dashzoo export` does it, and as `dashzoo export --lowering conv
--dtype int8` does it, calibrated on random samples: convolutions by transforms would stay in
float32. Process-CPU time of one thread, the least of interleaved calls.

Bars: at batch 1 ONNX Runtime at least 1.5 times as fast as torch eager, int8 at least twice as fast
as float32.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from record import save, write

from dashzoo_export.chain import Chain
from dashzoo_export.lower import Lowering
from dashzoo_export.onnx import Traced, trace
from dashzoo_export.quantize import quantized
from dashzoo_export.request import Request
from dashzoo_export.session import open_session
from dashzoo_search.networks import SearchedNet
from dashzoo_search.networks.convs import conv_layers
from dashzoo_search.ops.stopwatch import fastest
from dashzoo_search.spec import Choice, KernelSpec

KERNELS = {
    1: ((3, 1), (7, 3), (11, 7), (5, 15), (9, 1), (11, 31)),
    2: ((3, 1), (5, 2), (3, 3), (7, 1), (3, 4)),
}
MODELS = [
    # name, backbone, channels, size, classes
    ("wrn1d, n=1000", "wrn1d", 1, (1000,), 6),
    ("wrn1d, n=8192", "wrn1d", 1, (8192,), 6),
    ("resnet18, 224×224", "resnet18", 3, (224, 224), 100),
    ("convnext_atto, 224×224", "convnext_atto", 3, (224, 224), 100),
]
BARS = {"onnxruntime_over_torch": 1.5, "int8_over_fp32": 2.0}
FORMS = ("torch", "fp32", "int8")


def main() -> None:
    """Run all models, print a table, write JSON and a plot if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the first model at batch 1")
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--json", type=Path, help="write results here, and a plot beside")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    print(
        f"{'model':24}{'batch':>6}{'torch':>10}{'fp32':>10}{'int8':>10}  ms, speed-up, int8 error"
    )
    for name, backbone, channels, size, classes in MODELS[: 1 if options.quick else None]:
        if options.only not in name:
            continue
        net = searched(backbone, channels, size, classes)
        forms = Forms(net, size)
        for batch in (1,) if options.quick else (1, 16):
            rows.append({"model": name, "batch": batch, **forms.row(batch)})
            tell(rows[-1])
    write(options.json, torch.device("cpu"), bars=bars(rows), rows=rows)
    save(draw(rows), options.json)
    for bar in bars(rows):
        print(bar)


def searched(backbone: str, channels: int, size: tuple[int, ...], classes: int) -> SearchedNet:
    """A network whose searchable layers have mixed kernels."""
    dims = len(size)
    plain = SearchedNet(backbone, dims=dims, in_chans=channels, num_classes=classes)
    with torch.no_grad():
        plane = plain.preprocess(plain.example_input(size))
    kernels = itertools.cycle(KERNELS[dims])
    layers = {
        layer.name: Choice.cube(*next(kernels), dims=dims)
        for layer in conv_layers(plain.backbone, plane, dims=dims)
        if not layer.reason
    }
    torch.manual_seed(0)
    return plain.with_kernels(KernelSpec(dims=dims, layers=layers)).eval()


def traced(net: SearchedNet, size: tuple[int, ...], lowering: Lowering) -> Traced:
    """The float32 graph of a network."""
    chain = Chain.of(net, size, Request(lowering=lowering))
    return trace(chain.lowered_as_served, size=size, free=chain.free)


class Forms:
    """One network in torch, in ONNX and in int8."""

    def __init__(self, net: SearchedNet, size: tuple[int, ...]) -> None:
        self.net = net
        self.samples = np.random.default_rng(0).standard_normal(
            (16, net.in_chans, *size), np.float32
        )
        auto, direct = traced(net, size, "auto"), traced(net, size, "conv")
        models = {
            "fp32": auto.model,
            "int8": quantized(direct.model, self.samples, wide=direct.wide),
        }
        self.bytes = {name: len(model.SerializeToString()) for name, model in models.items()}
        self.sessions = {
            name: open_session(model.SerializeToString(), threads=1)
            for name, model in models.items()
        }

    def row(self, batch: int) -> dict[str, Any]:
        """Milliseconds of every form, and errors relative to the largest output of torch."""
        x = self.samples[:batch]
        calls: dict[str, Callable[[], Any]] = {
            name: lambda s=session: s.run(None, {"input": x})[0]
            for name, session in self.sessions.items()
        }
        calls["torch"] = lambda: self._eager(x)
        expected = self._eager(x)
        error = {
            name: float(np.abs(calls[name]() - expected).max() / np.abs(expected).max())
            for name in self.sessions
        }
        timed = fastest(calls, torch.device("cpu"), budget=2.0, least=5, most=200)
        return {
            "ms": {name: round(1000 * timed[name], 3) for name in FORMS},
            "error": error,
            "bytes": self.bytes,
        }

    def _eager(self, x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.net(torch.from_numpy(x)).numpy()


def ratios(row: dict[str, Any]) -> dict[str, float]:
    """How many times as fast."""
    ms = row["ms"]
    return {
        "onnxruntime_over_torch": round(ms["torch"] / ms["fp32"], 2),
        "int8_over_fp32": round(ms["fp32"] / ms["int8"], 2),
    }


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The ratios that the project promises, as measured in this run; its bars are for batch 1."""
    found = []
    for row in rows:
        measured = ratios(row)
        met = {f"{name}_met": measured[name] >= bar for name, bar in BARS.items()}
        found.append(
            {
                "model": row["model"],
                "batch": row["batch"],
                **measured,
                **(met if row["batch"] == 1 else {}),
            }
        )
    return found


def tell(row: dict[str, Any]) -> None:
    """One line of the table."""
    cells = "".join(f"{row['ms'][name]:10.2f}" for name in FORMS)
    faster = "  ".join(f"{name} {ratio:.2f}×" for name, ratio in ratios(row).items())
    print(
        f"{row['model']:24}{row['batch']:>6}{cells}  {faster}  {row['error']['int8']:.1e}",
        flush=True,
    )


def draw(rows: list[dict[str, Any]]) -> Any:
    """Milliseconds of one sample, a group of bars a model and batch."""
    figure, axis = plt.subplots(figsize=(1.6 + 1.2 * len(rows), 3.4), layout="constrained")
    for i, name in enumerate(FORMS):
        heights = [row["ms"][name] / row["batch"] for row in rows]
        label = "torch eager" if name == "torch" else f"ONNX Runtime {name}"
        axis.bar([x + 0.27 * (i - 1) for x in range(len(rows))], heights, 0.25, label=label)
    titles = [f"{row['model'].replace(', ', chr(10))}\nbatch {row['batch']}" for row in rows]
    axis.set_xticks(range(len(rows)), titles, fontsize=7)
    axis.set(ylabel="ms a sample, one thread", yscale="log")
    axis.grid(axis="y", alpha=0.3)
    axis.legend(fontsize=7)
    return figure


if __name__ == "__main__":
    main()
