"""Time butterfly matrices against their floor and the FFT, and XD-operations against convolutions.

    python benchmarks/xd.py [--quick] [--json FILE]

*Matrices*: complex float32, 1024 vectors, one butterfly (depth 1) or three; blocks are multiplied
out anew every time. *Stage by stage* is the straightforward multiply, level after level. Its floor
is that of a perfect one, by two counts:

    bytes      log₂ n passes that read and write all vectors: copies, to and fro
    operations 8 multiply-adds a number and level, at the rate of a 1024³ matrix product

both taken in the same interleaved run; the floor is the larger. *Layers*: forward and
backward with input gradient. Minimum over interleaved repeats, process-CPU time on one thread.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import torch
from record import write
from torch import Tensor, nn

from dashzoo_search.ops.butterfly import multiply
from dashzoo_search.ops.fftconv import FFTConv
from dashzoo_search.ops.kaleidoscope import Kaleidoscope
from dashzoo_search.ops.stopwatch import fastest
from dashzoo_search.ops.xd import XDConv

CPU = torch.device("cpu")
VECTORS = 1024
LAYERS: tuple[tuple[str, int, tuple[int, ...], dict[str, Any]], ...] = (
    ("1-D, 16→16, n=1000, k=7", 8, (1, 1000), {"channels": 16, "kernel_size": (1, 7)}),
    ("2-D, 16→16, 32², k=3", 16, (32, 32), {"channels": 16, "kernel_size": 3}),
    ("2-D, 64→64, 8², k=3", 16, (8, 8), {"channels": 64, "kernel_size": 3}),
    ("2-D, 32→32, 64², k=13", 4, (64, 64), {"channels": 32, "kernel_size": 13, "circular": True}),
)


def main() -> None:
    """Time everything, print a table, write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="n = 1024 and one layer")
    parser.add_argument("--json", type=Path, help="write results here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    budget = 0.3 if options.quick else 0.8
    matrices = []
    for n in (1024,) if options.quick else (64, 256, 1024, 4096):
        matrices.append(time_matrices(n, budget))
        print(matrices[-1], flush=True)
    layers = []
    for case in LAYERS[: 1 if options.quick else None]:
        layers.append(time_layers(*case, budget))
        print(layers[-1], flush=True)
    write(options.json, CPU, vectors=VECTORS, matrices=matrices, layers=layers)


def time_matrices(n: int, budget: float) -> dict[str, Any]:
    """Milliseconds of every way to multiply, and the floor."""
    torch.manual_seed(0)
    z = torch.randn(n, VECTORS, dtype=torch.complex64)
    x, room, square = torch.randn(n, VECTORS), torch.empty_like(z), torch.randn(1024, 1024)
    levels = n.bit_length() - 1
    one, three = (twiddles(n, depth) for depth in (1, 3))
    wanted = stage_by_stage(one, z)
    assert (multiply(one, z, increasing=False) - wanted).abs().max() < 1e-4 * wanted.abs().max()
    grads = one.clone().requires_grad_(), z.clone().requires_grad_()
    runs = {
        "copies": partial(to_and_fro, z.clone(), room, levels),
        "gemm": partial(torch.matmul, square, square),
        "depth 1": partial(multiply, one, z, increasing=False),
        "depth 1, real vectors": partial(multiply, one, x, increasing=False),
        "depth 3": partial(multiply, three, z, increasing=False),
        "depth 1, with gradients": partial(forward_backward, multiply, grads, increasing=False),
        "stage by stage": partial(stage_by_stage, one, z),
        "torch.fft": partial(torch.fft.fft, z, dim=0),
        "torch.fft, vectors in rows": partial(torch.fft.fft, z.t().contiguous()),
    }
    taken = {name: 1000 * s for name, s in fastest(runs, CPU, budget=budget).items()}
    copies, gemm = taken.pop("copies"), taken.pop("gemm")
    adds = 8 * n * levels * VECTORS
    floor = {
        "bytes": levels * 2 * z.nbytes,
        "bytes_ms": copies,
        "multiply_adds": adds,
        "operations_ms": gemm * adds / 1024**3,
    }
    least = max(floor["bytes_ms"], floor["operations_ms"])
    return {
        "n": n,
        "ms": {name: round(ms, 3) for name, ms in taken.items()},
        "floor": {name: round(value, 3) for name, value in floor.items()},
        "over_floor": {name: round(ms / least, 2) for name, ms in taken.items()},
    }


def twiddles(n: int, depth: int) -> Tensor:
    """Of the Fourier transform, and identities."""
    matrix = Kaleidoscope(n, depth, increasing=False)
    matrix.set_fourier(reversed_spectrum=True, norm="ortho")
    return torch.view_as_complex(matrix.twiddle.detach())


def to_and_fro(here: Tensor, there: Tensor, times: int) -> None:
    """Copy from one to the other and back, ``times`` in all."""
    for _ in range(times):
        there.copy_(here)
        here, there = there, here


def stage_by_stage(twiddle: Tensor, z: Tensor) -> Tensor:
    """One decreasing butterfly, level after level."""
    n = len(z)
    for s in reversed(range(n.bit_length() - 1)):
        blocks = twiddle[0, s].view(-1, 2**s, 2, 2, 1)
        upper, lower = z.view(-1, 2, 2**s, z.shape[1]).unbind(1)
        rows = [blocks[:, :, o, 0] * upper + blocks[:, :, o, 1] * lower for o in (0, 1)]
        z = torch.stack(rows, 1).view(n, -1)
    return z


def forward_backward(run: Any, inputs: tuple[Tensor, ...], **settings: Any) -> None:
    """One pass each way."""
    y = run(*inputs, **settings)
    torch.autograd.grad(y, inputs, y.detach())


def time_layers(
    name: str, batch: int, size: tuple[int, ...], settings: dict[str, Any], budget: float
) -> dict[str, Any]:
    """Milliseconds of one layer as a convolution, by FFT, and as an XD-operation."""
    torch.manual_seed(0)
    channels, mode = settings["channels"], "circular" if settings.get("circular") else "zeros"
    kernel = settings["kernel_size"]
    conv = nn.Conv2d(channels, channels, kernel, padding="same", padding_mode=mode)
    x = torch.randn(batch, channels, *size, requires_grad=True)
    forms: dict[str, nn.Module] = {"conv": conv, "fft": FFTConv.from_conv(conv)}
    for depth in (1, 3):
        forms[f"xd, depth {depth}"] = XDConv.from_conv(conv, size, depth=depth)
    runs = {}
    for form, layer in forms.items():
        assert (layer(x) - conv(x)).abs().max() < 1e-4
        parameters = tuple(p for p in layer.parameters() if p.requires_grad)
        runs[form] = partial(step, layer, x, parameters)
    taken = fastest(runs, CPU, budget=budget)
    return {
        "layer": name,
        "batch": batch,
        "ms": {form: round(1000 * seconds, 3) for form, seconds in taken.items()},
        "over_conv": {form: round(s / taken["conv"], 1) for form, s in taken.items()},
    }


def step(layer: nn.Module, x: Tensor, parameters: tuple[Tensor, ...]) -> None:
    """One pass each way through a layer."""
    y = layer(x)
    torch.autograd.grad(y, (x, *parameters), y.detach())


if __name__ == "__main__":
    main()
