"""The test server answers as a Hub was recorded to: same paths, statuses, headers and fields.

``recorded.jsonl`` holds the shapes (see `exchanges`) of what huggingface_hub 2.4 exchanged with
one, over LFS and over Xet, operation by operation; bodies and ids are cut.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    ModelCard,
    constants,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import RevisionNotFoundError

from .exchanges import header_names, keys, path_shape

REPO = "zoo/tiny-searched-cnn"
RECORDED = Path(__file__).with_name("recorded.jsonl").read_text().splitlines()
ROWS = [json.loads(line) for line in RECORDED]

Shape = tuple[str, str, int]


def folder(path: Path) -> Path:
    """The folder that was uploaded: a card, a config, and three large files."""
    (path / "onnx").mkdir(parents=True)
    card = "---\nlicense: apache-2.0\ntags:\n- dash\nlibrary_name: timm\n"
    (path / "README.md").write_text(card + "pipeline_tag: image-classification\n---\n# hi\n")
    (path / "config.json").write_text('{"architecture":"dash_x","num_classes":10}')
    (path / "model.onnx").write_bytes(os.urandom(150_000))
    (path / "onnx" / "small.onnx").write_bytes(os.urandom(2002))
    head = json.dumps({"w": {"dtype": "F32", "shape": [70_000], "data_offsets": [0, 280_000]}})
    data = struct.pack("<Q", len(head)) + head.encode() + bytes(280_000)
    (path / "model.safetensors").write_bytes(data)
    return path


def operations(tmp_path: Path) -> Iterator[str]:
    """Do what was recorded, saying after each operation which it was."""
    api, up = HfApi(), folder(tmp_path / "up")
    api.whoami()
    yield "whoami"
    api.create_repo(REPO, private=False)
    yield "create_repo"
    files = [path for path in sorted(up.rglob("*")) if path.is_file()]
    first = [CommitOperationAdd(path.relative_to(up).as_posix(), path) for path in files]
    api.create_commit(REPO, first, commit_message="first")
    yield "upload_folder"
    again = [CommitOperationAdd(path.relative_to(up).as_posix(), path) for path in files]
    api.create_commit(REPO, again, commit_message="again")
    yield "upload_folder_again_noop"
    mixed = [CommitOperationAdd("extra.txt", b"x"), CommitOperationDelete("onnx/small.onnx")]
    api.create_commit(REPO, mixed, commit_message="mixed")
    yield "mixed"
    api.list_repo_files(REPO)
    yield "list_repo_files"
    api.model_info(REPO, files_metadata=True)
    yield "model_info_files_metadata"
    api.get_paths_info(REPO, ["config.json", "model.onnx", "nope"])
    yield "get_paths_info"
    api.create_tag(REPO, tag="v1.0", tag_message="rel")
    yield "create_tag"
    api.create_branch(REPO, branch="exp")
    yield "create_branch"
    api.list_repo_refs(REPO)
    yield "list_repo_refs"
    api.list_repo_commits(REPO)
    yield "list_repo_commits"
    hf_hub_download(REPO, "config.json")
    yield "hf_hub_download_small"
    hf_hub_download(REPO, "model.safetensors", revision="v1.0")
    yield "hf_hub_download_lfs"
    snapshot_download(REPO, revision="v1.0")
    yield "snapshot_download"
    snapshot_download(REPO, allow_patterns=["*.json"], local_dir=tmp_path / "here")
    yield "snapshot_download_allow_patterns"
    api.get_safetensors_metadata(REPO)
    yield "get_safetensors_metadata"
    files = HfFileSystem(skip_instance_cache=True)
    files.ls(REPO)
    yield "HfFileSystem_ls_read"
    list(api.list_models(filter=["dash", "timm"], author="zoo", sort="last_modified", limit=5))
    yield "list_models_filter"
    list(api.list_models(search="searched", limit=5))
    yield "list_models_search"
    request = [CommitOperationAdd("pr.txt", b"pr")]
    api.create_commit(REPO, request, commit_message="PR", create_pr=True)
    yield "create_commit_create_pr"
    api.create_pull_request(REPO, title="draft")
    yield "create_pull_request"
    list(api.get_repo_discussions(REPO))
    yield "get_repo_discussions"
    api.get_discussion_details(REPO, 1)
    yield "get_discussion_details"
    api.merge_pull_request(REPO, 1)
    yield "merge_pull_request"
    assert not api.file_exists(REPO, "nope.json")
    assert not api.revision_exists(REPO, "v9")
    assert not api.repo_exists("zoo/none")
    yield "file_exists/revision_exists"
    with contextlib.suppress(RevisionNotFoundError):
        hf_hub_download(REPO, "config.json", revision="nope")
    yield "error_contract"
    ModelCard.load(REPO)
    yield "ModelCard_load_push"
    api.update_repo_settings(REPO, gated=False, visibility="public")
    yield "update_repo_settings"
    api.move_repo(REPO, f"{REPO}-2")
    yield "move_repo"
    api.super_squash_history(f"{REPO}-2")
    yield "super_squash_history"
    api.delete_tag(f"{REPO}-2", tag="v1.0")
    api.delete_branch(f"{REPO}-2", branch="exp")
    yield "delete_tag_branch"
    api.delete_repo(f"{REPO}-2")
    yield "delete_repo"


@pytest.mark.parametrize("mode", ["lfs", "xet"])
def test_every_recorded_exchange_is_had(mode, request, tmp_path, monkeypatch):
    hub = request.getfixturevalue("hub" if mode == "lfs" else "xet_hub")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    ours: dict[str, dict[Shape, list[tuple[list[str], ...]]]] = defaultdict(dict)
    seen = 0
    for op in operations(tmp_path):
        for exchange in hub.exchanges[seen:]:
            asked, reply = exchange.request, exchange.reply
            shape = (asked.method, path_shape(asked.target), reply.status)
            told = keys(reply.body) if "json" in reply.headers.get("content-type", "") else []
            told = [] if asked.method == "HEAD" else told
            value = (keys(asked.body), header_names(reply.headers), told)
            ours[op].setdefault(shape, []).append(value)
        seen = len(hub.exchanges)
    differences = []
    for row in [row for row in ROWS if row["mode"] == mode]:
        op = "upload_folder" if row["op"].startswith("upload(") else row["op"]
        shape = (row["method"], row["path"], row["status"])
        wanted = (row["sent"], row["headers"], row["told"])
        had = ours[op].get(shape, [])
        # Two were recorded in less detail than the rest.
        if wanted not in had and not (had and row["op"].startswith("upload(")):
            differences.append((op, shape, wanted, had or list(ours[op])))
    assert differences == []


def test_shapes_tell_one_exchange_from_another():
    assert path_shape("/x/" + "0" * 40 + "/" + "f" * 64) == "/x/SHA/OID"
    assert keys('{"a": [{"b": 1}, {"c": 2}], "d": 3}') == [".a[].b", ".a[].c", ".d"]
    assert keys(b'{"key": "file", "value": {"path": "x"}}\n{"key": "header"}') == [
        "file.key",
        "file.value.path",
        "header.key",
    ]
    assert header_names({"ETag": "x", "Date": "y"}) == ["etag"]
