"""A signature goes to the Hub and comes back with its bundle, and leaves when that changes."""

from __future__ import annotations

import pytest

import dashzoo
from dashzoo.catalogue import find
from dashzoo.signing import check_signature
from dashzoo_export.bundle import SIGNATURE
from dashzoo_search.errors import BadBundle

pytest.importorskip("model_signing.signing", exc_type=ImportError)

REPO = "acme/waves"


@pytest.fixture
def key(tmp_path):
    """Paths of a private key and its public one."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    secret, public = tmp_path / "key.pem", tmp_path / "pub.pem"
    secret.write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, none))
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(private.public_key().public_bytes(pem, info))
    return secret, public


def test_there_and_back(hub, bundle, key, command, tmp_path):
    secret, public = key
    dashzoo.sign(bundle, secret)
    done = dashzoo.publish(bundle, REPO)
    assert SIGNATURE in hub.repositories[REPO].head.tree
    assert dashzoo.publish(bundle, REPO).sent == ()
    check_signature(find(REPO).folder, public)
    told = command("pull", REPO, "--to", tmp_path / "here", "--json").json
    assert set(told["files"]) == set(done.files)
    outcome = command("verify", tmp_path / "here", "--public-key", public)
    assert outcome.code == 0
    assert outcome.out.endswith(f"signed by the key of {public}.\n")


def test_signing_later_sends_nothing_else(hub, bundle, key):
    dashzoo.publish(bundle, REPO)
    find(REPO)
    dashzoo.sign(bundle, key[0])
    assert dashzoo.publish(bundle, REPO).sent == (SIGNATURE,)
    check_signature(find(REPO).folder, key[1])


def test_a_signature_that_is_stale_leaves_the_hub(hub, bundle, key):
    dashzoo.sign(bundle, key[0])
    dashzoo.publish(bundle, REPO)
    dashzoo.card(bundle)
    assert dashzoo.publish(bundle, REPO).removed == (SIGNATURE,)
    with pytest.raises(BadBundle, match="is not signed"):
        check_signature(find(REPO).folder, key[1])
