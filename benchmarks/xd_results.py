"""XD-operations against the CNN they start as, our kernel search, and an FNO: docs/results/xd.

    python benchmarks/xd_results.py --list
    python benchmarks/xd_results.py --only digits_permuted darcy_15   # goes on where it stopped
    python benchmarks/xd_results.py --table                           # print the committed results

Permuted images, and fields at three resolutions of the same solutions: every second, fourth, …
point of them is kept. Each case is a panel, see `dashzoo compare`: contestants have the same epochs
in all. Rows are kept in runs/xd, the outcome in docs/results/xd.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import dashzoo
from dashzoo_cards.panel_overview import overview_table
from dashzoo_cards.panels import panel_table, read_panel, read_panels
from dashzoo_search.tasks import DataOptions, load_task

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "xd"
RUNS = ROOT / "runs" / "xd"

IMAGES = ("default", "ours", "xd")
FIELDS = (*IMAGES, "fno")
SMALL: dict[str, Any] = {"backbone_args": {"depth": 4, "width": 8}, "epochs": 6, "search_epochs": 2}
CASES: dict[str, dict[str, Any]] = {
    "digits_permuted": {
        "data": "digits/permuted",
        "backbone": "chain2d",
        "backbone_args": {"depth": 4, "width": 16},
        "epochs": 10,
        "search_epochs": 5,
        "seeds": 2,
    },
    "digits_permuted_wrn": {
        "data": "digits/permuted",
        "backbone": "wrn_16_1",
        "epochs": 10,
        "search_epochs": 5,
        "contestants": ("default", "xd"),
    },
    "textures_permuted": {
        "data": "textures/permuted",
        "backbone": "chain2d",
        "backbone_args": {"depth": 2, "width": 8, "readout": "mean"},
        "epochs": 4,
        "search_epochs": 1,
        "seeds": 2,
        "contestants": ("default", "xd"),
    },
    **{
        f"burgers_{1024 // step}": {
            "data": ("burgers/viscous", step),
            "backbone": "chain1d",
            **SMALL,
        }
        for step in (16, 8, 4)
    },
    **{
        f"darcy_{42 // step + 1}": {"data": ("darcy/small", step), "backbone": "chain2d", **SMALL}
        for step in (3, 2, 1)
    },
}


def play(name: str, out: Path, **more: Any) -> Path:
    """Run a case in the folder ``out``; returns its panel.json."""
    case = {"seeds": 1, **CASES[name], **more}
    data, fields = case.pop("data"), {}
    if not isinstance(data, str):
        data = _sampled(name, *data)
        fields["contestants"] = FIELDS
        fields["data_options"] = DataOptions(
            kind="dense_regression", loss="relative_l2", metric="relative_l2"
        )
    dashzoo.compare(data, out, threads=1, **{"contestants": IMAGES, **fields, **case})
    return out / "panel.json"


def _sampled(name: str, task: str, step: int) -> Path:
    """Every ``step``-th point of a task's fields, as a file."""
    path = RUNS / f"{name}.npz"
    if not path.exists():
        whole = load_task(task, seed=0)
        fitted, test = whole.train.join(whole.val), whole.test.open()
        parts = {"X_train": fitted.X, "y_train": fitted.y, "X_test": test.X, "y_test": test.y}
        every = (..., *[slice(None, None, step)] * whole.dims)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{key: np.asarray(array)[every] for key, array in parts.items()})
    return path


def main() -> None:
    """Run cases, or tell what there is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--list", action="store_true", help="print the cases")
    parser.add_argument("--table", action="store_true", help="print the committed results")
    parser.add_argument("--quick", action="store_true", help="an epoch each; nothing is kept")
    options = parser.parse_args()
    if options.table:
        panels = read_panels(RESULTS)
        print("\n\n".join([overview_table(panels), *map(panel_table, panels)]))
        return
    for name in options.only:
        if options.list:
            print(name, CASES[name])
        elif options.quick:
            with tempfile.TemporaryDirectory() as folder:
                play(name, Path(folder), seeds=1, epochs=1, search_epochs=1)
        else:
            RESULTS.mkdir(parents=True, exist_ok=True)
            shutil.copy(play(name, RUNS / name), RESULTS / f"{name}.json")
            print(panel_table(read_panel(RESULTS / f"{name}.json")), flush=True)


if __name__ == "__main__":
    main()
