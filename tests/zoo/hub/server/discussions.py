"""Pull requests: opened, listed, looked at, merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .git import Discussion, Repository, now
from .replies import Refusal, Reply, Request, route

if TYPE_CHECKING:
    from .hub import Hub


def open_pull_request(found: Repository, title: str, text: str, status: str) -> Discussion:
    """A pull request that starts where main is."""
    made = Discussion(len(found.discussions) + 1, title, text, status, now())
    found.discussions.append(made)
    found.refs[f"refs/pr/{made.num}"] = found.head.oid
    return made


@route("POST", "/api/models/{repo}/discussions")
def create(hub: Hub, request: Request, repo: str) -> Reply:
    found = hub.repository(repo, request)
    asked = request.json
    made = open_pull_request(found, asked["title"], asked.get("description", ""), "draft")
    return Reply.json({"num": made.num, "pullRequest": True})


@route("GET", "/api/models/{repo}/discussions")
def listed(hub: Hub, request: Request, repo: str) -> Reply:
    found = hub.repository(repo, request)
    told = [{**_head(found, one), "filesWithConflicts": []} for one in found.discussions]
    return Reply.json(
        {"discussions": told, "count": len(told), "start": 0, "numClosedDiscussions": 0}
    )


@route("GET", r"/api/models/{repo}/discussions/(?P<num>\d+)")
def details(hub: Hub, request: Request, repo: str, num: str) -> Reply:
    found = hub.repository(repo, request)
    one = _numbered(found, num)
    who = {"author": {"name": "zoo"}, "createdAt": one.date}
    latest = {"raw": one.description, "html": one.description, "updatedAt": one.date}
    comment = {"edited": False, "hidden": False, "latest": {**latest, "author": {"name": "zoo"}}}
    events = [
        {"id": f"{one.num:024x}", "type": "comment", **who, "data": {**comment, "history": []}}
    ]
    for commit in found.history(f"refs/pr/{one.num}"):
        if commit.oid in {c.oid for c in found.history("main")}:
            break
        data: dict[str, Any] = {"subject": commit.title, "oid": commit.oid}
        events.append({"id": commit.oid[:24], "type": "commit", **who, "data": data})
    return Reply.json(
        {
            **_head(found, one),
            "events": events,
            "changes": {"base": "refs/heads/main"},
            "filesWithConflicts": [],
            "diff": "",
        }
    )


@route("POST", r"/api/models/{repo}/discussions/(?P<num>\d+)/merge")
def merge(hub: Hub, request: Request, repo: str, num: str) -> Reply:
    found = hub.writable(repo, request)
    one = _numbered(found, num)
    proposed = found.at(f"refs/pr/{one.num}")
    # As the Hub does it: one commit, with the title of the request and its number.
    found.commit(
        "refs/heads/main", f"{one.title} (#{one.num})", f"- {proposed.title}", proposed.tree
    )
    one.status = "merged"
    return Reply.json({})


def _numbered(found: Repository, num: str) -> Discussion:
    if not 0 < int(num) <= len(found.discussions):
        raise Refusal(404, "Discussion not found")
    return found.discussions[int(num) - 1]


def _head(found: Repository, one: Discussion) -> dict[str, Any]:
    return {
        "num": one.num,
        "title": one.title,
        "status": one.status,
        "isPullRequest": True,
        "createdAt": one.date,
        "author": {"name": "zoo"},
        "repo": {"name": found.name, "type": "model"},
    }
