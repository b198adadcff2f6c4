"""Files of a revision: their list, and their bytes, whole or in ranges."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from .git import Blob
from .replies import Refusal, Reply, Request, route

if TYPE_CHECKING:
    from .hub import Hub


@route("GET", "/api/models/{repo}/tree/{rev}")
def tree(hub: Hub, request: Request, repo: str, rev: str) -> Reply:
    commit = hub.repository(repo, request).at(rev)
    rows: list[dict[str, Any]] = []
    for path, blob in sorted(commit.tree.items()):
        folder, nested, _ = path.partition("/")
        if nested and request.query.get("recursive") == ["false"]:
            row = {"type": "directory", "oid": "0" * 40, "size": 0, "path": folder}
            rows += [] if row in rows else [row]
        else:
            rows.append(_row(hub, path, blob))
    start = int(request.query.get("cursor", ["0"])[0])
    headers = {"x-repo-commit": commit.oid}
    if start + hub.page < len(rows):
        onward = f"{hub.url}{request.path}?recursive=true&expand=false&cursor={start + hub.page}"
        headers["link"] = f'<{onward}>; rel="next"'
    return Reply.json(rows[start : start + hub.page], **headers)


@route("POST", "/api/models/{repo}/paths-info/{rev}")
def paths(hub: Hub, request: Request, repo: str, rev: str) -> Reply:
    files = hub.repository(repo, request).at(rev).tree
    asked = parse_qs(request.body.decode()).get("paths", [])
    return Reply.json([_row(hub, path, files[path]) for path in asked if path in files])


@route("GET", "/{repo}/resolve/{rev}/(?P<path>.+)")
def resolve(hub: Hub, request: Request, repo: str, rev: str, path: str) -> Reply:
    found = hub.repository(repo, request)
    if found.gated and request.token is None:
        raise Refusal(403, f"Access to model {repo} is restricted", "GatedRepo")
    commit = found.at(rev)
    if path not in commit.tree:
        raise Refusal(404, "Entry not found", "EntryNotFound")
    blob = commit.tree[path]
    headers = {
        "content-type": "application/octet-stream",
        "x-repo-commit": commit.oid,
        "accept-ranges": "bytes",
        "etag": f'"{blob.sha256 or blob.oid}"',
    }
    if blob.sha256:
        headers |= {"x-linked-size": str(blob.size), "x-linked-etag": headers["etag"]}
        if xet_hash := hub.storage.xet_hashes().get(blob.sha256):
            auth = f"{hub.url}/api/models/{repo}/xet-read-token/{commit.oid}"
            headers |= {"x-xet-hash": xet_hash, "link": f'<{auth}>; rel="xet-auth"'}
    if request.method == "HEAD":
        del headers["content-type"]
        return Reply(200, b"", {**headers, "content-length": str(blob.size)})
    found.downloads += 1
    return _ranged(
        blob.data if blob.sha256 is None else hub.storage.read(blob.sha256, blob.size),
        request.headers.get("range"),
        headers,
    )


def _ranged(data: bytes, wanted: str | None, headers: dict[str, str]) -> Reply:
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "")
    if match is None:
        return Reply(200, data, headers)
    first, last = int(match[1]), min(int(match[2] or len(data)), len(data) - 1)
    if first > last:
        return Reply(416, b"", {"content-range": f"bytes */{len(data)}"})
    place = {"content-range": f"bytes {first}-{last}/{len(data)}"}
    return Reply(206, data[first : last + 1], {**headers, **place})


def _row(hub: Hub, path: str, blob: Blob) -> dict[str, Any]:
    row: dict[str, Any] = {"type": "file", "oid": blob.oid, "size": blob.size, "path": path}
    if blob.sha256:
        row["lfs"] = {"oid": blob.sha256, "size": blob.size, "pointerSize": len(blob.data)}
        if xet_hash := hub.storage.xet_hashes().get(blob.sha256):
            row["xetHash"] = xet_hash
    return row
