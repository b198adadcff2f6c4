"""NAS-Bench-360: ten records, and files of made-up content in the formats they are read from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.tasks import load_task
from dashzoo_search.tasks.losses import LOSSES
from dashzoo_search.tasks.metrics import METRICS
from dashzoo_search.tasks.nb360 import RECORDS, load_nb360
from dashzoo_search.tasks.nb360.lock import LOCK

RNG = np.random.default_rng(0)
NOT_RUN = [name for name, record in RECORDS.items() if record.status == "not run"]


def small(name: str):
    """The record with few samples of few outputs; ``shape`` stays that of the benchmark."""
    record = RECORDS[name]
    outputs = record.outputs if record.kind.startswith("dense") else 3
    return replace(record, counts=(6, 3, 3), outputs=outputs, rounded=False)


def targets(record, n: int):
    if record.kind == "classification":
        return np.arange(n) % record.outputs
    shape = (n, *record.target_shape)
    return RNG.random(shape) if "regression" in record.kind else np.arange(np.prod(shape)).reshape(
        shape
    ) % 2  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the files of a task belong."""
    monkeypatch.setenv("DASHZOO_DATA", str(tmp_path))

    def folder(name: str) -> Path:
        path = tmp_path / "nb360" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    return folder


def save_ours(folder: Path, record, **sizes: int) -> None:
    for part, n in sizes.items():
        X = RNG.standard_normal((n, *record.shape)).astype(np.float32)
        np.save(folder / f"X_{part}.npy", X)
        np.save(folder / f"y_{part}.npy", targets(record, n))


class TestRecords:
    def test_ten_of_which_nine_were_not_run(self):
        assert (len(RECORDS), len(NOT_RUN)) == (10, 9)
        assert RECORDS["darcy"].status == "regenerated"

    @pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
    def test_losses_and_metrics_are_ours_and_fit(self, record):
        assert record.kind in LOSSES[record.loss].kinds
        assert record.kind in METRICS[record.metric].kinds

    @pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
    def test_published_rows(self, record):
        rows = record.published
        assert len(rows) >= 6
        json.dumps(rows)
        for row in rows:
            assert ("verified" in row["source"]) == (row["method"] == "DASH")
            if row["metric"] in METRICS:
                turned = record.figure in ("1 − metric", "100 % − metric")
                assert METRICS[row["metric"]].larger_is_better == turned

    @pytest.mark.parametrize(
        ("name", "method", "metric", "value"),
        [
            ("cifar100", "WRN", "accuracy", 0.7665),
            ("ecg", "expert", "f1", 0.72),
            ("psicov", "DARTS-GAEA", "mae8", 2.94),
            ("cosmic", "expert", "fnr", 0.2529),
            ("deepsea", "DASH", "auroc", 0.72),
        ],
    )
    def test_figures_are_in_our_metric(self, name, method, metric, value):
        row = next(row for row in RECORDS[name].published if row["method"] == method)
        assert (row["metric"], row["value"]) == (metric, value)


@pytest.mark.parametrize("name", NOT_RUN)
def test_layout_of_ours(folder, name):
    record = small(name)
    save_ours(folder(name), record, train=6, val=3, test=3)
    task = load_nb360(record, seed=0)
    assert (task.name, task.channels, *task.size) == (f"nb360/{name}", *record.shape)
    assert (len(task.train), len(task.val), len(task.test)) == (6, 3, 3)
    assert (task.kind, task.loss, task.metric) == (record.kind, record.loss, record.metric)
    assert (task.positive_weight, task.space) == (record.positive_weight, record.space)
    assert task.train.y.shape[1:] == record.target_shape
    assert task.published == record.published
    np.testing.assert_array_equal(task.val.X[:], np.load(folder(name) / "X_val.npy"))


def test_validation_is_the_last_of_train(folder):
    record = small("satellite")
    save_ours(folder("satellite"), record, train=9, test=3)
    task = load_nb360(record, seed=0)
    X = np.load(folder("satellite") / "X_train.npy")
    np.testing.assert_array_equal(task.train.X[:], X[:6])
    np.testing.assert_array_equal(task.val.X[:], X[6:])


class TestOriginals:
    def test_cifar100(self, folder):
        rows = RNG.integers(0, 256, (12, 3074)).astype(np.uint8)
        rows[:, 1] = np.arange(12) % 3
        rows[:9].tofile(folder("cifar100") / "train.bin")
        rows[9:].tofile(folder("cifar100") / "test.bin")
        task = load_nb360(small("cifar100"), seed=0)
        test = task.test.open()
        np.testing.assert_array_equal(test.y, [0, 1, 2])
        blue = rows[9, 2 + 2 * 1024 :].reshape(32, 32)
        np.testing.assert_allclose(test.X[0, 2] * 255, blue, atol=1e-4)

    def test_cifar100_cut_short(self, folder):
        (folder("cifar100") / "train.bin").write_bytes(b"\0" * 3073)
        (folder("cifar100") / "test.bin").write_bytes(b"\0" * 3074)
        with pytest.raises(BadData, match=r"train\.bin holds 3073 bytes, not rows of 3074; take"):
            load_nb360(small("cifar100"), seed=0)

    def test_ninapro(self, folder):
        for part, n in (("train", 6), ("val", 3), ("test", 3)):
            np.save(folder("ninapro") / f"ninapro_{part}.npy", RNG.standard_normal((n, 52, 16)))
            np.save(folder("ninapro") / f"label_{part}.npy", np.arange(n) % 3)
        task = load_nb360(small("ninapro"), seed=0)
        X = np.load(folder("ninapro") / "ninapro_val.npy").astype(np.float32)
        np.testing.assert_array_equal(task.val.X[1, 0, 5], X[1, :, 5])

    def test_deepsea(self, folder):
        held = {}
        for part, n in (("train", 6), ("val", 3), ("test", 3)):
            held[f"x_{part}"] = np.eye(4, dtype=np.int8)[RNG.integers(0, 4, (n, 1000))]
            held[f"y_{part}"] = np.arange(3 * n).reshape(n, 3) % 2
        np.savez(folder("deepsea") / "deepsea_filtered.npz", **held)
        task = load_nb360(small("deepsea"), seed=0)
        np.testing.assert_array_equal(task.train.X[2, 3], held["x_train"][2, :, 3])
        np.testing.assert_array_equal(task.val.y, held["y_val"])

    def test_deepsea_without_its_arrays(self, folder):
        np.savez(folder("deepsea") / "deepsea_filtered.npz", other=np.zeros(3))
        with pytest.raises(BadData, match="X_train of nb360/deepsea is missing; give it"):
            load_nb360(small("deepsea"), seed=0)

    def test_pickles_are_not_loaded(self, folder):
        record = small("satellite")
        save_ours(folder("satellite"), record, train=6, val=3, test=3)
        np.save(folder("satellite") / "X_train.npy", np.array({"data": [1]}))
        with pytest.raises(BadData, match="pickled objects, which are never loaded"):
            load_nb360(record, seed=0)


class TestRefusals:
    @pytest.mark.parametrize("name", NOT_RUN)
    def test_no_data(self, monkeypatch, name):
        monkeypatch.delenv("DASHZOO_DATA", raising=False)
        with pytest.raises(BadData) as caught:
            load_task(f"nb360/{name}")
        told = str(caught.value)
        assert f", into $DASHZOO_DATA/nb360/{name}, and set DASHZOO_DATA" in told
        assert str([RECORDS[name].counts[0], *RECORDS[name].shape]) in told
        assert RECORDS[name].obtain in told

    def test_a_folder_without_the_files(self, folder):
        save_ours(folder("ecg"), small("ecg"), train=6)
        with pytest.raises(BadData, match=r"nb360/ecg does not hold all of nb360/ecg; put X_train"):
            load_nb360(small("ecg"), seed=0)

    @pytest.mark.parametrize(
        ("sizes", "told"),
        [
            (
                {"train": 7, "val": 3, "test": 3},
                r"X_train of .* \[7, 1, 1000\], not \[6, 1, 1000\]",
            ),
            ({"train": 6, "val": 3, "test": 4}, r"X_test of .* \[4, 1, 1000\], not \[3, 1, 1000\]"),
            ({"train": 6, "test": 3}, r"X_val of nb360/ecg is missing"),
        ],
    )
    def test_another_split(self, folder, sizes, told):
        save_ours(folder("ecg"), small("ecg"), **sizes)
        with pytest.raises(BadData, match=told):
            load_nb360(small("ecg"), seed=0)

    def test_another_shape(self, folder):
        record = replace(small("ecg"), shape=(1, 900))
        save_ours(folder("ecg"), record, train=6, val=3, test=3)
        with pytest.raises(BadData, match=r"X_train of .* \[6, 1, 900\], not \[6, 1, 1000\]"):
            load_nb360(small("ecg"), seed=0)

    def test_labels_of_another_shape(self, folder):
        save_ours(folder("ecg"), small("ecg"), train=6, val=3, test=3)
        np.save(folder("ecg") / "y_val.npy", np.eye(3))
        with pytest.raises(BadData, match=r"y_val of nb360/ecg has shape \[3, 3\], not \[3\]"):
            load_nb360(small("ecg"), seed=0)

    def test_too_few_classes(self, folder):
        record = small("ecg")
        save_ours(folder("ecg"), record, train=6, val=3, test=3)
        with pytest.raises(BadData, match="has 3 classes or outputs, not 4"):
            load_nb360(replace(record, outputs=4), seed=0)
        assert not (folder("ecg") / LOCK).exists()  # what is not right is not trusted

    def test_rounded_counts_leave_room(self, folder):
        record = replace(small("fsd50k"), rounded=True)
        save_ours(folder("fsd50k"), record, train=7, val=3, test=3)
        assert len(load_nb360(record, seed=0).train) == 7


class TestLock:
    @pytest.fixture
    def loaded(self, folder):
        """A folder whose files were loaded once."""
        save_ours(folder("ecg"), small("ecg"), train=6, val=3, test=3)
        load_nb360(small("ecg"), seed=0)
        return folder("ecg")

    def test_the_same_files_again(self, loaded):
        before = (loaded / LOCK).read_text()
        assert len(before.splitlines()) == 6
        load_nb360(small("ecg"), seed=0)
        assert (loaded / LOCK).read_text() == before

    def test_a_changed_file(self, loaded):
        labels = np.load(loaded / "y_test.npy")
        np.save(loaded / "y_test.npy", labels[::-1].copy())
        with pytest.raises(BadData, match=r"y_test\.npy has changed since .* delete nb360\.lock"):
            load_nb360(small("ecg"), seed=0)
        (loaded / LOCK).unlink()
        load_nb360(small("ecg"), seed=0)

    def test_a_file_that_is_gone(self, loaded):
        (loaded / "X_val.npy").unlink()
        with pytest.raises(BadData, match=r"X_val\.npy has come or gone"):
            load_nb360(small("ecg"), seed=0)

    @pytest.mark.parametrize("text", ["", "no hash\n", "\x00"])
    def test_a_lock_that_is_none(self, loaded, text):
        (loaded / LOCK).write_text(text)
        with pytest.raises(BadData, match="is no list of hashes; delete it"):
            load_nb360(small("ecg"), seed=0)

    def test_a_folder_that_cannot_be_written(self, folder, monkeypatch, caplog):
        save_ours(folder("ecg"), small("ecg"), train=6, val=3, test=3)

        def refuse(*args, **more):
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(Path, "write_text", refuse)
        load_nb360(small("ecg"), seed=0)
        assert "cannot be written" in caplog.text
