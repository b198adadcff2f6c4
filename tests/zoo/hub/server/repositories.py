"""Who one is, and making, moving, setting and deleting repositories."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from .git import Repository
from .replies import Refusal, Reply, Request, route

if TYPE_CHECKING:
    from .hub import Hub


@route("GET", "/api/whoami-v2")
def whoami(hub: Hub, request: Request) -> Reply:
    roles = {"hf_write": "write", "hf_read": "read"}
    if request.token not in roles:
        raise Refusal(401, "Invalid credentials in Authorization header")
    return Reply.json(
        {
            "type": "user",
            "id": "1",
            "name": "zoo",
            "fullname": "zoo",
            "email": "z@example.org",
            "emailVerified": True,
            "canPay": False,
            "isPro": False,
            "periodEnd": None,
            "orgs": [],
            "auth": {
                "type": "access_token",
                "accessToken": {"displayName": "t", "role": roles[request.token]},
            },
        }
    )


@route("POST", "/api/repos/create")
def create(hub: Hub, request: Request) -> Reply:
    hub.require_write(request)
    asked = request.json
    name = f"{asked.get('organization') or 'zoo'}/{asked['name']}"
    told = {"url": f"{hub.url}/{name}", "name": name, "id": identity(name)}
    if name in hub.repositories:
        message = "You already created this model repo"
        return Reply.json({"error": message, **told}, 409, x_error_message=message)
    private = asked.get("visibility") == "private" or asked.get("private", False)
    hub.repositories[name] = Repository(name, private=private)
    return Reply.json(told)


@route("POST", "/api/repos/move")
def move(hub: Hub, request: Request) -> Reply:
    asked = request.json
    found = hub.writable(asked["fromRepo"], request)
    del hub.repositories[found.name]
    found.name = asked["toRepo"]
    hub.repositories[found.name] = found
    return Reply.json({})


@route("DELETE", "/api/repos/delete")
def delete(hub: Hub, request: Request) -> Reply:
    asked = request.json
    name = f"{asked.get('organization') or 'zoo'}/{asked['name']}"
    hub.writable(name, request)
    del hub.repositories[name]
    return Reply.json({})


@route("PUT", "/api/models/{repo}/settings")
def settings(hub: Hub, request: Request, repo: str) -> Reply:
    found = hub.writable(repo, request)
    asked = request.json
    found.private = asked.get("visibility", "private" if found.private else "public") == "private"
    found.gated = bool(asked.get("gated", found.gated))
    return Reply.json({"private": found.private})


def identity(name: str) -> str:
    """An id of 24 digits."""
    return hashlib.md5(name.encode()).hexdigest()[:24]
