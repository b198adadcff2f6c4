"""What a route gets and what it gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """One request; ``path`` is below the prefix, still quoted, without the query."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    base: str

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)

    @property
    def token(self) -> str | None:
        return self.headers.get("authorization", "").removeprefix("Bearer ") or None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """One response."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Reply:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(
            status, json.dumps(value).encode(), {"content-type": "application/json", **named}
        )


class Refusal(Exception):
    """A reply that ends the route: a status, what to say, and the code the client goes by."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        headers = {"x-error-message": message} | ({"x-error-code": code} if code else {})
        body = json.dumps({"error": message}).encode()
        self.reply = Reply(status, body, {"content-type": "application/json", **headers})


Route = Callable[..., Reply]
ROUTES: list[tuple[str, str, Route]] = []


def route(method: str, pattern: str) -> Callable[[Route], Route]:
    """Answer ``method`` on paths that match; its groups come unquoted, as arguments."""

    def register(function: Route) -> Route:
        named = pattern.replace("{repo}", "(?P<repo>[^/]+/[^/]+)").replace(
            "{rev}", "(?P<rev>[^/]+)"
        )
        ROUTES.append((method, named, function))
        return function

    return register
