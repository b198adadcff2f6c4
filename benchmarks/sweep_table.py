"""The tables of docs/backbones.md, from what the sweep and `convert.py` found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

ABBREVIATED = 170  # characters of a reason


def table(rows: Sequence[Row]) -> str:
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
        "off by at most | left alone |",
        "|---|---|---:|---|---|---:|---|",
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


def _line(row: Row) -> str:
    found = [row[dims] for dims in ("2d", "1d") if _passed(row, dims)]
    errors = [each[key] for each in found for key in ("fold_error", "onnx_error") if key in each]
    cells = (
        row["module"],
        row["name"] + (" (attention)" if _attends(row) else ""),
        f"{row['parameters'] / 1e6:.1f} M",
        _searched(row, "2d"),
        _searched(row, "1d"),
        f"{max(errors):.0e}",
        _left(found[0]),
    )
    return f"| {' | '.join(cells)} |"


def _searched(row: Row, dims: str) -> str:
    if not _passed(row, dims):
        return "refused" if row.get(dims, {}).get("refused") else "failed"
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
    return f"{passed} of {len(told)}, {passed / max(1, len(told)):.0%}"


def _passed(row: Row, dims: str) -> bool:
    return bool(row.get(dims, {}).get("stage") == "passed")


def _attends(row: Row) -> bool:
    """As its 2-D form shows, which is run at a size the model takes."""
    return bool(row.get("2d", {}).get("attention"))
