"""Bundles on disk: sealed, checked, replaced only when whole."""

import subprocess

import pytest

from dashzoo_export.bundle import (
    SUMS,
    bundle_files,
    check_bundle,
    read_json,
    refuse_overwrite,
    write_atomically,
)
from dashzoo_search.errors import BadBundle, BundleExists


def test_a_made_bundle_is_whole_and_sha256sum_agrees(bundle):
    names = check_bundle(bundle)
    assert {"config.json", "model.safetensors", "onnx/model.onnx", "README.md", SUMS} <= set(names)
    subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=bundle, check=True)


def test_working_files_are_no_part_of_it(bundle):
    assert (bundle / "search" / "search.json").is_file()
    assert not any(name.startswith("search/") for name in bundle_files(bundle))


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "results.json", "onnx/model.onnx", "README.md"]
)
@pytest.mark.parametrize("harm", ["change", "remove"])
def test_a_changed_or_missing_file_is_named(bundle, name, harm):
    path = bundle / name
    if harm == "change":
        data = bytearray(path.read_bytes())
        data[-2] ^= 1
        path.write_bytes(data)
    else:
        path.unlink()
    with pytest.raises(BadBundle) as caught:
        check_bundle(bundle)
    assert caught.value.field == name
    assert name in str(caught.value)


def test_an_added_file_is_named(bundle):
    (bundle / "payload.pkl").write_bytes(b"x")
    with pytest.raises(BadBundle, match=r"payload\.pkl is not listed"):
        check_bundle(bundle)


def test_a_sums_file_that_leaves_the_folder_is_refused(bundle):
    sums = bundle / SUMS
    sums.write_text(sums.read_text() + f"{'0' * 64}  ../../etc/passwd\n")
    with pytest.raises(BadBundle):
        check_bundle(bundle)


def test_without_sums_it_is_not_whole(bundle):
    (bundle / SUMS).unlink()
    with pytest.raises(BadBundle, match="dashzoo card"):
        check_bundle(bundle)


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(fd):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_folders_of_others_are_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for force in (False, True):
        with pytest.raises(BundleExists, match="other files"):
            refuse_overwrite(tmp_path, force=force)
    file = tmp_path / "thesis.tex"
    with pytest.raises(BundleExists):
        refuse_overwrite(file, force=True)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", '{"a": ' + "[" * 100_000])
def test_json_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(BadBundle) as caught:
        read_json(tmp_path / "config.json")
    assert caught.value.field == "config.json"
