"""Every way in which the Hub fails ends in a sentence with the next command, or is asked again."""

from __future__ import annotations

import json

import pytest

import dashzoo
from dashzoo.catalogue import catalogue, find
from dashzoo_search.errors import BundleExists, HubFailed, UnknownModel

from .server.faults import Fault
from .server.git import Blob, Repository
from .server.hub import READ
from .server.replies import Reply

REPO = "acme/waves"
INFO = f"/api/models/{REPO}$"


@pytest.fixture
def there(hub):
    """A repository that is no bundle, which is as much as these tests need."""
    hub.repositories[REPO] = Repository(REPO)
    return hub


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (401, HubFailed, "run 'hf auth login' or set HF_TOKEN, then run 'dashzoo pull acme/waves'"),
        (403, HubFailed, "make one with write access at .*/settings/tokens"),
        (418, HubFailed, r"refused \(418\) \(as asked\)"),
    ],
)
def test_what_is_not_asked_again(there, waits, status, kind, told):
    there.fail("GET", INFO, status=status, times=9)
    with pytest.raises(kind, match=told) as caught:
        find(REPO)
    assert caught.value.status == status
    assert waits == []
    assert len(there.asked(path=f"models/{REPO}")) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_asked_again(there, waits, status):
    there.fail("GET", "/api/models", status=status, times=1)
    assert catalogue("acme/*", remote=True) == []
    assert len(waits) == 1


@pytest.mark.parametrize(("status", "told"), [(429, "wants a rest"), (503, "a fault of its own")])
def test_what_does_not_pass(there, made_bundle, waits, status, told):
    there.fail("GET", INFO, status=status, times=99)
    with pytest.raises(HubFailed, match=f"{told}.*'dashzoo publish .* acme/waves") as caught:
        dashzoo.publish(made_bundle, REPO)
    assert caught.value.status == status
    assert waits == [1, 4]


def test_retry_after_is_kept(there, made_bundle, waits):
    there.fail("GET", INFO, status=429, times=1, retry_after="7")
    with pytest.raises(BundleExists):  # the second answer: it is not ours
        tree = {"x": Blob.regular(b"x")}
        there.repositories[REPO].commit("refs/heads/main", "x", "", tree)
        dashzoo.publish(made_bundle, REPO)
    assert waits == [7]


def test_retry_after_too_long_is_told(there, waits, made_bundle):
    there.fail("GET", INFO, status=429, times=9, retry_after="3600")
    with pytest.raises(HubFailed, match="in 3600 s run"):
        dashzoo.publish(made_bundle, REPO)
    assert waits == []


def test_a_dropped_line(there, waits, made_bundle):
    there.fail("GET", INFO, cut=0, times=99)
    with pytest.raises(HubFailed, match=r"The line to http://127.* broke .*goes on where"):
        dashzoo.publish(made_bundle, REPO)
    assert waits == [1, 4]


def test_a_dropped_line_once(there, waits):
    there.fail("GET", INFO, cut=0)
    with pytest.raises(UnknownModel):
        find(REPO)
    assert waits == [1]


class TestNotFound:
    def test_a_repository(self, hub):
        with pytest.raises(UnknownModel, match=r"has no model acme/none.*dashzoo list --remote"):
            find("acme/none")

    def test_a_repository_for_a_stranger(self, hub, point_to):
        point_to(hub.url, token=None)
        with pytest.raises(HubFailed, match=r"to a stranger.*hf auth login"):
            find("acme/none")

    def test_a_revision(self, there):
        with pytest.raises(UnknownModel, match=r"no revision 'v9'; run 'hf repos tag list"):
            find(f"{REPO}@v9")

    def test_a_file(self, there):
        with pytest.raises(UnknownModel, match=r"no bundle of dashzoo's"):
            find(REPO)


def test_gated(there, point_to):
    there.repositories[REPO].gated = True
    point_to(there.url, token=None)
    with pytest.raises(HubFailed, match=r"ask for access at http://127.*/acme/waves, run 'hf auth"):
        find(REPO)


def test_private_is_seen_with_a_token(there, point_to):
    there.repositories[REPO].private = True
    with pytest.raises(UnknownModel, match="no bundle"):
        find(REPO)
    point_to(there.url, token=None)
    with pytest.raises(HubFailed, match="stranger"):
        find(REPO)


def test_a_token_that_may_only_read(hub, point_to, made_bundle):
    point_to(hub.url, token=READ)
    with pytest.raises(HubFailed, match=r"This token may only read.*write access") as caught:
        dashzoo.publish(made_bundle, REPO)
    assert caught.value.status == 403
    assert hub.repositories == {}


def test_a_server_without_xet(hub, made_bundle, monkeypatch):
    pytest.importorskip("hf_xet")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    with pytest.raises(HubFailed, match=r"'HF_HUB_DISABLE_XET=1 dashzoo publish .* acme/waves"):
        dashzoo.publish(made_bundle, REPO)
    assert set(hub.repositories[REPO].head.tree) == {".gitattributes"}
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    dashzoo.publish(made_bundle, REPO)


def test_what_the_server_says_is_made_plain(there, refused):
    body = json.dumps({"error": "\x1b[31mred\nalert"}).encode()
    reply = Reply(418, body, {"content-type": "application/json"})
    there.faults.waiting.append(Fault("GET", INFO, reply, times=9))
    assert "refused (418) ( [31mred alert);" in refused("pull", REPO)


def test_the_command_repeats_every_option(hub, made_bundle):
    hub.fail("POST", "/repos/create", status=403)
    with pytest.raises(HubFailed, match=r"acme/waves --message 'Two words' --private --tag v1'"):
        dashzoo.publish(made_bundle, REPO, private=True, tag="v1", message="Two words")


def test_on_the_command_line(there, refused):
    assert "no revision 'v9'" in refused("show", f"{REPO}@v9")
    assert "no revision 'v9'" in refused("pull", f"{REPO}@v9")
