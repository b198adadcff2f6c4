"""Does a search find kernels that are known to be there? Planted teachers, and what is recovered.

    python benchmarks/recovery.py [--quick] [--json FILE] [--only ROW …] [--table]

A teacher with known kernels labels white noise (`dashzoo_search.tasks.planted`); a student chain of
the same depth, four times as wide and with 3-tap kernels, is searched over K = {3, 7, 11, 15, 19},
D = {1, 3, 7, 15} (2-D: {3, 5, 7, 9} × {1, 3, 7}). A row is a kind of teacher; counted are layers
whose dilation, and whose kernel size too, were found, over seeds. Beside them stands the accuracy
on unseen samples of the student with the kernels found, with the teacher's, and with its own.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import write

from dashzoo_search.choice import Choice
from dashzoo_search.derive import derive
from dashzoo_search.pipeline import run_search
from dashzoo_search.plan import Network, build_network
from dashzoo_search.search import SearchOptions
from dashzoo_search.spec import KernelSpec, SearchSpace
from dashzoo_search.tasks.planted import planted_choices, planted_task
from dashzoo_search.tasks.task import Task
from dashzoo_search.training.loop import fit
from dashzoo_search.training.metrics import evaluate
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import seed_everything

RESULTS = Path(__file__).parent.parent / "docs" / "benchmarks" / "recovery.json"
CPU = torch.device("cpu")
SCORED = 2  # at most: seeds whose networks are trained and scored too
RULES = ("argmax", "energy", "explained")
OWN = tuple(str(Choice.cube(3, 1, dims=dims)) for dims in (1, 2))


@dataclass(frozen=True)
class Row:
    """A kind of teacher."""

    depth: int
    dims: int = 1
    samples: int = 4000
    noise: float = 0.0
    small: bool = False  # every kernel has three taps and dilation 1
    shuffled: bool = False
    seeds: int = 10
    method: str = "paths"


ROWS = {
    "1 layer": Row(1),
    "2 layers": Row(2),
    "3 layers": Row(3, samples=12000),
    "4 layers": Row(4, samples=16000, seeds=2),
    "6 layers": Row(6, samples=24000, seeds=1),
    "1 layer, 1000 samples": Row(1, samples=1000, seeds=5),
    "3 layers, 4000 samples": Row(3, seeds=3),
    "1 layer, noise 0.5": Row(1, noise=0.5, seeds=5),
    "2 layers, noise 0.5": Row(2, noise=0.5, samples=12000, seeds=3),
    "2 layers of k3 d1": Row(2, small=True, seeds=3),
    "2 layers, shuffled labels": Row(2, shuffled=True, seeds=3),
    "2-D, 1 layer": Row(1, dims=2, seeds=2),
    "2-D, 2 layers": Row(2, dims=2, samples=8000, seeds=2),
    "1 layer, mixture": Row(1, method="mixture", seeds=3),
    "2 layers, mixture": Row(2, method="mixture", seeds=2),
    # Not in the committed results: hours.
    "1 layer, no scout": Row(1, method="no scout"),
    "2 layers, no scout": Row(2, method="no scout"),
}


def main() -> None:
    """Run rows, print each as it comes, keep them in the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed of one layer, not kept")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--table", action="store_true", help="print the committed results")
    parser.add_argument("--json", type=Path, help=f"write results here, such as {RESULTS.name}")
    options = parser.parse_args()
    if options.table:
        print(table(json.loads(RESULTS.read_text())["rows"]))
        return
    torch.set_num_threads(1)
    names = ["1 layer"] if options.quick else options.only
    kept: dict[str, Any] = {}
    if options.json and options.json.exists():
        kept = json.loads(options.json.read_text())["rows"]
    for name in names:
        row = replace(ROWS[name], seeds=1) if options.quick else ROWS[name]
        runs = []
        for seed in range(row.seeds):
            runs.append(measure(row, seed))
            print(name, json.dumps(runs[-1]), flush=True)
        kept[name] = runs
        if options.json and not options.quick:
            write(options.json, CPU, rows={key: kept[key] for key in ROWS if key in kept})
    print(table({name: kept[name] for name in names}))


def measure(row: Row, seed: int) -> dict[str, Any]:
    """Search one planted problem."""
    planted = planted_choices(row.dims, row.depth, seed=seed)
    if row.small:
        planted = (Choice.cube(3, 1, dims=row.dims),) * row.depth
    task = planted_task(
        planted, samples=row.samples, seed=seed, noise=row.noise, shuffled=row.shuffled
    )
    network = Network(backbone=f"chain{row.dims}d", args={"depth": row.depth, "width": 16})
    space = SearchSpace.default(row.dims)
    if row.dims == 2:
        space = SearchSpace(kernels=space.kernels, dilations=(1, 3, 7))
    recipe = Recipe.for_samples(row.samples, lr=1e-2)
    options = SearchOptions.of(recipe)
    if row.method == "no scout":
        options = SearchOptions.of(recipe, scout=0.0)
    if row.method == "mixture":
        half = replace(recipe, epochs=recipe.epochs // 2)
        options = SearchOptions.of(
            half,
            "mixture",
            alpha_on="train",
            price=0.0,
            rule="argmax",
            shrink=0.0,
            dilations_at=0.0,
        )
    supernet, result = run_search(task, network, space, options, seed=seed, device=CPU)
    found = {"spec": result.spec}
    if row.method == "mixture":
        samples = torch.from_numpy(task.train.X[:128])
        found = {rule: derive(supernet, rule, samples).spec for rule in RULES}
    own = KernelSpec(
        dims=row.dims,
        layers=dict.fromkeys(result.spec.layers, Choice.cube(3, 1, dims=row.dims)),
    )
    teacher = KernelSpec(dims=row.dims, layers=dict(zip(result.spec.layers, planted, strict=True)))
    told: dict[str, Any] = {
        "seed": seed,
        "planted": [str(choice) for choice in planted],
        "cpu_seconds": round(result.cpu_seconds, 1),
        "scouted": dict(result.scouted),
    }
    for name, spec in found.items():
        told[name] = [str(choice) for choice in spec.layers.values()]
    if row.method == "paths" and seed < SCORED:
        specs = {"found": result.spec, "teacher": teacher, "own": own}
        told["accuracy"] = {
            name: accuracy(task, network, spec, recipe, seed) for name, spec in specs.items()
        }
    return told


def accuracy(task: Task, network: Network, spec: KernelSpec, recipe: Recipe, seed: int) -> float:
    """On the validation samples, of a network of these kernels trained as long as the search."""
    generator = seed_everything(seed)
    net = build_network(network, task, spec=spec)
    fit(net, task.train, task.val, recipe, generator=generator, keep="last")
    return round(evaluate(net, task.val).value, 3)


def table(rows: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown."""
    lines = [
        "| teacher | found by | seeds | dilation | kernel too | accuracy with found / true / own |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, runs in rows.items():
        ways = [key for key in ("spec", *RULES) if key in runs[0]]
        for way in ways:
            pairs = [pair for run in runs for pair in zip(run["planted"], run[way], strict=True)]
            dilations = sum(_dilation(a) == _dilation(b) for a, b in pairs)
            exact = sum(a == b for a, b in pairs)
            scores = "–"
            if "accuracy" in runs[0]:
                scored = [run["accuracy"] for run in runs if "accuracy" in run]
                means = [
                    f"{100 * np.mean([accuracy[key] for accuracy in scored]):.1f}"
                    for key in ("found", "teacher", "own")
                ]
                scores = " / ".join(means)
            label = {"spec": "search", **{rule: f"mixture, {rule}" for rule in RULES}}[way]
            found = f"{dilations} of {len(pairs)} | {exact} of {len(pairs)}"
            if ROWS[name].shuffled:  # there is nothing to find
                kept = sum(told in OWN for _, told in pairs)
                found = f"own kernels kept: {kept} of {len(pairs)} |"
            lines.append(f"| {name} | {label} | {len(runs)} | {found} | {scores} |")
    return "\n".join(lines)


def _dilation(told: str) -> str:
    """The dilation of ``"k7 d3"``; a word without one has dilation 1."""
    return told.partition(" d")[2] or "1"


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
