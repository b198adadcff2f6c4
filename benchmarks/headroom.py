"""How much could any choice of kernels gain on the archive's problems? An upper bound for a search.

    python benchmarks/headroom.py [--only ucr/GunPoint …] [--json FILE]   # about an hour
    python benchmarks/headroom.py --table                                 # the committed results

A few kernels made by hand from the backbone's own 9, 5 and 3 taps, each layer's times a dilation,
twice as large, or with dilations that grow or shrink with depth, are trained on *resampled* splits:
training and test samples are pooled, and as many of every class as the canonical training split has
are drawn by a seed other than the canonical split's. So the canonical test split chooses nothing
here, and the best of the rows, picked by these very scores, is better than a search could hope for.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import write

from dashzoo_search.choice import Choice
from dashzoo_search.plan import Network, build_network
from dashzoo_search.spec import KernelSpec
from dashzoo_search.tasks.load import load_task
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.task import Split, Task
from dashzoo_search.training.loop import fit
from dashzoo_search.training.metrics import evaluate
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import seed_everything

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "headroom.json"
OWN = (9, 5, 3)
LARGE = (19, 11, 7)
KERNELS = {
    "own": [(k, 1) for k in OWN] * 3,
    "own, d 2": [(k, 2) for k in OWN] * 3,
    "own, d 3": [(k, 3) for k in OWN] * 3,
    "own, d 7": [(k, 7) for k in OWN] * 3,
    "own, d 1 3 7": [(k, d) for d in (1, 3, 7) for k in OWN],
    "own, d 7 3 1": [(k, d) for d in (7, 3, 1) for k in OWN],
    "large": [(k, 1) for k in LARGE] * 3,
    "large, d 3": [(k, 3) for k in LARGE] * 3,
}


@dataclass(frozen=True)
class Problem:
    """How a problem is trained."""

    epochs: int
    width: int = 24
    seeds: int = 3
    options: DataOptions = field(default_factory=DataOptions)


RESAMPLED = DataOptions.from_json({"lengths": "resample", "size": [100]})
PROBLEMS = {
    "ucr/ItalyPowerDemand": Problem(150, seeds=4),
    "ucr/JapaneseVowels": Problem(60),
    "ucr/GunPoint": Problem(150),
    "ucr/ArrowHead": Problem(150),
    "ucr/PickupGestureWiimoteZ": Problem(150, seeds=4, options=RESAMPLED),
    "ucr/ACSF1": Problem(60, width=16),
    "ucr/OSULeaf": Problem(60, width=16),
}


def main() -> None:
    """Run problems, print each row as it comes, keep them in the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="an epoch of one problem, not kept")
    parser.add_argument("--only", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--table", action="store_true", help="print the committed results")
    parser.add_argument("--json", type=Path, help=f"write results here, such as {RESULTS.name}")
    options = parser.parse_args()
    if options.table:
        print(table(json.loads(RESULTS.read_text())["problems"]))
        return
    torch.set_num_threads(1)
    kept: dict[str, dict[str, Any]] = {}
    if options.json and options.json.exists():
        kept = json.loads(options.json.read_text())["problems"]
    for name in ["ucr/GunPoint"] if options.quick else options.only:
        problem = PROBLEMS[name]
        if options.quick:
            problem = replace(problem, epochs=1, seeds=1)
        rows = kept.setdefault(name, {})
        for kernels in KERNELS:
            if kernels not in rows:
                rows[kernels] = [measure(name, problem, kernels, s) for s in range(problem.seeds)]
                print(name, kernels, json.dumps(rows[kernels]), flush=True)
            if options.json and not options.quick:
                write(options.json, torch.device("cpu"), problems=kept)
    print(table(kept))


def measure(name: str, problem: Problem, kernels: str, seed: int) -> dict[str, float]:
    """Accuracy and loss on the test samples of one resampled split."""
    task, test = resampled(load_task(name, seed=0, options=problem.options), seed + 1)
    layers = [f"blocks.{block}.conv{conv}" for block in range(3) for conv in (1, 2, 3)]
    choices = [Choice.cube(k, d, dims=1) for k, d in KERNELS[kernels]]
    spec = KernelSpec(dims=1, layers=dict(zip(layers, choices, strict=True)))
    generator = seed_everything(seed)
    network = Network(backbone="wrn1d", args={"width": problem.width})
    net = build_network(network, task, spec=spec)
    recipe = Recipe.for_samples(len(task.train), epochs=problem.epochs)
    watched = task.train.take(np.arange(1))  # decides nothing: the last epoch is kept
    fit(net, task.train, watched, recipe, generator=generator, keep="last")
    score = evaluate(net, test)
    return {"accuracy": round(score.value, 4), "loss": round(score.loss, 4)}


def resampled(task: Task, seed: int) -> tuple[Task, Split]:
    """The task with another training split of the same size, and what that leaves as test."""
    canonical = task.train.join(task.val)
    pool = canonical.join(task.test.open())
    labels = np.asarray(pool.y)
    wanted = np.bincount(np.asarray(canonical.y), minlength=len(task.classes))
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in enumerate(wanted)]
    train = np.sort(np.concatenate(drawn))
    rest = np.setdiff1d(np.arange(len(pool)), train)
    return replace(task, train=pool.take(train)), pool.take(rest)


def table(problems: dict[str, dict[str, list[dict[str, float]]]]) -> str:
    """Markdown: mean accuracy, and of the differences from the own kernels the standard error."""
    lines = [
        f"| problem | splits | {' | '.join(KERNELS)} |",
        f"|---|---:|{'---:|' * len(KERNELS)}",
    ]
    for name, rows in problems.items():
        own = np.array([run["accuracy"] for run in rows["own"]])
        cells = [f"{100 * own.mean():.1f}"]
        for kernels in list(KERNELS)[1:]:
            if kernels not in rows:
                cells.append("–")
                continue
            gain = 100 * (np.array([run["accuracy"] for run in rows[kernels]]) - own)
            error = gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else math.nan
            cells.append(f"{gain.mean():+.1f} ± {error:.1f}")
        lines.append(f"| `{name}` | {len(own)} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
