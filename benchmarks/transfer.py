"""What does a search save that starts from the kernels of a like task? Planted teachers in pairs.

    python benchmarks/transfer.py [--quick] [--json FILE]

Two teachers have the same kernels and other weights, so other labels. The first is searched as
usual by a student 16 wide, the second by one 8 wide: with a scout, without, from the kernels found
on the first, and, to see what a bad start costs, from kernels drawn for another teacher. A row
tells epochs and CPU-seconds of the search, the kernels it found, and the accuracy on unseen samples
of the student with them, trained as long as a search without a scout.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from record import write
from recovery import CPU, accuracy

from dashzoo_search.pipeline import run_search
from dashzoo_search.plan import Network
from dashzoo_search.search import SearchOptions, epochs_spent
from dashzoo_search.spec import KernelSpec, SearchSpace
from dashzoo_search.tasks.planted import planted_choices, planted_task
from dashzoo_search.tasks.task import Task
from dashzoo_search.training.recipe import Recipe

DEPTH = 2
SAMPLES = 4000
SEEDS = 3
OTHER = 100  # added to a seed: the second teacher's, and that of unfit kernels


def main() -> None:
    """Measure pairs, print each search as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one pair of one layer")
    parser.add_argument("--json", type=Path, help="write results here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for seed in range(1 if options.quick else SEEDS):
        for row in pair(seed, 1 if options.quick else DEPTH):
            print(json.dumps(row), flush=True)
            rows.append(row)
    if options.json:
        write(options.json, CPU, rows=rows)


def pair(seed: int, depth: int) -> Iterator[dict[str, Any]]:
    """Search the first teacher, then the second in every way."""
    kernels = planted_choices(1, depth, seed=seed)
    first = planted_task(kernels, samples=SAMPLES, seed=seed)
    second = planted_task(kernels, samples=SAMPLES, seed=seed + OTHER)
    found, row = _search(first, depth, width=16, seed=seed)
    unfit = planted_choices(1, depth, seed=seed + OTHER)
    bad = KernelSpec(dims=1, layers=dict(zip(found.layers, unfit, strict=True)))
    told = {"seed": seed, "planted": [str(choice) for choice in kernels]}
    yield {**told, "task": "first", "way": "scout", **row}
    ways: dict[str, dict[str, Any]] = {
        "scout": {},
        "no scout": {"scout": 0.0},
        "from the first": {"scout": 0.0, "start": found},
        "from others": {"scout": 0.0, "start": bad},
    }
    for way, how in ways.items():
        row = _search(second, depth, width=8, seed=seed, **how)[1]
        yield {**told, "task": "second", "way": way, **row}


def _search(
    task: Task, depth: int, *, width: int, seed: int, **how: Any
) -> tuple[KernelSpec, dict[str, Any]]:
    network = Network(backbone="chain1d", args={"depth": depth, "width": width})
    recipe = Recipe.for_samples(SAMPLES, lr=1e-2)
    options = SearchOptions.of(recipe, **how)
    space = SearchSpace.default(1)
    _, result = run_search(task, network, space, options, seed=seed, device=CPU)
    return result.spec, {
        "found": [str(choice) for choice in result.spec.layers.values()],
        "epochs": epochs_spent(options.to_json()),
        "cpu_seconds": round(result.cpu_seconds, 1),
        "accuracy": accuracy(task, network, result.spec, recipe, seed),
    }


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
