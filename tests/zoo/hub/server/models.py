"""What is known of a model, and lists of them by tag, author and words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import yaml

from .git import Commit, Repository
from .replies import Reply, Request, route
from .repositories import identity

if TYPE_CHECKING:
    from .hub import Hub


@route("GET", "/api/models")
def listed(hub: Hub, request: Request) -> Reply:
    query = request.query
    rows = [
        _summary(found, found.head)
        for found in hub.repositories.values()
        if not found.private or request.token is not None
    ]
    for tag in query.get("filter", []):
        rows = [row for row in rows if tag in row["tags"]]
    for author in query.get("author", []):
        rows = [row for row in rows if row["author"] == author]
    for word in query.get("search", []):
        rows = [row for row in rows if word in row["id"]]
    if query.get("sort") == ["lastModified"]:
        rows.sort(key=lambda row: row["lastModified"], reverse=True)
    if "full" not in query and "cardData" not in query:
        rows = [{k: v for k, v in row.items() if k not in ("siblings", "cardData")} for row in rows]
    start = int(query.get("cursor", ["0"])[0])
    stop = start + min(hub.page, int(query.get("limit", ["1000"])[0]))
    headers = {}
    if stop < len(rows):
        onward = urlencode({**query, "cursor": [stop]}, doseq=True)
        headers["link"] = f'<{hub.url}/api/models?{onward}>; rel="next"'
    return Reply.json(rows[start:stop], **headers)


@route("GET", "/api/models/{repo}(?:/revision/(?P<rev>[^/]+))?")
def info(hub: Hub, request: Request, repo: str, rev: str = "main") -> Reply:
    found = hub.repository(repo, request)
    commit = found.at(rev)
    told = _summary(found, commit)
    if "blobs" in request.query:
        for row in told["siblings"]:
            blob = commit.tree[row["rfilename"]]
            row |= {"size": blob.size, "blobId": blob.oid}
            if blob.sha256:
                row["lfs"] = {
                    "sha256": blob.sha256,
                    "size": blob.size,
                    "pointerSize": len(blob.data),
                }
    return Reply.json(told)


def _summary(found: Repository, commit: Commit) -> dict[str, Any]:
    card = _front_matter(commit)
    kinds = {path.rpartition(".")[2] for path in commit.tree} & {"safetensors", "onnx"}
    named = [card.get("library_name"), card.get("pipeline_tag"), *card.get("tags", [])]
    licence = [f"license:{card['license']}"] if "license" in card else []
    told: dict[str, Any] = {
        "_id": identity(found.name),
        "id": found.name,
        "modelId": found.name,
        "author": found.name.partition("/")[0],
        "sha": commit.oid,
        "lastModified": commit.date,
        "createdAt": found.created,
        "private": found.private,
        "gated": "auto" if found.gated else False,
        "disabled": False,
        "downloads": found.downloads,
        "likes": 0,
        "tags": list(dict.fromkeys([*filter(None, named), *licence, *sorted(kinds)])),
        "siblings": [{"rfilename": path} for path in sorted(commit.tree)],
        "cardData": card,
        "usedStorage": sum(blob.size for blob in commit.tree.values()),
        "spaces": [],
    }
    told |= {key: card[key] for key in ("library_name", "pipeline_tag") if key in card}
    if "config.json" in commit.tree:
        config = json.loads(commit.tree["config.json"].data)
        told["config"] = {k: config[k] for k in ("architecture", "num_classes") if k in config}
    return told


def _front_matter(commit: Commit) -> dict[str, Any]:
    if "README.md" not in commit.tree:
        return {}
    text = commit.tree["README.md"].data.decode()
    return (yaml.safe_load(text.split("---")[1]) or {}) if text.startswith("---") else {}
