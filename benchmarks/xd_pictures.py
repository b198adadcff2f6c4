"""Draw what K, L and M of an XD-operation become where a convolution is not enough.

    python benchmarks/xd_pictures.py [--steps N] [--out docs/xd.svg]
    python benchmarks/xd_pictures.py --search DIR [--out docs/xd_searched.svg]

A layer of depth 3 learns to undo a bit reversal: its input is noise with its samples permuted, its
target the circular convolution, with a kernel of five taps that it is not told, of the noise as it
was before. Weights and twiddles are trained together by Adam. Drawn are the real parts of the
matrices in natural order of frequencies, at the start and at the end.

With ``--search``, of the first layer that `dashzoo search --operator xd` left in DIR, what each
matrix does beside the transform it started as: |F⁻¹M|, |F⁻¹L| and |K F|, of which all three were
identities at the start.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from record import save
from torch import Tensor, nn

from dashzoo.workfiles import SearchRecord
from dashzoo_search.ops.kaleidoscope import bit_reversed
from dashzoo_search.ops.xd import XDConv

N = 16


def main() -> None:
    """Train, print the errors, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--search", type=Path, metavar="DIR", help="draw what a search left there")
    parser.add_argument("--out", type=Path, help="write the picture here")
    options = parser.parse_args()
    if options.search:
        save(draw_search(options.search), options.out)
        return
    torch.manual_seed(0)
    teacher = nn.Conv1d(1, 1, 5, padding=2, padding_mode="circular", bias=False)
    student = nn.Conv1d(1, 1, 5, padding=2, padding_mode="circular", bias=False)
    layer = XDConv.from_conv(student, (N,), depth=3)
    before = matrices(layer)
    for name, parameters in (
        ("convolution", list(student.parameters())),
        ("XD, weights alone", list(layer.weights())),
        ("XD", list(layer.parameters())),
    ):
        model = student if name == "convolution" else layer
        print(name, round(train(model, teacher, parameters, options.steps), 5), flush=True)
    save(draw(before, matrices(layer)), options.out)


def train(model: nn.Module, teacher: nn.Module, parameters: list[Tensor], steps: int) -> float:
    """Mean squared error on fresh samples, over the variance of the target."""
    optimiser = torch.optim.Adam(parameters, lr=1e-2)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps + 1):
        clean = torch.randn(64 if step < steps else 4096, 1, N)
        target = teacher(clean).detach()
        loss = (model(clean[..., bit_reversed(N)]) - target).square().mean() / target.var()
        if step < steps:
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
    return float(loss.detach())


def matrices(layer: XDConv) -> dict[str, Tensor]:
    """Real parts of K, L and M, frequencies in natural order."""
    order = bit_reversed(N)
    with torch.no_grad():
        dense = {name: getattr(layer, name)[0].dense().real for name in "KLM"}
    return {name: m[:, order] if name == "K" else m[order] for name, m in dense.items()}


def draw(before: dict[str, Tensor], after: dict[str, Tensor]) -> Any:
    """Start above, end below."""
    figure, panels = plt.subplots(2, 3, figsize=(7.2, 4.9), layout="constrained")
    for row, (when, found) in enumerate((("at the start (Fourier)", before), ("learned", after))):
        for panel, (name, matrix) in zip(panels[row], found.items(), strict=True):
            end = float(matrix.abs().max())
            panel.imshow(matrix, cmap="RdBu", vmin=-end, vmax=end)
            panel.set(title=f"{name} {when}", xticks=[], yticks=[])
    return figure


def draw_search(folder: Path) -> Any:
    """A row an axis; prints the share of each matrix that lies where a bit reversal would."""
    record = SearchRecord.read(folder)
    supernet = record.supernet(folder, record.task(folder))
    layer = next(m for m in supernet.modules() if isinstance(m, XDConv))
    start = copy.deepcopy(layer)
    start.reset_architecture()
    axes = [axis for axis, n in enumerate(layer.size) if n > 1]
    figure, panels = plt.subplots(
        len(axes), 3, figsize=(7.2, 2.6 * len(axes)), layout="constrained", squeeze=False
    )
    for row, axis in zip(panels, axes, strict=True):
        for panel, name in zip(row, "MLK", strict=True):
            found = beside(layer, start, name, axis)
            n = layer.size[axis]
            corner, order = found[:n, :n].square(), bit_reversed(n)
            of = f"{name}, axis {axis}"
            kept, reversed_ = (
                float(corner[torch.arange(n), places].sum() / corner.sum())
                for places in (torch.arange(n), order)
            )
            print(f"{of}: {kept:.2f} on the diagonal, {reversed_:.2f} on a bit reversal")
            panel.imshow(found, cmap="Blues", vmin=0)
            panel.set(title=of, xticks=[], yticks=[])
    return figure


def beside(layer: XDConv, start: XDConv, name: str, axis: int) -> Tensor:
    """|F⁻¹M|, |F⁻¹L| or |K F| along an axis."""
    with torch.no_grad():
        found, fourier = (getattr(one, name)[axis].dense() for one in (layer, start))
        inverse = torch.linalg.inv(fourier)
        product: Tensor = (found @ inverse if name == "K" else inverse @ found).abs()
    return product


if __name__ == "__main__":
    main()
