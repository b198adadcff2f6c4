"""A run that is stopped, killed or refused leaves nothing that looks whole, and loses nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

import dashzoo
from dashzoo_export.bundle import check_bundle
from dashzoo_search.errors import BadBundle, BundleExists, MissingRuntime


class StopRun(Exception):
    pass


def stop_in(stage, error=StopRun):
    def on_epoch(progress):
        if progress.stage == stage:
            raise error

    return on_epoch


class TestStopped:
    @pytest.mark.parametrize("error", [StopRun, KeyboardInterrupt])
    def test_in_the_search_leaves_nothing(self, sequence_file, tmp_path, error, tiny_run):
        with pytest.raises(error):
            dashzoo.run(
                sequence_file, tmp_path / "out", on_epoch=stop_in("search", error), **tiny_run
            )
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("error", [StopRun, KeyboardInterrupt])
    def test_in_the_training_keeps_the_search(self, sequence_file, tmp_path, error, tiny_run):
        out, partial = tmp_path / "out", tmp_path / "out.partial"
        with pytest.raises(error) as caught:
            dashzoo.run(sequence_file, out, on_epoch=stop_in("train", error), **tiny_run)
        assert str(partial) in " ".join(caught.value.__notes__)
        assert list(tmp_path.iterdir()) == [partial]
        with pytest.raises(BadBundle):
            dashzoo.load(partial)
        results = dashzoo.train(partial, epochs=1, baseline=False, threads=1)
        assert results["name"] == "out"

    def test_in_the_export_keeps_the_training(self, sequence_file, tmp_path, monkeypatch, tiny_run):
        def fail(folder):
            raise StopRun

        monkeypatch.setattr("dashzoo.steps.run.export", fail)
        partial = tmp_path / "out.partial"
        with pytest.raises(StopRun):
            dashzoo.run(sequence_file, tmp_path / "out", **tiny_run)
        assert list(tmp_path.iterdir()) == [partial]
        dashzoo.load(partial)
        with pytest.raises(BadBundle, match="not a whole bundle"):
            dashzoo.publish(partial, tmp_path / "dest")

    @pytest.mark.parametrize("stage", ["search", "train"])
    def test_with_force_keeps_the_old_bundle(
        self, bundle, sequence_file, snapshot, stage, tiny_run
    ):
        before = snapshot(bundle)
        with pytest.raises(StopRun):
            dashzoo.run(sequence_file, bundle, force=True, on_epoch=stop_in(stage), **tiny_run)
        assert snapshot(bundle) == before

    def test_killed(self, sequence_file, tmp_path):
        out = tmp_path / "here" / "out"
        words = [
            "run", sequence_file, "--out", out, "--search-epochs", 1, "--epochs", 1_000_000,
            "--kernels", "3,5", "--backbone-arg", "width=2", "--threads", 1,
        ]  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "dashzoo", *map(str, words)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            found: list[object] = []
            patience = time.monotonic() + 120
            while not found and process.poll() is None and time.monotonic() < patience:
                time.sleep(0.05)
                found = list(out.parent.glob("out.partial/search/search.json"))
            assert found, process.stderr.read().decode() if process.poll() else "too slow"
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert not out.exists()
        partial = out.with_name("out.partial")
        assert list(out.parent.iterdir()) == [partial]
        with pytest.raises(BadBundle):
            check_bundle(partial)


class TestOut:
    @pytest.fixture
    def untouched(self, sequence_file, tiny_run):
        def untouched(out, **options):
            with pytest.raises(BundleExists) as caught:
                dashzoo.run(sequence_file, out, on_epoch=stop_in("search"), **tiny_run, **options)
            return str(caught.value)

        return untouched

    def test_a_bundle_is_refused_without_force(self, bundle, untouched, snapshot):
        before = snapshot(bundle)
        assert "--force" in untouched(bundle)
        assert snapshot(bundle) == before

    @pytest.mark.parametrize("force", [False, True])
    def test_a_foreign_folder_always(self, tmp_path, untouched, snapshot, force):
        out = tmp_path / "thesis"
        (out / "figures").mkdir(parents=True)
        (out / "figures" / "one.png").write_bytes(b"mine")
        (out / "config.json").write_text("{}")
        assert "holds other files" in untouched(out, force=force)
        assert snapshot(out) == {"figures/one.png": b"mine", "config.json": b"{}"}
        assert list(tmp_path.iterdir()) == [out]

    def test_a_foreign_folder_that_holds_a_results_json(self, tmp_path, untouched, snapshot):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "results.json").write_text("[1]")
        (tmp_path / "thesis" / "thesis.tex").write_text("years")
        assert "holds other files" in untouched(tmp_path / "thesis", force=True)
        assert set(snapshot(tmp_path / "thesis")) == {"results.json", "thesis.tex"}

    def test_files_beside_a_bundle_are_not_lost(self, bundle, untouched, snapshot):
        (bundle / "notes.txt").write_text("mine")
        assert "notes.txt" in untouched(bundle, force=True)
        assert snapshot(bundle)["notes.txt"] == b"mine"

    def test_the_folder_we_are_in(self, made_bundle, tmp_path, monkeypatch):
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        dashzoo.publish(made_bundle, ".")
        check_bundle(tmp_path / "here")

    @pytest.mark.parametrize("force", [False, True])
    def test_a_file_or_link(self, tmp_path, untouched, force):
        (tmp_path / "file").write_text("mine")
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "folder")
        (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
        for name in ("file", "link", "dangling"):
            assert "is not a plain folder" in untouched(tmp_path / name, force=force)
        assert (tmp_path / "file").read_text() == "mine"


def test_without_onnxruntime_nothing_is_trained(sequence_file, tmp_path, monkeypatch, tiny_run):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingRuntime) as caught:
        dashzoo.run(sequence_file, tmp_path / "out", on_epoch=stop_in("search"), **tiny_run)
    assert caught.value.extra == "cpu"
    assert list(tmp_path.iterdir()) == []
