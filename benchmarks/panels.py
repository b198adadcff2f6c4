"""The panels of docs/results/panel: a searched network and its rivals on equal terms, task by task.

    python benchmarks/panels.py --list
    python benchmarks/panels.py --only motifs ucr/GunPoint   # hours; goes on where it stopped
    python benchmarks/panels.py --table                      # print the committed results again

Each is one `dashzoo compare`, whose command `--list` prints. Rows are kept in runs/panel, the
outcome in docs/results/panel.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from dashzoo_cards.panel_overview import overview_table
from dashzoo_cards.panels import read_panels

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "panel"
RUNS = ROOT / "runs" / "panel"

# Epochs of search are few enough for it to take less than half as long as one training.
_UCR = "--seeds 5 --backbone-arg width=24 --epochs 100 --search-epochs 20 --threads 1"
_SLIM = "--seeds 5 --backbone-arg width=16 --epochs 60 --search-epochs 12 --draws 2 --threads 1"
_LONGER = "--seeds 5 --backbone-arg width=24 --epochs 200 --search-epochs 50 --draws 1 --threads 1"
_LONG = "--seeds 5 --backbone-arg width=16 --epochs 30 --search-epochs 6 --draws 1 --threads 1"
_SMALL_IMAGES = "--seeds 3 --backbone wrn_16_1 --epochs 40 --search-epochs 5 --draws 2 --threads 1"
PANELS = {
    "ucr/ItalyPowerDemand": _UCR,
    "ucr/BasicMotions": _UCR,
    "ucr/GunPoint": _UCR,
    "ucr/ArrowHead": _SLIM,
    "ucr/JapaneseVowels": _SLIM,
    "ucr/PickupGestureWiimoteZ": f"{_LONGER} --lengths resample --size 100",
    "ucr/OSULeaf": _LONG,
    "ucr/ACSF1": _LONG,
    "ecg/synthetic": "--seeds 1 --backbone-arg width=8 --batch-size 32 --epochs 30 "
    "--search-epochs 3 --draws 1 --threads 1 --contestants default,ours,random,dash",
    "darcy/small": "--seeds 1 --backbone chain2d --backbone-arg depth=4 --backbone-arg width=16 "
    "--epochs 160 --search-epochs 8 --draws 1 --threads 1 --contestants default,ours",
    "darcy": "--seeds 1 --backbone chain2d --backbone-arg depth=4 --backbone-arg width=16 "
    "--epochs 25 --search-epochs 3 --draws 1 --threads 1 --contestants default,ours",
    "ucr/PLAID": "--seeds 1 --backbone-arg width=8 --batch-size 32 --input-norm sample "
    "--lengths pad --size 512 --epochs 40 --search-epochs 5 --draws 1 --threads 1",
    "burgers/viscous": "--seeds 1 --backbone-arg width=8 --batch-size 32 --epochs 60 "
    "--search-epochs 5 --draws 2 --threads 1",
    "motifs": "--seeds 1 --backbone-arg width=16 --batch-size 32 --epochs 21 "
    "--search-epochs 3 --draws 1 --threads 1",
    "adding/200": "--seeds 1 --backbone-arg width=8 --batch-size 32 --epochs 12 "
    "--search-epochs 2 --draws 1 --threads 1 --contestants default,ours",
    "digits/permuted": _SMALL_IMAGES,
}


def command(task: str) -> list[str]:
    """What makes the panel of a task."""
    options = shlex.split(PANELS[task])
    return ["dashzoo", "compare", task, "--out", str(_run(task).relative_to(ROOT)), *options]


def _run(task: str) -> Path:
    return RUNS / task.replace("/", "_")


def main() -> None:
    """Run panels, or tell what there is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(PANELS), default=list(PANELS))
    parser.add_argument("--list", action="store_true", help="print the commands")
    parser.add_argument("--table", action="store_true", help="print the committed results")
    parser.add_argument("--quick", action="store_true", help="one seed, an epoch; nothing is kept")
    options = parser.parse_args()
    if options.table:
        print(overview_table(read_panels(RESULTS)))
        return
    for task in options.only:
        line = command(task)
        if options.list:
            print(shlex.join(line))
            continue
        if options.quick:
            line += ["--seeds", "1", "--epochs", "1", "--search-epochs", "1"]
            line[line.index("--out") + 1] += ".quick"
        subprocess.run([sys.executable, "-m", *line], check=True, cwd=ROOT)
        if not options.quick:
            RESULTS.mkdir(parents=True, exist_ok=True)
            shutil.copy(_run(task) / "panel.json", RESULTS / f"{task.replace('/', '_')}.json")


if __name__ == "__main__":
    main()
