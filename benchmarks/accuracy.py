"""Test accuracy of searched against default kernels, on equal budgets, over several seeds.

    python benchmarks/accuracy.py                  # about an hour on one core
    python benchmarks/accuracy.py --quick          # one seed, two epochs: does it run?
    python benchmarks/accuracy.py --table          # print the committed results again

Every run is a whole `dashzoo.run`, bundle and certificate included. The default kernels train for
as many epochs as search (its scout included) and training take together. Each test split is read
once a run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import dashzoo

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "accuracy.json"
TASKS: dict[str, dict[str, Any]] = {
    "motifs": {
        "backbone_args": {"width": 16},
        "batch_size": 32,
        "search_epochs": 5,
        "epochs": 5,
    },
    "digits": {"backbone": "resnet18", "resize": 16, "search_epochs": 10, "epochs": 20},
}


def measure(task: str, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """One run; the part of results.json and export.json that the table needs."""
    with tempfile.TemporaryDirectory() as folder:
        out = dashzoo.run(task, Path(folder) / "bundle", seed=seed, **options)
        results = json.loads((out / "results.json").read_text())
        export = json.loads((out / "onnx" / "export.json").read_text())
    del results["search"]["alpha"]
    return {
        "task": task,
        "seed": seed,
        "onnx_error": max(
            row["relative_to_max"]
            for row in export["certificate"]["network"]
            if row["form"] == "fp32"
        ),
        **{
            key: results[key]
            for key in (
                "backbone",
                "layers",
                "metrics",
                "selection",
                "folded",
                "search",
                "recipe",
                "published",
            )
        },
        "provenance": results["provenance"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table, a row a task."""
    lines = [
        "| task | backbone | shipped | searched | default | parameters | published |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for task in dict.fromkeys(row["task"] for row in rows):
        runs = [row for row in rows if row["task"] == task]
        backbone = runs[0]["backbone"]
        resize = f", {backbone['resize']} px" if backbone["resize"] else ""
        published = ", ".join(f"{p['method']} {100 * p['value']:.1f}" for p in runs[0]["published"])
        lines.append(
            f"| `{task}` | `{backbone['name']}`{resize} "
            f"| {_spread(runs)} | {_spread(runs, 'searched')} | {_spread(runs, 'default')} "
            f"| {_ratio(runs):.0%} of default | {published or '–'} |"
        )
    return "\n".join(lines)


def _spread(runs: list[dict[str, Any]], network: str | None = None) -> str:
    values = [
        100 * run["metrics"][network or run["selection"]["shipped"]]["test"]["value"]
        for run in runs
    ]
    if len(values) == 1:
        return f"{values[0]:.2f} (one seed)"
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"


def _ratio(runs: list[dict[str, Any]]) -> float:
    return statistics.mean(
        run["metrics"]["searched"]["parameters"] / run["metrics"]["default"]["parameters"]
        for run in runs
    )


def main() -> None:
    """Run, print the table, put the rows of the tasks that ran into the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, two epochs, nothing kept")
    parser.add_argument("--table", action="store_true", help="print the committed results")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, default=RESULTS)
    args = parser.parse_args()
    if args.table:
        print(table(json.loads(args.json.read_text())))
        return
    options: dict[str, Any] = {"threads": args.threads}
    if args.quick:
        options |= {"search_epochs": 2, "epochs": 2}
    rows = []
    for task in args.tasks:
        for seed in range(1 if args.quick else args.seeds):
            rows.append(measure(task, seed, {**options, **TASKS[task]}))
            print(table(rows[-1:]).splitlines()[-1], flush=True)
    print(table(rows))
    if not args.quick:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        kept = json.loads(args.json.read_text()) if args.json.exists() else []
        rows += [row for row in kept if row["task"] not in args.tasks]
        rows.sort(key=lambda row: (list(TASKS).index(row["task"]), row["seed"]))
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
