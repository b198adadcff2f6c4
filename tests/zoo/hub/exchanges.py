"""The shape of an exchange: what stays of it when ids, bytes and times are cut."""

from __future__ import annotations

import json
import re
from typing import Any

_UNTOLD = {"content-length", "connection", "date", "server"}


def path_shape(target: str) -> str:
    """A path with commits and hashes of files replaced."""
    return re.sub(r"\b[0-9a-f]{64}\b", "OID", re.sub(r"\b[0-9a-f]{40}\b", "SHA", target))


def header_names(headers: dict[str, str]) -> list[str]:
    return sorted({name.lower() for name in headers} - _UNTOLD)


def keys(body: str | bytes | None) -> list[str]:
    """Dotted names of all fields of a JSON body, or of each line of one."""
    if not body:
        return []
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        return sorted(set(_keys(json.loads(text), "")))
    except ValueError:
        pass
    try:
        lines = [json.loads(line) for line in text.splitlines()]
    except ValueError:
        return []
    return sorted({key for line in lines for key in _keys(line, line["key"])})


def _keys(value: Any, path: str) -> list[str]:
    if isinstance(value, dict):
        return [key for name, inside in value.items() for key in _keys(inside, f"{path}.{name}")]
    if isinstance(value, list) and value:
        return [key for inside in value for key in _keys(inside, f"{path}[]")]
    return [path] if path else []
