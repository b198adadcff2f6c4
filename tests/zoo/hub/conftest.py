"""Each test has its own HF_HOME and may reach nothing but loopback; ``hub`` is a server there."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import close_session, constants, file_download
from huggingface_hub.utils import _http, _xet, disable_progress_bars

from dashzoo.hub import failures

from .server import Hub
from .server.hub import WRITE


def pytest_collection_modifyitems(items):
    """The client's own use of its transport is not ours to mend."""
    ours = Path(__file__).parent
    for item in items:
        if ours in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"))


class LeftLoopbackError(BaseException):
    """A test reached out; no client may swallow it as an error of the network."""


def check_address(address: Any) -> None:
    """Refuse what is not on this machine."""
    host = address[0] if isinstance(address, tuple) else None
    if host in (None, "localhost", ""):  # a path is a socket of this machine
        return
    try:
        inside = ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise LeftLoopbackError(f"tests may not reach {host}")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch) -> None:
    connect, find = socket.socket.connect, socket.getaddrinfo

    def checked(self, address):
        check_address(address)
        return connect(self, address)

    def found(host, *args, **kwargs):
        check_address((host.decode() if isinstance(host, bytes) else host, 0))
        return find(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", checked)
    monkeypatch.setattr(socket.socket, "connect_ex", checked)
    monkeypatch.setattr(socket, "getaddrinfo", found)
    for name in ("http_proxy", "https_proxy", "all_proxy"):  # for hf-xet, whose sockets are Rust's
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Iterator[Path]:
    """An HF_HOME of its own; the client reads its variables once, so they are set in there too."""
    folder = tmp_path / "hf"
    for name in ("HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_DISABLE_XET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "HF_HOME": folder,
        "HF_HUB_CACHE": folder / "hub",
        "HF_XET_CACHE": folder / "xet",
        "HF_TOKEN_PATH": folder / "token",
        "HF_STORED_TOKENS_PATH": folder / "stored_tokens",
    }.items():
        monkeypatch.setattr(constants, name, str(value))
    monkeypatch.setenv("HF_HOME", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    disable_progress_bars()
    yield folder
    close_session()
    _xet.XET_CONNECTION_INFO_CACHE.clear()


@pytest.fixture
def point_to(monkeypatch):
    """Let the client speak to a server, with a token that may write."""

    def point(url: str, token: str | None = WRITE) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        if token is None:
            monkeypatch.delenv("HF_TOKEN", raising=False)
        else:
            monkeypatch.setenv("HF_TOKEN", token)

    return point


@pytest.fixture
def hub(point_to) -> Iterator[Hub]:
    """A server that speaks LFS."""
    with Hub() as server:
        point_to(server.url)
        yield server


@pytest.fixture
def xet_hub(point_to, monkeypatch, tmp_path) -> Iterator[Hub]:
    """A server with a local Xet store, where hf-xet has such."""
    pytest.importorskip("hf_xet")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    with Hub(xet=tmp_path / "cas") as server:
        point_to(server.url)
        yield server


@pytest.fixture
def offline(monkeypatch) -> None:
    """HF_HUB_OFFLINE=1."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.fixture(autouse=True)
def nothing_on_the_shelf(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DASHZOO_SHELF", str(tmp_path / "no-shelf"))


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """Seconds that were to be waited; nobody waits for them."""
    told: list[float] = []
    quick = SimpleNamespace(sleep=told.append, time=time.time, monotonic=time.monotonic)
    for module in (_http, file_download, failures):
        monkeypatch.setattr(module, "time", quick)
    return told
