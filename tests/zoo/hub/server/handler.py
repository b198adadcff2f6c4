"""HTTP/1.1 on a socket: read a request, find its route, answer, keep a record."""

from __future__ import annotations

import re
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .replies import ROUTES, Refusal, Reply, Request

if TYPE_CHECKING:
    from .hub import Hub


def answer(hub: Hub, request: Request) -> Reply:
    """What the route for this request gives."""
    for method, pattern, function in ROUTES:
        wanted = "GET" if request.method == "HEAD" else request.method
        if method == wanted and (match := re.fullmatch(pattern, request.path)):
            try:
                with hub.lock:
                    groups = {k: unquote(v) for k, v in match.groupdict().items() if v is not None}
                    return function(hub, request, **groups)
            except Refusal as refusal:
                return refusal.reply
            except Exception as error:  # the fixture fails the test for it
                hub.broken.append(error)
                return Refusal(599, repr(error)).reply
    return Refusal(404, "Sorry, we can't find the page you are looking for.").reply


def handler_for(hub: Hub) -> type[BaseHTTPRequestHandler]:
    """A handler class that answers for ``hub``."""
    from .hub import Exchange

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "loopback"

        def serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length) if length else self._chunks()
            headers = {name.lower(): text for name, text in self.headers.items()}
            inside = self.path.startswith(hub.prefix)
            target = self.path.removeprefix(hub.prefix)
            request = Request(self.command, target, headers, body, hub.url)
            hub.watch(request)
            fault = hub.faults.take(request)
            if fault and fault.cut == 0:
                self.close_connection = True
                return
            if fault and fault.reply:
                reply = fault.reply
            else:
                reply = answer(hub, request) if inside else Refusal(404, "Outside").reply
            hub.exchanges.append(Exchange(request, reply))
            self._send(reply, fault.cut if fault else None)

        def _chunks(self) -> bytes:
            if self.headers.get("transfer-encoding", "").lower() != "chunked":
                return b""
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _send(self, reply: Reply, cut: int | None) -> None:
            self.send_response(reply.status)
            for name, text in reply.headers.items():
                self.send_header(name, text)
            if "content-length" not in reply.headers:
                self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body[:cut])
            if cut is not None:
                self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Handler
