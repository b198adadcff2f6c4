"""From the Hub comes one commit of listed files, whole, and it stays when the Hub is gone."""

from __future__ import annotations

import hashlib
import os
import shutil
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import constants, file_download

import dashzoo
from dashzoo.catalogue import find
from dashzoo_search.errors import BadBundle, HubFailed, NotFetched, UnknownModel

from .server.git import Blob

REPO = "acme/waves"


def large(hub, data: bytes) -> Blob:
    digest = hashlib.sha256(data).hexdigest()
    hub.storage.objects[digest] = data
    return Blob.large(digest, len(data))


@pytest.fixture
def put(hub, made_bundle):
    """Put a bundle into a repository, past all checks, with other files and hashes if asked."""

    def put(repo: str = REPO, *, extra=None, sums=None) -> str:
        from .server.git import Repository

        repository = hub.repositories.setdefault(repo, Repository(repo))
        names = [
            line.split("  ")[1]
            for line in (made_bundle / "SHA256SUMS").read_text().split("\n")
            if line
        ]
        tree = dict(repository.head.tree)
        for name in [*names, "SHA256SUMS"]:
            data = (made_bundle / name).read_bytes()
            is_large = name.endswith((".onnx", ".safetensors", ".png"))
            tree[name] = large(hub, data) if is_large else Blob.regular(data)
        tree |= {name: Blob.regular(data) for name, data in (extra or {}).items()}
        if sums is not None:
            tree["SHA256SUMS"] = Blob.regular(sums((made_bundle / "SHA256SUMS").read_bytes()))
        return repository.commit("refs/heads/main", "put", "", tree).oid

    return put


def same(one, other) -> bool:
    x = torch.randn(3, one.in_chans, 30, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.equal(one(x), other(x))


class TestFetch:
    def test_it_computes_what_was_published(self, put, made_bundle):
        put()
        assert same(dashzoo.load(REPO), dashzoo.load(made_bundle))

    def test_config_and_weights_are_of_one_commit(self, hub, put, made_bundle):
        first = put()

        def meanwhile(request):  # main moves on as soon as it has been resolved
            if request.target.endswith("/resolve/" + first + "/SHA256SUMS"):
                hub.watch = lambda request: None
                put(extra={"config.json": b"{}"})

        hub.watch = meanwhile
        found = find(REPO)
        assert found.commit == first
        assert hub.repositories[REPO].head.oid != first
        assert (found.folder / "config.json").read_bytes() == (
            made_bundle / "config.json"
        ).read_bytes()
        assert all(f"/resolve/{first}/" in one for one in hub.asked(path="/resolve/"))

    @pytest.mark.parametrize("revision", ["v1", "exp", "refs/pr/1", "commit"])
    def test_revisions(self, hub, put, revision):
        oid = put()
        hub.repositories[REPO].refs |= {
            "refs/tags/v1": oid,
            "refs/heads/exp": oid,
            "refs/pr/1": oid,
        }
        put(extra={"config.json": b"{}"})
        assert find(f"{REPO}@{oid if revision == 'commit' else revision}").commit == oid

    def test_only_listed_files_come(self, hub, put):
        put(extra={"pytorch_model.bin": b"pickle", "modeling.py": b"code", "notes.json": b"{}"})
        folder = find(REPO).folder
        held = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        assert not held & {"pytorch_model.bin", "modeling.py", "notes.json", ".gitattributes"}
        for name in ("pytorch_model.bin", "modeling.py", "notes.json"):
            assert hub.asked(path=name) == []

    @pytest.mark.parametrize("name", ["model.bin", "x.pkl", "code.py", "../x.json", "/etc/x.json"])
    def test_a_bundle_that_lists_what_is_never_fetched(self, hub, put, name):
        line = f"{'0' * 64}  {name}\n".encode()
        put(extra={name: b"x"}, sums=lambda sums: sums + line)
        with pytest.raises(BadBundle, match="nothing dashzoo fetches"):
            find(REPO)
        assert hub.asked("GET", "model.safetensors") == []

    def test_a_file_that_is_not_what_the_sums_say(self, put):
        put(extra={"results.json": b"{}"})
        with pytest.raises(BadBundle, match=r"results\.json of acme/waves is not what") as caught:
            dashzoo.load(REPO)
        assert caught.value.field == "results.json"

    def test_a_file_that_is_listed_and_missing(self, hub, put):
        put()
        repository = hub.repositories[REPO]
        tree = {k: v for k, v in repository.head.tree.items() if k != "onnx/model.onnx"}
        repository.commit("refs/heads/main", "x", "", tree)
        with pytest.raises(BadBundle, match="lacks onnx"):
            find(REPO)

    def test_no_bundle_at_all(self, hub, put):
        put("acme/other")
        repository = hub.repositories["acme/other"]
        repository.commit("refs/heads/main", "x", "", {"config.json": Blob.regular(b"{}")})
        with pytest.raises(UnknownModel, match=r"timm\.create_model\('hf-hub:acme/other'"):
            find("acme/other")

    def test_a_damaged_cache_is_seen(self, put):
        put()
        weights = find(REPO).folder / "model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.resolve().write_bytes(data)
        with pytest.raises(BadBundle, match="hf cache rm model/acme/waves"):
            dashzoo.load(REPO)

    def test_what_is_here_is_not_asked_for_again(self, hub, put):
        oid = put()
        find(REPO)
        before = len(hub.exchanges)
        find(REPO)
        assert [str(e) for e in hub.exchanges[before:]] == [f"GET /api/models/{REPO} 200"]
        find(f"{REPO}@{oid}")
        assert len(hub.exchanges) == before + 1

    def test_long_lists_come_in_pages(self, hub, put):
        put()
        hub.page = 2
        find(REPO)
        assert len(hub.asked(path="cursor=")) >= 3

    def test_a_prefix_in_the_endpoint(self, put, hub, point_to):
        put()
        hub.prefix = "/mirror/hub"
        hub.url += hub.prefix
        point_to(hub.url)
        assert same(dashzoo.load(REPO), dashzoo.load(REPO))

    def test_a_broken_line_goes_on_where_it_stopped(self, hub, put, made_bundle, monkeypatch):
        size = (made_bundle / "model.safetensors").stat().st_size
        put()
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 64)  # below it, all is had again
        hub.fail("GET", r"/resolve/.*/model\.safetensors", cut=size // 2)
        find(REPO)
        asked = [e.request for e in hub.exchanges if "model.safetensors" in e.request.target]
        ranges = [r.headers["range"] for r in asked if "range" in r.headers]
        (begun,) = ranges
        assert size // 2 - 64 < int(begun.removeprefix("bytes=").removesuffix("-")) <= size // 2

    def test_over_xet(self, xet_hub, made_bundle):
        dashzoo.publish(made_bundle, REPO)
        assert same(dashzoo.load(REPO), dashzoo.load(made_bundle))
        assert xet_hub.asked("GET", "xet-read-token")
        assert xet_hub.asked("GET", "model.safetensors") == []


class TestOffline:
    def test_all_that_was_fetched_works(self, hub, put, monkeypatch):
        oid = put()
        hub.repositories[REPO].refs["refs/tags/v1"] = oid
        net = dashzoo.load(f"{REPO}@v1")
        dashzoo.load(REPO)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        before = len(hub.exchanges)
        for name in (REPO, f"{REPO}@v1", f"{REPO}@{oid}"):
            assert same(dashzoo.load(name), net)
        assert len(hub.exchanges) == before

    def test_what_is_missing_is_named_with_its_command(self, hub, put, offline, refused):
        put()
        told = refused("show", f"{REPO}@v2")
        assert f"{REPO}@v2 is not on this machine" in told
        assert f"'HF_HUB_OFFLINE=0 dashzoo pull {REPO}@v2'" in told
        assert hub.asked() == []

    def test_half_of_it(self, hub, put, offline, monkeypatch):
        put()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        folder = find(REPO).folder
        (folder / "model.safetensors").resolve().unlink()
        (folder / "model.safetensors").unlink()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(NotFetched, match="dashzoo pull"):
            dashzoo.load(REPO)

    def test_no_network(self, hub, put, point_to):
        put()
        net = dashzoo.load(REPO)
        point_to("http://127.0.0.1:9")
        assert same(dashzoo.load(REPO), net)
        with pytest.raises(NotFetched, match=r"127\.0\.0\.1:9 cannot be reached"):
            dashzoo.load("acme/other")

    def test_the_rest_says_why(self, offline, refused, made_bundle):
        assert "HF_HUB_OFFLINE is set" in refused("list", "--remote")
        assert "HF_HUB_OFFLINE is set" in refused("publish", made_bundle, REPO)


class TestPull:
    def test_to_a_folder(self, hub, put, command, tmp_path, made_bundle):
        oid = put()
        told = command("pull", REPO, "--to", tmp_path / "here", "--json").json
        assert (told["commit"], told["where"]) == (oid, "hub")
        for name in told["files"]:
            path = tmp_path / "here" / name
            assert path.read_bytes() == (made_bundle / name).read_bytes()
            assert not path.is_symlink()
        shutil.rmtree(os.environ["HF_HOME"])
        dashzoo.load(tmp_path / "here")

    def test_to_a_folder_in_use(self, put, refused, command, tmp_path):
        put()
        (tmp_path / "here").mkdir()
        (tmp_path / "here" / "thesis.tex").touch()
        assert "holds other files" in refused("pull", REPO, "--to", tmp_path / "here", "--force")

    def test_a_full_disk(self, hub, put, home, monkeypatch):
        put()
        blob = hub.repositories[REPO].head.tree["model.safetensors"]
        blobs = home / "hub" / "models--acme--waves" / "blobs"
        blobs.mkdir(parents=True)
        # The client writes to a name of its own choice, which here leads to a device without room.
        monkeypatch.setattr(file_download.uuid, "uuid4", lambda: SimpleNamespace(hex="0" * 32))
        (blobs / f"{blob.sha256}.{'0' * 8}.incomplete").symlink_to("/dev/full")
        with pytest.raises(HubFailed, match=r"The disk is full .*set HF_HOME .*dashzoo pull"):
            find(REPO)
