"""Branches, tags, and the commits behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .replies import Refusal, Reply, Request, route

if TYPE_CHECKING:
    from .hub import Hub


@route("GET", "/api/models/{repo}/refs")
def refs(hub: Hub, request: Request, repo: str) -> Reply:
    found = hub.repository(repo, request)
    kinds = {"branches": "refs/heads/", "converts": "refs/convert/", "tags": "refs/tags/"}
    if "include_prs" in request.query:
        kinds["pullRequests"] = "refs/pr/"
    return Reply.json(
        {
            kind: [
                {"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": oid}
                for ref, oid in found.refs.items()
                if ref.startswith(prefix)
            ]
            for kind, prefix in kinds.items()
        }
    )


@route("GET", "/api/models/{repo}/commits/{rev}")
def commits(hub: Hub, request: Request, repo: str, rev: str) -> Reply:
    return Reply.json(
        [
            {
                "id": commit.oid,
                "title": commit.title,
                "message": commit.message,
                "authors": [{"user": "zoo", "avatar": ""}],
                "date": commit.date,
            }
            for commit in hub.repository(repo, request).history(rev)
        ]
    )


@route("POST", "/api/models/{repo}/(?P<kind>tag|branch)/{rev}")
def make(hub: Hub, request: Request, repo: str, kind: str, rev: str) -> Reply:
    found = hub.writable(repo, request)
    asked = request.json
    if kind == "tag":
        ref, start = f"refs/tags/{asked['tag']}", rev
    else:
        ref, start = f"refs/heads/{rev}", asked.get("startingPoint", "main")
    if ref in found.refs:
        raise Refusal(409, f"Reference already exists: {ref}")
    found.refs[ref] = found.at(start).oid
    return Reply.json({})


@route("DELETE", "/api/models/{repo}/(?P<kind>tag|branch)/{rev}")
def remove(hub: Hub, request: Request, repo: str, kind: str, rev: str) -> Reply:
    found = hub.writable(repo, request)
    ref = f"refs/{'tags' if kind == 'tag' else 'heads'}/{rev}"
    if ref not in found.refs:
        raise Refusal(404, f"Invalid rev id: {rev}", "RevisionNotFound")
    del found.refs[ref]
    return Reply.json({})


@route("POST", "/api/models/{repo}/super-squash/{rev}")
def squash(hub: Hub, request: Request, repo: str, rev: str) -> Reply:
    found = hub.writable(repo, request)
    ref, tree = found.ref(rev), found.at(rev).tree
    del found.refs[ref]
    found.commit(ref, request.json["message"], "", tree)
    return Reply.json({})
