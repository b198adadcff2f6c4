"""What benchmarks write down: the numbers, and the machine they were taken on."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch

mpl.use("Agg")
mpl.rcParams.update({"svg.hashsalt": "dashzoo", "svg.fonttype": "none", "font.size": 9})

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"


def machine(device: torch.device) -> dict[str, Any]:
    """What the numbers were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    cuda = device.type == "cuda"
    return {
        "cpu": model or platform.processor(),
        "gpu": torch.cuda.get_device_name(device) if cuda else "not measured on a GPU",
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": sys.version.split()[0],
        "system": platform.system(),
        "seed": 0,
    }


def write(path: Path | None, device: torch.device, **found: Any) -> None:
    """Write results as JSON, if anywhere."""
    if path is not None:
        text = json.dumps({"machine": machine(device), **found}, indent=1)
        path.write_text(text + "\n", encoding="utf-8")


def save(figure: Any, path: Path | None) -> None:
    """Write a figure as SVG next to the JSON, without a date, so that it changes only with it."""
    if path is not None:
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None}, bbox_inches="tight")
