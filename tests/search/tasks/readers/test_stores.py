"""Folders of .npy files, zarr groups and saved Hugging Face datasets."""

from __future__ import annotations

import numpy as np
import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.rows import Rows
from dashzoo_search.tasks import DataOptions
from dashzoo_search.tasks.load import load_file


@pytest.fixture
def folder(tmp_path, good):
    for name, array in good().items():
        np.save(tmp_path / f"{name}.npy", array)
    return tmp_path


class TestNpy:
    def test_mapped_and_like_an_archive(self, folder, save, good):
        archive = load_file(save(**good()), seed=3)
        (folder / "mine.npz").unlink()
        task = load_file(folder, seed=3)
        assert isinstance(task.train.X, Rows)
        assert task.sha256 == archive.sha256
        for one, other in (
            (task.train, archive.train),
            (task.val, archive.val),
            (task.test.open(), archive.test.open()),
        ):
            np.testing.assert_array_equal(one.X, other.X)
            np.testing.assert_array_equal(one.y, other.y)
            np.testing.assert_array_equal(one.rows(np.array([1, 0])), other.X[[1, 0]])

    def test_one_of_the_files(self, folder):
        assert load_file(folder / "X_train.npy", seed=0).sha256 == load_file(folder, seed=0).sha256

    @pytest.mark.parametrize(
        ("name", "array", "told"),
        [
            ("y_test", np.array(["a", 1], object), r"y_test\.npy .*never loaded"),
            ("X_train", np.zeros((12, 2, 12), complex), "X_train holds complex128"),
            ("X_test", np.full((6, 2, 12), np.nan), "X_test has no number|--lengths"),
            ("y_train", np.arange(3), "X_train has 12 samples but y_train has 3"),
        ],
    )
    def test_faults(self, folder, name, array, told):
        np.save(folder / f"{name}.npy", array, allow_pickle=True)
        with pytest.raises(BadData, match=told):
            load_file(folder, seed=0)

    def test_truncated(self, folder):
        data = (folder / "X_train.npy").read_bytes()
        (folder / "X_train.npy").write_bytes(data[:-100])
        with pytest.raises(BadData, match=r"X_train\.npy is no plain \.npy array"):
            load_file(folder, seed=0)

    def test_another_name(self, folder):
        np.save(folder / "data.npy", np.zeros(3))
        with pytest.raises(BadData, match=r"data\.npy is none of X_train"):
            load_file(folder / "data.npy", seed=0)

    def test_nan_tails_are_padded_block_by_block(self, tmp_path):
        X = np.random.default_rng(0).standard_normal((9, 2, 6)).astype(np.float32)
        X[::2, :, 4:] = np.nan
        np.save(tmp_path / "X.npy", X)
        np.save(tmp_path / "y.npy", np.arange(9) % 3)
        with pytest.raises(BadData, match="4 to 6 long; say --lengths pad"):
            load_file(tmp_path, seed=0)
        task = load_file(tmp_path, seed=0, options=DataOptions(lengths="pad"))
        assert (task.channels, task.size) == (3, (6,))
        assert set(np.asarray(task.train.X)[:, 2].sum(1)) == {4, 6}


class TestZarr:
    zarr = pytest.importorskip("zarr")

    @pytest.fixture(params=[2, 3])
    def group(self, request, tmp_path):
        rng = np.random.default_rng(0)
        group = self.zarr.open_group(
            str(tmp_path / "mine.zarr"), mode="w", zarr_format=request.param
        )
        X = rng.standard_normal((20, 2, 8))
        for name, array in {"X": X, "y": np.arange(20) % 2}.items():
            chunks = (4, *array.shape[1:])
            group.create_array(name, shape=array.shape, dtype=array.dtype, chunks=chunks)[:] = array
        return tmp_path / "mine.zarr", X

    def test_read_lazily(self, group):
        path, X = group
        task = load_file(path, seed=0)
        assert (task.name, task.channels, task.size, task.classes) == ("mine", 2, (8,), ("0", "1"))
        assert isinstance(task.train.X, Rows)
        parts = (task.train, task.val, task.test.open())
        found = np.concatenate([np.asarray(part.X) for part in parts])
        wanted = {x.astype(np.float32).tobytes() for x in X}
        assert {x.tobytes() for x in found} == wanted

    def test_a_chunk_that_is_missing(self, group):
        path, _ = group
        chunk = next(
            p for p in (path / "X").rglob("*") if p.is_file() and p.name[0] in "0123456789"
        )
        chunk.unlink()
        with pytest.raises(BadData, match=r"X in mine\.zarr lacks 1 of its 5 chunks"):
            load_file(path, seed=0)

    def test_a_chunk_that_is_damaged(self, group):
        path, _ = group
        chunk = next(
            p for p in (path / "X").rglob("*") if p.is_file() and p.name[0] in "0123456789"
        )
        chunk.write_bytes(b"garbage")
        with pytest.raises(BadData, match=r"chunk of X in mine\.zarr does not decode"):
            load_file(path, seed=0)

    def test_no_group(self, tmp_path):
        (tmp_path / "mine.zarr").mkdir()
        with pytest.raises(BadData, match=r"mine\.zarr is no zarr group"):
            load_file(tmp_path / "mine.zarr", seed=0)

    def test_a_group_in_the_group(self, tmp_path):
        inside = self.zarr.open_group(str(tmp_path / "mine.zarr"), mode="w").create_group("data")
        inside.create_array("X", data=np.random.default_rng(0).standard_normal((12, 1, 5)))
        inside.create_array("y", data=np.arange(12) % 2 + 1)
        with pytest.raises(BadData, match=r"give the path of one, such as mine\.zarr/data"):
            load_file(tmp_path / "mine.zarr", seed=0)
        assert load_file(tmp_path / "mine.zarr" / "data", seed=0).size == (5,)

    def test_a_chunk_beyond_memory(self, tmp_path):
        group = self.zarr.open_group(str(tmp_path / "mine.zarr"), mode="w")
        shape = (2**20, 2**10, 2**10)
        group.create_array("X", shape=shape, dtype="f8", chunks=shape)
        group.create_array("y", shape=(2,), dtype="i8")[:] = 1
        with pytest.raises(BadData, match="declares"):
            load_file(tmp_path / "mine.zarr", seed=0)


class TestSavedDataset:
    datasets = pytest.importorskip("datasets")

    def made(self, n=12, **more):
        rng = np.random.default_rng(0)
        columns = {
            "signal": rng.standard_normal((n, 2, 7)).tolist(),
            "label": (np.arange(n) % 3).tolist(),
        }
        made = self.datasets.Dataset.from_dict(columns | more)
        return made.cast_column("label", self.datasets.ClassLabel(names=["x", "y", "z"]))

    def test_one_split(self, tmp_path):
        self.made().save_to_disk(tmp_path / "mine")
        task = load_file(tmp_path / "mine", seed=0)
        assert (task.channels, task.size, task.classes) == (2, (7,), ("x", "y", "z"))

    def test_several_splits(self, tmp_path):
        parts = {"train": self.made(12), "validation": self.made(3), "test": self.made(6)}
        self.datasets.DatasetDict(parts).save_to_disk(tmp_path / "mine")
        task = load_file(tmp_path / "mine", seed=0)
        assert (len(task.train), len(task.val), len(task.test)) == (12, 3, 6)
        wanted = np.array(parts["test"]["signal"][:], np.float32)
        np.testing.assert_array_equal(task.test.open().X, wanted)

    def test_ragged_lists(self, tmp_path):
        signal = [[[1.0] * (3 + i % 3)] for i in range(12)]
        made = self.datasets.Dataset.from_dict({"x": signal, "y": [0, 1] * 6})
        made.save_to_disk(tmp_path / "mine")
        with pytest.raises(BadData, match="3 to 5 long; say --lengths"):
            load_file(tmp_path / "mine", seed=0)
        task = load_file(tmp_path / "mine", seed=0, options=DataOptions(lengths="resample"))
        assert task.size == (4,)

    def test_faults(self, tmp_path):
        self.made().save_to_disk(tmp_path / "mine")
        with pytest.raises(BadData, match="has no feature weight; it has signal, label"):
            load_file(tmp_path / "mine", seed=0, options=DataOptions(target="weight"))
        self.made().rename_column("signal", "odd").add_column("too", [1] * 12).save_to_disk(
            tmp_path / "unnamed"
        )
        with pytest.raises(BadData, match="none of them X"):
            load_file(tmp_path / "unnamed", seed=0)
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / "dataset_info.json").write_text("{")
        with pytest.raises(BadData, match="broken is no saved dataset"):
            load_file(tmp_path / "broken", seed=0)
        ragged = [[[1.0, 2.0], [1.0]]] * 6
        self.datasets.Dataset.from_dict({"x": ragged, "y": [0, 1] * 3}).save_to_disk(
            tmp_path / "ragged"
        )
        with pytest.raises(BadData, match="x of ragged makes no array in row 0"):
            load_file(tmp_path / "ragged", seed=0)

    def images(self, tmp_path, values):
        from PIL import Image

        feature = self.datasets.Image()
        held = {"image": [], "label": [0, 1] * (len(values) // 2)}
        for value in values:
            if value is None or isinstance(value, bytes):
                held["image"].append(value and {"bytes": value, "path": None})
                continue
            held["image"].append(feature.encode_example(Image.fromarray(value)))
        features = self.datasets.Features(image=feature, label=self.datasets.Value("int64"))
        self.datasets.Dataset.from_dict(held, features=features).save_to_disk(tmp_path / "mine")
        return tmp_path / "mine"

    def test_grey_deep_and_coloured_images(self, tmp_path):
        grey, deep = np.full((4, 5), 51, np.uint8), np.full((4, 5), 13107, np.uint16)
        coloured = np.full((4, 5, 3), 51, np.uint8)
        task = load_file(self.images(tmp_path, [grey, deep] * 6), seed=0)
        assert (task.channels, task.size) == (1, (4, 5))
        np.testing.assert_allclose(task.train.X, 0.2, rtol=1e-6)
        task = load_file(self.images(tmp_path / "2", [grey, deep, coloured, grey] * 3), seed=0)
        assert (task.channels, task.size) == (3, (4, 5))
        np.testing.assert_allclose(task.train.X, 0.2, rtol=1e-6)

    def test_images_of_several_sizes(self, tmp_path):
        small, large = np.zeros((4, 5), np.uint8), np.zeros((8, 8), np.uint8)
        folder = self.images(tmp_path, [small, large] * 6)
        with pytest.raises(BadData, match="image of mine is 8×8 in row 1, before 4×5; say --size"):
            load_file(folder, seed=0)
        assert load_file(folder, seed=0, options=DataOptions(size=(6, 7))).size == (6, 7)

    @pytest.mark.parametrize("odd", [None, b"no image"])
    def test_an_image_that_is_none(self, tmp_path, odd):
        folder = self.images(tmp_path, [np.zeros((4, 5), np.uint8)] * 3 + [odd] * 3)
        with pytest.raises(BadData, match=r"image of mine .* in row 3") as caught:
            load_file(folder, seed=0)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("columns", "told"),
        [
            ({"signal": [[1.0, 2.0], None] * 6}, "signal of mine has no list or image in row 1"),
            ({"signal": [None, [1.0, 2.0]] * 6}, "signal of mine has no list or image in row 0"),
            ({"signal": list(range(12))}, "signal of mine has no list or image in row 0"),
            (
                {"signal": [[1.0, 2.0]] * 12, "y": [0, 1, None] * 4},
                "y of mine has no value in row 2",
            ),
            (
                {"signal": [[1.0, 2.0]] * 12, "y": ["a", None] * 6},
                "y of mine has no value in row 1",
            ),
            ({"signal": [[1.0]] * 12, "y": [[0, 1], [2]] * 6}, "y of mine has lists of unequal"),
        ],
    )
    def test_rows_that_lack_something(self, tmp_path, columns, told):
        made = self.datasets.Dataset.from_dict({"y": [0, 1] * 6} | columns)
        made.save_to_disk(tmp_path / "mine")
        with pytest.raises(BadData, match=told):
            load_file(tmp_path / "mine", seed=0)

    def test_a_group_that_is_missing(self, tmp_path):
        made = self.made().add_column("patient", ["p", "q", None] * 4)
        made.save_to_disk(tmp_path / "mine")
        with pytest.raises(BadData, match="patient of mine has no value in row 2"):
            load_file(tmp_path / "mine", seed=0, options=DataOptions(groups="patient"))

    def test_a_split_without_labels(self, tmp_path):
        parts = {"train": self.made(), "test": self.made().remove_columns("label")}
        self.datasets.DatasetDict(parts).save_to_disk(tmp_path / "mine")
        with pytest.raises(BadData, match="test of mine has the features signal, none of them y"):
            load_file(tmp_path / "mine", seed=0)
