"""Lower a bundle's network to ExecuTorch, for phones and boards, and run it here.

    pip install 'dashzoo[executorch]'
    python examples/executorch_program.py BUNDLE network.pte

Convolutions go to XNNPACK. The program takes one sample at a time.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from executorch.runtime import Runtime

import dashzoo
from dashzoo_export.config import read_config


def lower(bundle: Path, path: Path) -> None:
    """Write the program to ``path``, which ends in .pte."""
    net = dashzoo.load(bundle)
    program = torch.export.export(net, (net.example_input(read_config(bundle).size),))
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)


def run(path: Path, x: torch.Tensor) -> torch.Tensor:
    """What the program gives for one raw sample [1, c, …]."""
    output: torch.Tensor = Runtime.get().load_program(path).load_method("forward").execute([x])[0]
    return output


if __name__ == "__main__":
    lower(Path(sys.argv[1]), Path(sys.argv[2]))
