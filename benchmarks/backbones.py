"""Writes docs/backbones.md: backbones.template.md, with what `sweep.py` and `convert.py` found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]

TEMPLATE = Path(__file__).with_suffix(".template.md")
DOCS = Path(__file__).parents[1] / "docs"
ABBREVIATED = 170  # characters of a reason
GIB = 2**30
OPTIMISER = 16  # bytes a weight: itself, its gradient and AdamW's two moments, float32
FORMS = ("paths", "mixture", "mixture, shared")


def main() -> None:
    """Read both, write the page."""
    (DOCS / "backbones.md").write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    sweep, convert = (
        json.loads((DOCS / "benchmarks" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("sweep", "convert")
    )
    convnext = next(row for row in convert["rows"] if row["name"] == "convnext_tiny")
    plain, paths = convnext["paths"]["plain"], convnext["paths"]["supernet"]
    kept = paths["values"] * 2 / GIB
    weights = paths["parameters"] * OPTIMISER / GIB
    steps = [f"{each['macs'] * 3 / 1e12:.1f} TMAC" for each in (paths, plain)]
    return TEMPLATE.read_text(encoding="utf-8").format(
        timm=sweep["timm"],
        cpu=convert["machine"]["cpu"],
        sweep=swept(sweep["families"]),
        measured=measured(convert["rows"]),
        reckoned=reckoned(convert["rows"]),
        memory=f"{weights:.1f} GiB of weights and optimiser, {kept:.0f} GiB kept for the backward "
        "in bf16",
        arithmetic=f"{steps[0]} of the supernet's, {steps[1]} of the plain network's",
    )


def swept(rows: Sequence[Row]) -> str:
    """What passed, and every family with what became of it."""
    tried = [row for row in rows if row["overlapping"]]
    patches = [row for row in rows if not row["overlapping"]]
    plain = [row for row in tried if not _attends(row)]
    lines = ["| families | 2-D | 1-D |", "|---|---:|---:|"]
    for title, some in (
        ("convolutional", plain),
        ("with attention", [row for row in tried if _attends(row)]),
        ("all", tried),
    ):
        lines.append(f"| {title} ({len(some)}) | {_share(some, '2d')} | {_share(some, '1d')} |")
    lines += [
        "",
        "| module | smallest member | parameters | 2-D: searched | 1-D: searched | "
        "ONNX off by: 2-D, 1-D | left alone |",
        "|---|---|---:|---|---|---|---|",
    ]
    lines += [_line(row) for row in tried if _passed(row, "2d") or _passed(row, "1d")]
    for dims in ("2d", "1d"):
        lines += ["", f"Refused in {dims[0]}-D:", ""]
        lines += ["| member | stage | reason |", "|---|---|---|"]
        lines += [
            f"| {row['name']}{' (attention)' if _attends(row) else ''} | {row[dims]['stage']} "
            f"| {_reason(row[dims])} |"
            for row in tried
            if dims in row and not _passed(row, dims)
        ]
    names = ", ".join(f"{row['module']} ({row['name']})" for row in patches)
    lines += ["", f"No kernel to search, only patches that are cut, in {len(patches)}: {names}."]
    return "\n".join(lines) + "\n"


def measured(rows: Sequence[Row]) -> str:
    """Seconds and memory of the conversion."""
    lines = ["| backbone | searched | " + " | ".join(f"{form}: s, GiB" for form in FORMS) + " |"]
    lines.append("|---|---:|" + "---:|" * len(FORMS))
    for row in rows:
        cells = [f"{row[form]['cpu_seconds']:.2f}, {row[form]['peak_gib']:.2f}" for form in FORMS]
        lines.append(f"| {row['name']} | {row['paths']['layers']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def reckoned(rows: Sequence[Row]) -> str:
    """Weights, arithmetic and memory of a training step."""
    lines = [
        "| backbone | form | parameters | weights and optimiser, GiB | forward, TMAC | over plain "
        "| kept for the backward, GiB |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        plain = row["paths"]["plain"]
        for form, found in (("plain", plain), *((f, row[f]["supernet"]) for f in FORMS)):
            cells = (
                row["name"],
                form,
                f"{found['parameters'] / 1e6:.1f} M",
                f"{found['parameters'] * OPTIMISER / GIB:.1f}",
                f"{found['macs'] / 1e12:.2f}",
                f"{found['macs'] / plain['macs']:.2f}",
                f"{found['values'] * 4 / GIB:.1f}",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    found = next(row[dims] for dims in ("2d", "1d") if _passed(row, dims))
    cells = (
        row["module"],
        row["name"] + (" (attention)" if _attends(row) else ""),
        f"{row['parameters'] / 1e6:.1f} M",
        _searched(row, "2d"),
        _searched(row, "1d"),
        ", ".join(_by_onnx(row, dims) for dims in ("2d", "1d")),
        _left(found),
    )
    return f"| {' | '.join(cells)} |"


def _by_onnx(row: Row, dims: str) -> str:
    if not _passed(row, dims):
        return "–"
    error = row[dims].get("onnx_error")
    return "not run" if error is None else f"{error:.0e}"


def _searched(row: Row, dims: str) -> str:
    if dims not in row:
        return "not run"
    if not _passed(row, dims):
        return "refused" if row[dims].get("refused") else "failed"
    found = row[dims]
    total = found["searched"] + sum(
        count for reason, count in found["left_alone"].items() if reason != "kernel size 1"
    )
    return f"{found['searched']} of {total}, {'×'.join(map(str, found['size']))}"


def _left(found: Mapping[str, Any]) -> str:
    reasons = {k: v for k, v in found["left_alone"].items() if k != "kernel size 1"}
    planes = sum(reasons.pop(k) for k in list(reasons) if k.startswith("its plane"))
    told = [f"{count} {reason}" for reason, count in reasons.items()]
    return "; ".join([*told, *([f"{planes} on planes too small here"] if planes else [])])


def _reason(found: Mapping[str, Any]) -> str:
    text = found["reason"].replace("|", "\\|")
    return text if len(text) <= ABBREVIATED else text[: ABBREVIATED - 1] + "…"


def _share(rows: Iterable[Row], dims: str) -> str:
    told = [row for row in rows if dims in row]
    passed = sum(_passed(row, dims) for row in told)
    by_onnx = sum("onnx_error" in row[dims] for row in told)
    return f"{passed} of {len(told)}, {passed / max(1, len(told)):.1%}; {by_onnx} by ONNX too"


def _passed(row: Row, dims: str) -> bool:
    return bool(row.get(dims, {}).get("stage") == "passed")


def _attends(row: Row) -> bool:
    """As its 2-D form shows, which is run at a size the model takes."""
    return bool(row.get("2d", {}).get("attention"))


if __name__ == "__main__":
    main()
