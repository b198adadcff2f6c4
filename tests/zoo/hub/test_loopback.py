"""Nothing in these tests reaches beyond this machine."""

from __future__ import annotations

import socket

import pytest
from huggingface_hub import HfApi

from .conftest import LeftLoopbackError


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "huggingface.co"])
def test_other_addresses_are_refused(host):
    with pytest.raises(LeftLoopbackError, match=host), socket.socket() as plain:
        plain.connect((host, 443))
    with pytest.raises(LeftLoopbackError):
        socket.create_connection((host, 443))


def test_not_by_the_client_either(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name)
        monkeypatch.delenv(name.upper())
    with pytest.raises(LeftLoopbackError, match=r"huggingface\.co"):
        HfApi(endpoint="https://huggingface.co").model_info("acme/waves")


def test_loopback_is_not(hub):
    host, port = hub.server.server_address[:2]
    socket.create_connection((host, port)).close()
