"""A bundle goes to a repository in one commit or not at all, and never over others' work."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import CommitOperationAdd, HfApi

import dashzoo
from dashzoo.hub.pushing import MARK
from dashzoo_search.errors import BundleExists, HubFailed, UnknownModel

from .server.git import Blob

REPO = "acme/waves"


def writes(hub) -> list[str]:
    """What could have changed something."""
    return [one for one in hub.asked() if not one.startswith(("GET", "HEAD"))]


@pytest.fixture
def published(hub, made_bundle):
    return dashzoo.publish(made_bundle, REPO, tag="v1")


@pytest.fixture
def changed(bundle):
    """The bundle, with another seed told."""
    results = json.loads((bundle / "results.json").read_text())
    results["seed"] += 1
    (bundle / "results.json").write_text(json.dumps(results))
    dashzoo.card(bundle)
    return bundle


class TestNew:
    def test_one_commit_of_exactly_the_bundle(self, hub, published, made_bundle):
        repository = hub.repositories[REPO]
        first, second = repository.history("main")[::-1]
        assert set(first.tree) == {".gitattributes"}
        assert set(second.tree) == {*published.files, ".gitattributes"}
        assert not any(name.startswith("search/") for name in second.tree)
        assert second.oid == published.commit == repository.at("v1").oid
        assert second.title == f"Publish waves {MARK}"
        for name, blob in second.tree.items():
            if name != ".gitattributes":
                data = blob.data if blob.sha256 is None else hub.storage.objects[blob.sha256]
                assert data == (made_bundle / name).read_bytes()

    def test_what_is_told(self, published, made_bundle):
        assert published.created
        assert published.sent == published.files
        assert published.bytes == sum((made_bundle / n).stat().st_size for n in published.files)

    def test_private(self, hub, made_bundle):
        dashzoo.publish(made_bundle, REPO, private=True)
        assert hub.repositories[REPO].private

    def test_dry_run_writes_nothing(self, hub, command, made_bundle):
        outcome = command("publish", made_bundle, REPO, "--dry-run")
        assert outcome.code == 0
        assert "which would be new" in outcome.out
        assert "model.safetensors" in outcome.out
        assert writes(hub) == []
        assert hub.repositories == {}

    def test_no_pull_request_to_what_is_not_there(self, hub, made_bundle):
        with pytest.raises(UnknownModel, match="leave out --pr"):
            dashzoo.publish(made_bundle, REPO, pr=True)
        assert writes(hub) == []


class TestUpdate:
    def test_the_same_again_is_no_commit(self, hub, published, made_bundle, command):
        before = len(writes(hub))
        outcome = command("publish", made_bundle, REPO)
        assert outcome.out == f"{REPO} is up to date at {published.commit}.\n"
        assert len(writes(hub)) == before

    def test_only_what_changed_is_sent(self, hub, published, changed):
        before = len(hub.exchanges)
        done = dashzoo.publish(changed, REPO)
        assert "model.safetensors" not in done.sent
        assert {"results.json", "SHA256SUMS"} <= set(done.sent)
        puts = [e for e in hub.exchanges[before:] if e.request.method == "PUT"]
        assert all(len(e.request.body) < 300_000 for e in puts)
        assert len(hub.repositories[REPO].history("main")) == 3

    def test_what_the_bundle_lost_goes(self, hub, published, bundle):
        repository = hub.repositories[REPO]
        tree = {**repository.head.tree, "onnx/model.int8.onnx": repository.head.tree["README.md"]}
        repository.commit("refs/heads/main", f"old {MARK}", "", tree)
        assert dashzoo.publish(bundle, REPO).removed == ("onnx/model.int8.onnx",)
        assert "onnx/model.int8.onnx" not in repository.head.tree

    def test_a_tag_stays_where_it_is(self, hub, published, changed, made_bundle):
        before = len(writes(hub))
        with pytest.raises(BundleExists, match="has a tag v1 already"):
            dashzoo.publish(changed, REPO, tag="v1")
        assert len(writes(hub)) == before
        assert dashzoo.publish(made_bundle, REPO, tag="v1").commit == published.commit

    def test_a_tag_that_failed_is_made_by_the_same_command(self, hub, made_bundle):
        hub.fail("POST", "/tag/", status=403)
        with pytest.raises(HubFailed):
            dashzoo.publish(made_bundle, REPO, tag="v1")
        done = dashzoo.publish(made_bundle, REPO, tag="v1")
        assert hub.repositories[REPO].at("v1").oid == done.commit
        assert len(hub.repositories[REPO].history("main")) == 2

    def test_private_is_not_taken_for_granted(self, hub, published, changed):
        with pytest.raises(BundleExists, match="is public"):
            dashzoo.publish(changed, REPO, private=True)


class TestOthersWork:
    def test_a_repository_of_somebody_else(self, hub, made_bundle):
        hub_api = HfApi()
        hub_api.create_repo(REPO)
        hub_api.upload_file(path_or_fileobj=b"hi", path_in_repo="notes.txt", repo_id=REPO)
        before = len(writes(hub))
        with pytest.raises(BundleExists, match="add --pr"):
            dashzoo.publish(made_bundle, REPO)
        assert len(writes(hub)) == before

    def test_a_commit_by_hand(self, hub, published, changed):
        operation = CommitOperationAdd("README.md", b"---\nlicense: mit\n---\nmine")
        HfApi().create_commit(REPO, [operation], commit_message="Better words")
        with pytest.raises(BundleExists):
            dashzoo.publish(changed, REPO)
        assert hub.repositories[REPO].head.title == "Better words"

    def test_another_model_of_ours(self, hub, published, changed):
        repository = hub.repositories[REPO]
        config = json.loads(repository.head.tree["config.json"].data)
        config["dashzoo"]["task"] = "another"
        tree = {**repository.head.tree, "config.json": Blob.regular(json.dumps(config).encode())}
        repository.commit("refs/heads/main", f"Publish another {MARK}", "", tree)
        with pytest.raises(BundleExists, match="not this model's"):
            dashzoo.publish(changed, REPO)

    def test_an_empty_repository_is_filled(self, hub, made_bundle):
        HfApi().create_repo(REPO)
        assert not dashzoo.publish(made_bundle, REPO).created

    def test_a_pull_request_leaves_main_alone_and_its_merge_is_ours(
        self, hub, published, changed, made_bundle
    ):
        repository = hub.repositories[REPO]
        before = repository.head.oid
        done = dashzoo.publish(changed, REPO, pr=True, message="New seed")
        assert done.request == f"{hub.url}/{REPO}/discussions/1"
        assert repository.head.oid == before
        HfApi().merge_pull_request(REPO, 1)
        assert repository.head.title == f"New seed {MARK} (#1)"
        dashzoo.publish(made_bundle, REPO)
        assert repository.head.title.startswith("Publish waves")

    def test_a_pull_request_removes_nothing_of_others(self, hub, made_bundle):
        HfApi().create_repo(REPO)
        HfApi().upload_file(path_or_fileobj=b"hi", path_in_repo="notes.txt", repo_id=REPO)
        done = dashzoo.publish(made_bundle, REPO, pr=True)
        assert done.removed == ()
        assert "notes.txt" in hub.repositories[REPO].at("refs/pr/1").tree

    def test_somebody_commits_meanwhile(self, hub, published, changed):
        repository = hub.repositories[REPO]

        def meanwhile(request):
            if "/preupload/" in request.target:
                repository.commit("refs/heads/main", "theirs", "", repository.head.tree)

        hub.watch = meanwhile
        with pytest.raises(BundleExists, match="at the same time"):
            dashzoo.publish(changed, REPO)
        assert repository.head.title == "theirs"


class TestInterrupted:
    def test_nothing_shows_and_nothing_is_sent_twice(self, hub, made_bundle):
        hub.fail("POST", "/commit/", status=400)
        with pytest.raises(HubFailed):
            dashzoo.publish(made_bundle, REPO)
        assert set(hub.repositories[REPO].head.tree) == {".gitattributes"}
        sent = hub.asked("PUT")
        assert len(sent) >= 2
        dashzoo.publish(made_bundle, REPO)
        assert hub.asked("PUT") == sent

    def test_a_line_that_breaks_in_an_upload(self, hub, made_bundle):
        hub.fail("PUT", "/_lfs/", cut=0, times=99)
        with pytest.raises(HubFailed, match="goes on where it stopped"):
            dashzoo.publish(made_bundle, REPO)
        assert set(hub.repositories[REPO].head.tree) == {".gitattributes"}
        hub.faults.waiting.clear()
        dashzoo.publish(made_bundle, REPO)
        assert len(hub.repositories[REPO].history("main")) == 2

    @pytest.mark.parametrize(
        "path", ["/repos/create", "/preupload/", "/batch", "/_lfs/", "/commit/"]
    )
    def test_a_fault_of_the_hub_that_passes(self, hub, made_bundle, waits, path):
        hub.fail("POST|PUT", path, status=503)
        dashzoo.publish(made_bundle, REPO)
        assert len(hub.repositories[REPO].history("main")) == 2
        assert len(waits) == 1

    def test_the_answer_to_the_commit_is_lost(self, hub, made_bundle):
        hub.fail("POST", "/commit/", cut=3)
        done = dashzoo.publish(made_bundle, REPO)
        assert len(hub.repositories[REPO].history("main")) == 2
        assert hub.repositories[REPO].head.oid == done.commit

    def test_a_pull_request_is_not_opened_twice(self, hub, published, changed, waits):
        hub.fail("POST", "/commit/", cut=3)
        with pytest.raises(HubFailed, match="line to"):
            dashzoo.publish(changed, REPO, pr=True)
        assert waits == []
        assert len(hub.repositories[REPO].discussions) == 1

    def test_over_xet(self, xet_hub, made_bundle):
        done = dashzoo.publish(made_bundle, REPO)
        assert xet_hub.asked("PUT") == []
        assert xet_hub.repositories[REPO].head.oid == done.commit
        assert dashzoo.publish(made_bundle, REPO).sent == ()

    def test_over_xet_nothing_is_stored_twice(self, xet_hub, made_bundle):
        def stored():
            return {p.name: p.stat().st_size for p in xet_hub.storage.xet.rglob("default.*")}

        xet_hub.fail("POST", "/commit/", status=400)
        with pytest.raises(HubFailed):
            dashzoo.publish(made_bundle, REPO)
        assert set(xet_hub.repositories[REPO].head.tree) == {".gitattributes"}
        before = stored()
        assert before
        dashzoo.publish(made_bundle, REPO)
        assert stored() == before
