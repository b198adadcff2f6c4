"""How files get in: pre-upload, LFS, Xet tokens, and the commit that makes them visible."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from .discussions import open_pull_request
from .git import Blob, Commit
from .replies import Refusal, Reply, Request, route

if TYPE_CHECKING:
    from .hub import Hub


@route("POST", "/api/validate-yaml")
def validate(hub: Hub, request: Request) -> Reply:
    errors = [] if "license:" in request.json["content"] else [{"message": "license is missing"}]
    return Reply.json({"errors": errors, "warnings": []})


@route("POST", "/api/models/{repo}/preupload/{rev}")
def preupload(hub: Hub, request: Request, repo: str, rev: str) -> Reply:
    commit = hub.repository(repo, request).at(rev)
    if request.token is None:
        raise Refusal(401, "Invalid username or password.")
    told = []
    for file in request.json["files"]:
        there = commit.tree.get(file["path"])
        told.append(
            {
                "path": file["path"],
                "uploadMode": "lfs" if _is_large(commit, file["path"]) else "regular",
                "shouldIgnore": False,
                "oid": there and (there.sha256 or there.oid),
            }
        )
    return Reply.json({"files": told, "commitOid": commit.oid})


def _is_large(commit: Commit, path: str) -> bool:
    patterns = [
        line.split()[0] for line in commit.tree[".gitattributes"].data.decode().splitlines()
    ]
    return any(fnmatch.fnmatch(path.rpartition("/")[2], pattern) for pattern in patterns)


@route("POST", r"/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
def batch(hub: Hub, request: Request, repo: str) -> Reply:
    hub.writable(repo, request)
    told = []
    for file in request.json["objects"]:
        row: dict[str, Any] = {**file, "authenticated": True}
        if not hub.storage.holds(file["oid"]):
            href = f"{hub.url}/_lfs/{file['oid']}"
            row["actions"] = {
                "upload": {"href": href, "header": {}},
                "verify": {"href": f"{href}/verify", "header": {}},
            }
        told.append(row)
    body = json.dumps({"transfer": "basic", "objects": told}).encode()
    return Reply(200, body, {"content-type": "application/vnd.git-lfs+json"})


@route("PUT", r"/_lfs/(?P<oid>\w+)")
def put(hub: Hub, request: Request, oid: str) -> Reply:
    if hashlib.sha256(request.body).hexdigest() != oid:
        raise Refusal(400, "The bytes are not those announced")
    hub.storage.objects[oid] = request.body
    return Reply(200, b"", {"content-type": "application/octet-stream", "etag": f'"{oid}"'})


@route("POST", r"/_lfs/(?P<oid>\w+)/verify")
def verify(hub: Hub, request: Request, oid: str) -> Reply:
    if len(hub.storage.objects.get(oid, b"")) != request.json["size"]:
        raise Refusal(422, "Not there")
    return Reply.json({"message": "ok"})


@route("GET", "/api/models/{repo}/xet-(?P<kind>read|write)-token/{rev}")
def xet_token(hub: Hub, request: Request, repo: str, kind: str, rev: str) -> Reply:
    if hub.storage.xet is None:
        raise Refusal(404, "Sorry, we can't find the page you are looking for.")
    _ = (hub.writable if kind == "write" else hub.repository)(repo, request).at(rev)
    url, until = f"local://{hub.storage.xet}", int(time.time()) + 3600
    return Reply.json(
        {"accessToken": "x", "exp": until, "casUrl": url},
        x_xet_cas_url=url,
        x_xet_access_token="x",
        x_xet_token_expiration=str(until),
    )


@route("POST", "/api/models/{repo}/commit/{rev}")
def commit(hub: Hub, request: Request, repo: str, rev: str) -> Reply:
    as_request = "create_pr" in request.query
    found = hub.repository(repo, request) if as_request else hub.writable(repo, request)
    lines = [json.loads(line) for line in request.body.decode().splitlines() if line]
    head = lines[0]["value"]
    before = found.at(rev)
    if head.get("parentCommit") not in (None, before.oid):
        raise Refusal(412, "A commit has happened since. Please refresh and try again.")
    tree = dict(before.tree)
    for line in lines[1:]:
        _apply(hub, tree, line["key"], line["value"])
    ref, extra = found.ref(rev), {}
    if as_request:
        made = open_pull_request(found, head["summary"], head["description"], "open")
        ref = f"refs/pr/{made.num}"
        extra = {"pullRequestUrl": f"{hub.url}/{repo}/discussions/{made.num}"}
    oid = found.commit(ref, head["summary"], head["description"], tree).oid
    url = f"{hub.url}/{repo}/commit/{oid}"
    return Reply.json(
        {"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": "", **extra}
    )


def _apply(hub: Hub, tree: dict[str, Blob], key: str, value: dict[str, Any]) -> None:
    path = value["path"]
    if key == "file":
        tree[path] = Blob.regular(base64.b64decode(value["content"]))
    elif key == "lfsFile":
        if not hub.storage.holds(value["oid"]):
            raise Refusal(400, f"Your push was rejected: LFS object {value['oid']} is missing")
        tree[path] = Blob.large(value["oid"], value["size"])
    elif key == "deletedFile":
        if path not in tree:
            raise Refusal(404, "A file with this name doesn't exist", "EntryNotFound")
        del tree[path]
    elif key == "deletedFolder":
        for inside in [name for name in tree if name.startswith(f"{path.rstrip('/')}/")]:
            del tree[inside]
    else:
        raise Refusal(400, f"Unknown operation {key}")
