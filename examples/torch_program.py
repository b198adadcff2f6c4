"""Save a bundle's network as a program of `torch.export`, which runs without dashzoo.

    python examples/torch_program.py BUNDLE network.pt2

Elsewhere `torch.export.load("network.pt2").module()` is the network: raw samples in, raw outputs
out, for any batch.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import dashzoo
from dashzoo_export.config import read_config


def save(bundle: Path, path: Path) -> None:
    """Write the program to ``path``, which ends in .pt2."""
    net = dashzoo.load(bundle)
    sample = net.example_input(read_config(bundle).size, batch=2)
    program = torch.export.export(net, (sample,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, path)


if __name__ == "__main__":
    save(Path(sys.argv[1]), Path(sys.argv[2]))
