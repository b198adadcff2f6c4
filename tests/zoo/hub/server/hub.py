"""The server itself: what it holds, how it is started, what was asked of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Self

from . import discussions, files, models, refs, repositories, uploads  # noqa: F401  their routes
from .faults import Fault, Faults
from .git import Repository
from .handler import handler_for
from .replies import Refusal, Reply, Request
from .storage import Storage

WRITE, READ = "hf_write", "hf_read"


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    request: Request
    reply: Reply

    def __str__(self) -> str:
        return f"{self.request.method} {self.request.target} {self.reply.status}"


class Hub:
    """A Hub on a free port of 127.0.0.1.

    Args:
        prefix: of every path, such as ``/hub``.
        xet: folder of a Xet store; None to speak LFS only.
    """

    def __init__(self, *, prefix: str = "", xet: Path | None = None) -> None:
        self.repositories: dict[str, Repository] = {}
        self.storage = Storage(xet)
        self.faults = Faults()
        self.exchanges: list[Exchange] = []
        self.broken: list[Exception] = []
        self.page = 1000
        self.watch: Callable[[Request], None] = lambda request: None  # before a route answers
        self.prefix = prefix
        self.lock = threading.RLock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}{prefix}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        if self.broken:
            raise ExceptionGroup("routes of the test server failed", self.broken)

    def fail(
        self,
        method: str = ".*",
        path: str = ".*",
        *,
        status: int = 0,
        times: int = 1,
        cut: int | None = None,
        message: str = "as asked",
        code: str | None = None,
        **headers: str,
    ) -> None:
        """Let the next ``times`` requests that match go wrong; see `Fault`."""
        reply = None
        if status:
            named = {name.replace("_", "-"): text for name, text in headers.items()}
            refused = Refusal(status, message, code).reply
            reply = Reply(status, refused.body, {**refused.headers, **named})
        self.faults.waiting.append(Fault(method, path, reply, cut, times))

    def asked(self, method: str = "", path: str = "") -> list[str]:
        """What was asked so far, as ``METHOD target status``."""
        return [
            str(one)
            for one in self.exchanges
            if one.request.method.startswith(method) and path in one.request.target
        ]

    def repository(self, name: str, request: Request) -> Repository:
        """The repository, as far as the token may see it."""
        found = self.repositories.get(name)
        if found is None or (found.private and request.token not in (WRITE, READ)):
            status = 404 if request.token in (WRITE, READ) else 401
            raise Refusal(status, "Repository not found", "RepoNotFound")
        return found

    def writable(self, name: str, request: Request) -> Repository:
        """The repository, if the token may write to it."""
        found = self.repository(name, request)
        self.require_write(request)
        return found

    def require_write(self, request: Request) -> None:
        if request.token is None:
            raise Refusal(401, "Invalid username or password.")
        if request.token != WRITE:
            raise Refusal(403, "This token may only read")
