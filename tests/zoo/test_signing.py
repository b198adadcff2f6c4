"""A signature is of every file of a bundle, by one key, and of nothing that came after."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import dashzoo
from dashzoo.signing import check_signature
from dashzoo_export.bundle import SIGNATURE, SUMS, check_bundle, seal
from dashzoo_search.errors import BadBundle, BadData

pytest.importorskip("model_signing.signing", exc_type=ImportError)
from model_signing import verifying


def write_pair(folder, name, private, password=None):
    locked = serialization.NoEncryption()
    if password is not None:
        locked = serialization.BestAvailableEncryption(password.encode())
    secret, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret.write_bytes(private.private_bytes(pem, pkcs8, locked))
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(private.public_key().public_bytes(pem, info))
    return secret, public


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """Two pairs of keys by name, each a private and a public file."""
    folder = tmp_path_factory.mktemp("keys")
    curve = ec.SECP256R1()
    return {
        name: write_pair(folder, name, ec.generate_private_key(curve)) for name in ("ann", "eve")
    }


@pytest.fixture(scope="session")
def once_signed(made_bundle, keys, tmp_path_factory):
    """The bundle of sequences, signed by ann, its working files beside it; read only."""
    folder = shutil.copytree(made_bundle, tmp_path_factory.mktemp("signed") / "waves")
    dashzoo.sign(folder, keys["ann"][0])
    return folder


@pytest.fixture
def signed(once_signed, tmp_path):
    return shutil.copytree(once_signed, tmp_path / "waves")


def payload(folder):
    told = json.loads((folder / SIGNATURE).read_text())
    return json.loads(base64.b64decode(told["dsseEnvelope"]["payload"]))


class TestSign:
    def test_it_is_of_every_file_but_itself(self, signed, keys):
        names = {item["name"] for item in payload(signed)["predicate"]["resources"]}
        assert names == set(check_bundle(signed)) - {SIGNATURE}
        assert SUMS in names
        check_signature(signed, keys["ann"][1])

    def test_it_stays_out_of_the_sums_and_the_card(self, signed):
        assert SIGNATURE not in (signed / SUMS).read_text()
        assert f"| `{SIGNATURE}`" not in (signed / "README.md").read_text()
        assert check_bundle(signed)[-1] == SIGNATURE

    def test_the_library_alone_checks_it(self, signed, keys):
        config = verifying.Config().use_elliptic_key_verifier(public_key=keys["ann"][1])
        config.verify(signed, signed / SIGNATURE)
        (signed / "README.md").write_text("other")
        with pytest.raises(ValueError, match="README"):
            config.verify(signed, signed / SIGNATURE)

    def test_hidden_and_working_files_are_not_named(self, signed, keys):
        (signed / ".env").write_text("SECRET=1")
        dashzoo.sign(signed, keys["ann"][0])
        text = json.dumps(payload(signed)["predicate"]["resources"])
        assert ".env" not in (signed / SIGNATURE).read_text() + json.dumps(payload(signed))
        assert "search/" not in text
        check_signature(signed, keys["ann"][1])

    def test_an_encrypted_key(self, bundle, tmp_path, command, refused, monkeypatch):
        private = ec.generate_private_key(ec.SECP384R1())
        secret, public = write_pair(tmp_path, "locked", private, password="1234")
        assert "DASHZOO_KEY_PASSWORD" in refused("sign", bundle, "--key", secret)
        monkeypatch.setenv("DASHZOO_KEY_PASSWORD", "4321")
        assert "DASHZOO_KEY_PASSWORD" in refused("sign", bundle, "--key", secret)
        monkeypatch.setenv("DASHZOO_KEY_PASSWORD", "1234")
        assert command("sign", bundle, "--key", secret).code == 0
        check_signature(bundle, public)

    def test_a_bundle_that_is_not_whole(self, bundle, keys, refused):
        with (bundle / "README.md").open("a") as card:
            card.write("more")
        assert "has changed" in refused("sign", bundle, "--key", keys["ann"][0])
        (bundle / SUMS).unlink()
        assert "dashzoo card" in refused("sign", bundle, "--key", keys["ann"][0])
        assert not (bundle / SIGNATURE).exists()

    @pytest.mark.parametrize("kind", ["rsa", "text", "public", "other curve"])
    def test_what_is_no_private_key(self, bundle, keys, tmp_path, refused, kind):
        path = tmp_path / "key.pem"
        if kind == "rsa":
            path, _ = write_pair(tmp_path, "rsa", rsa.generate_private_key(65537, 1024))
        elif kind == "other curve":
            path, _ = write_pair(tmp_path, "koblitz", ec.generate_private_key(ec.SECP256K1()))
        else:
            path.write_bytes(b"text" if kind == "text" else keys["ann"][1].read_bytes())
        assert "openssl ecparam" in refused("sign", bundle, "--key", path)

    def test_no_such_key(self, bundle, tmp_path, refused):
        assert "No such file" in refused("sign", bundle, "--key", tmp_path / "none.pem")

    def test_without_the_library(self, bundle, keys, refused, monkeypatch):
        monkeypatch.setitem(sys.modules, "model_signing", None)
        assert "pip install 'dashzoo[sign]'" in refused("sign", bundle, "--key", keys["ann"][0])


class TestStale:
    def test_sealing_again_removes_it(self, signed):
        seal(signed)
        assert not (signed / SIGNATURE).exists()

    def test_so_does_the_card(self, signed):
        dashzoo.card(signed)
        assert SIGNATURE not in check_bundle(signed)


class TestVerify:
    def test_command(self, signed, keys, command, snapshot):
        before = snapshot(signed)
        told = command("verify", signed, "--public-key", keys["ann"][1], "--json")
        assert (told.code, told.err) == (0, "")
        assert told.json["signed"]
        assert told.json["signature_checked"]
        assert snapshot(signed) == before

    def test_a_signature_is_told_where_no_key_is_given(self, signed, command):
        assert command("verify", signed).out.endswith("give --public-key to check by whom.\n")

    def test_an_unsigned_bundle_is_refused_where_a_key_is_given(self, made_bundle, keys, refused):
        told = refused("verify", made_bundle, "--public-key", keys["ann"][1])
        assert told == (
            f"{made_bundle} is not signed; sign it with 'dashzoo sign', or leave out --public-key."
        )

    def test_another_key(self, signed, keys, refused):
        public = keys["eve"][1]
        told = refused("verify", signed, "--public-key", public)
        assert told.startswith(f"model.sig was not made with the private key of {public}; get")

    def test_a_changed_file_that_was_sealed_again(self, signed, keys, refused):
        signature = (signed / SIGNATURE).read_bytes()
        with (signed / "README.md").open("a") as card:
            card.write("more")
        assert "has changed" in refused("verify", signed, "--public-key", keys["ann"][1])
        seal(signed)
        (signed / SIGNATURE).write_bytes(signature)
        told = refused("verify", signed, "--public-key", keys["ann"][1])
        assert told.startswith("model.sig is by that key, but of other files; get")

    @pytest.mark.parametrize("name", ["onnx/more.json", "model_2.safetensors"])
    def test_an_added_file(self, signed, keys, refused, name):
        signature = (signed / SIGNATURE).read_bytes()
        (signed / name).write_text("{}")
        assert "not listed" in refused("verify", signed, "--public-key", keys["ann"][1])
        seal(signed)
        (signed / SIGNATURE).write_bytes(signature)
        told = refused("verify", signed, "--public-key", keys["ann"][1])
        assert "but of other files" in told

    def test_what_a_signature_leaves_out_is_not_signed(self, bundle, keys):
        from model_signing import hashing, signing

        ignored = hashing.Config().set_ignored_paths(paths=["search", SIGNATURE, "README.md"])
        config = signing.Config().set_hashing_config(ignored)
        config.use_elliptic_key_signer(private_key=keys["ann"][0]).sign(bundle, bundle / SIGNATURE)
        with pytest.raises(BadBundle, match="of other files"):
            check_signature(bundle, keys["ann"][1])

    @pytest.mark.parametrize("kept", [0, 1, 700, -2])
    def test_a_truncated_signature(self, signed, keys, refused, kept):
        path = signed / SIGNATURE
        path.write_bytes(path.read_bytes()[:kept])
        told = refused("verify", signed, "--public-key", keys["ann"][1])
        assert told.startswith("model.sig is damaged")
        assert told.endswith("; get bundle and key from their author again.")

    @pytest.mark.parametrize("text", ["{}", '{"mediaType": 1}', "[]", "null", '"x"'])
    def test_json_that_is_no_signature(self, signed, keys, text):
        (signed / SIGNATURE).write_text(text)
        with pytest.raises(BadBundle, match=r"model\.sig") as caught:
            check_signature(signed, keys["ann"][1])
        assert caught.value.field == SIGNATURE

    def test_a_forged_list_of_files(self, signed, keys):
        told = json.loads((signed / SIGNATURE).read_text())
        forged = payload(signed)
        forged["predicate"]["resources"].pop()
        told["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(forged).encode()).decode()
        (signed / SIGNATURE).write_text(json.dumps(told))
        with pytest.raises(BadBundle, match="was not made with"):
            check_signature(signed, keys["ann"][1])

    def test_the_librarys_warnings_are_not_printed_into_json(self, signed, keys, command):
        told = json.loads((signed / SIGNATURE).read_text())
        del told["verificationMaterial"]["publicKey"]["hint"]
        (signed / SIGNATURE).write_text(json.dumps(told))
        outcome = command("verify", signed, "--public-key", keys["ann"][1], "--json")
        assert outcome.json["signature_checked"]
        assert "WARNING" in outcome.err

    @pytest.mark.parametrize("kind", ["rsa", "text", "private"])
    def test_what_is_no_public_key(self, signed, keys, tmp_path, kind):
        path = tmp_path / "key.pem"
        if kind == "rsa":
            _, path = write_pair(tmp_path, "rsa", rsa.generate_private_key(65537, 1024))
        else:
            path.write_bytes(b"text" if kind == "text" else keys["ann"][0].read_bytes())
        with pytest.raises(BadData, match="openssl ec"):
            check_signature(signed, path)

    def test_without_the_library(self, signed, keys, refused, command, monkeypatch):
        monkeypatch.setitem(sys.modules, "model_signing", None)
        told = refused("verify", signed, "--public-key", keys["ann"][1])
        assert "pip install 'dashzoo[sign]'" in told
        assert command("verify", signed).code == 0

    def test_links_are_followed_as_the_cache_has_them(self, signed, keys, tmp_path):
        linked = tmp_path / "linked"
        for name in check_bundle(signed):
            (linked / name).parent.mkdir(parents=True, exist_ok=True)
            (linked / name).symlink_to(os.path.relpath(signed / name, (linked / name).parent))
        check_signature(linked, keys["ann"][1])


def test_it_goes_where_the_bundle_goes(signed, keys, tmp_path):
    done = dashzoo.publish(signed, tmp_path / "there")
    assert SIGNATURE in done.files
    check_signature(tmp_path / "there", keys["ann"][1])
    dashzoo.publish(tmp_path / "there", tmp_path / "there too")
    check_signature(tmp_path / "there too", keys["ann"][1])
