"""The user's own file: what is taken from it, and damage of every kind."""

from __future__ import annotations

import contextlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.arrays import arrays_task, take_arrays
from dashzoo_search.tasks.load import load_file
from dashzoo_search.tasks.readers.numpy_files import read_array


class TestTaken:
    @pytest.mark.parametrize("shape", [(1, 12), (2, 12), (1, 6, 8), (3, 8, 8)])
    def test_own_splits(self, save, shape, good):
        arrays = good(shape)
        task = load_file(save(**arrays), seed=0)
        assert (task.name, task.channels, task.size) == ("mine", shape[0], shape[1:])
        assert task.dims == len(shape) - 1
        assert task.classes == ("low", "mid", "top")
        assert (len(task.train), len(task.val), len(task.test)) == (9, 3, 6)
        test = task.test.open()
        np.testing.assert_array_equal(test.X, arrays["X_test"])
        np.testing.assert_array_equal(np.array(task.classes)[test.y], arrays["y_test"])
        kept = np.concatenate([task.train.X, task.val.X])
        assert {x.tobytes() for x in kept} == {x.tobytes() for x in arrays["X_train"]}

    def test_own_validation(self, save, good):
        arrays = good()
        val = {"X_val": arrays["X_test"] + 1, "y_val": arrays["y_test"]}
        task = load_file(save(**arrays, **val), seed=0)
        assert len(task.train) == len(arrays["y_train"])
        np.testing.assert_array_equal(task.val.X, val["X_val"])

    def test_cut_by_seed(self, save):
        arrays = {"X": np.arange(2.0 * 12 * 30).reshape(30, 2, 12), "y": np.arange(30) % 3}
        path = save(**arrays)
        one, same, other = (load_file(path, seed=seed) for seed in (1, 1, 2))
        parts = [one.train, one.val, one.test.open()]
        assert [len(part) for part in parts] == [18, 6, 6]
        for part in parts:
            assert np.bincount(part.y).tolist() == [len(part) // 3] * 3
        everything = np.concatenate([part.X for part in parts])
        assert {x.tobytes() for x in everything} == {
            x.astype(np.float32).tobytes() for x in arrays["X"]
        }
        for a, b in zip(parts, (same.train, same.val, same.test.open()), strict=True):
            np.testing.assert_array_equal(a.X, b.X)
            np.testing.assert_array_equal(a.y, b.y)
        assert one.sha256 == same.sha256
        assert not np.array_equal(one.test.open().X, other.test.open().X)

    def test_other_arrays_are_left_alone(self, save, good):
        task = load_file(save(**good(), ids=np.array([{"a": 1}], object)), seed=0)
        assert len(task.test) == 6

    def test_compressed_and_from_memory_alike(self, tmp_path, good):
        np.savez_compressed(tmp_path / "mine.npz", **good())
        lists = {name: array.tolist() for name, array in good().items()}
        one = load_file(tmp_path / "mine.npz", seed=3)
        other = arrays_task(take_arrays(lists), name="mine", origin="a list", seed=3)
        assert one.sha256 == other.sha256
        np.testing.assert_array_equal(one.train.X, other.train.X)

    @pytest.mark.parametrize("dtype", ["bool", "u1", "i2", ">i4", "u8", "f2", ">f4", "f8", "g"])
    def test_number_types(self, save, dtype, good):
        arrays = good()
        arrays = {k: (v > 0).astype(dtype) if k[0] == "X" else v for k, v in arrays.items()}
        task = load_file(save(**arrays), seed=0)
        assert task.train.X.dtype == np.float32
        assert set(np.unique(task.train.X)) == {0.0, 1.0}

    @pytest.mark.parametrize(
        ("dtype", "classes"),
        [
            ("bool", ("0", "1")),
            ("u1", ("0", "1")),
            (">i8", ("0", "1")),
            ("u8", ("0", "1")),
            ("f8", ("0", "1")),
            ("U3", None),
        ],
    )
    def test_label_types(self, save, dtype, classes, good):
        arrays = good()
        for name in ("y_train", "y_test"):
            arrays[name] = (arrays[name] == "low").astype(dtype)
        task = load_file(save(**arrays), seed=0)
        assert task.classes == (classes or tuple(np.unique(arrays["y_train"])))
        assert task.train.y.dtype == np.int64
        assert set(task.train.y) == {0, 1}

    def test_labels_of_any_script(self, save, good):
        arrays = good()
        named = {"low": "niedrig|1", "mid": "<b>中</b>", "top": "a\nb"}
        for name in ("y_train", "y_test"):
            arrays[name] = np.array([named[label] for label in arrays[name]])
        assert set(load_file(save(**arrays), seed=0).classes) == set(named.values())

    def test_one_sample_in_test(self, save, good):
        arrays = good()
        arrays |= {"X_test": arrays["X_test"][:1], "y_test": arrays["y_test"][:1]}
        assert len(load_file(save(**arrays), seed=0).test) == 1

    def test_a_single_sample_of_a_class_stays_in_train(self, save, good):
        arrays = good()
        arrays["y_train"] = np.append(["abc"], arrays["y_train"][1:])
        task = load_file(save(**arrays), seed=0)
        only = task.classes.index("abc")
        assert (task.train.y == only).sum() == 1
        assert (task.val.y == only).sum() == 0


class TestFiles:
    def test_text(self, tmp_path):
        path = tmp_path / "mine.npz"
        path.write_text("a,b\n1,2\n")
        with pytest.raises(BadData, match=r"mine\.npz is no whole \.npz archive; save"):
            load_file(path, seed=0)

    def test_empty(self, tmp_path):
        path = tmp_path / "mine.npz"
        path.touch()
        with pytest.raises(BadData, match="no whole"):
            load_file(path, seed=0)

    def test_npy(self, tmp_path):
        np.save(tmp_path / "mine.npy", np.zeros((3, 1, 4)))
        path = (tmp_path / "mine.npy").rename(tmp_path / "mine.npz")
        with pytest.raises(BadData, match="no whole"):
            load_file(path, seed=0)

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
    def test_truncated(self, save, share, good):
        path = save(**good())
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(BadData, match="no whole"):
            load_file(path, seed=0)

    def test_missing(self, tmp_path):
        with pytest.raises(BadData, match="cannot be read"):
            load_file(tmp_path / "mine.npz", seed=0)

    def test_a_member_that_is_no_array(self, tmp_path, good):
        path = tmp_path / "mine.npz"
        with zipfile.ZipFile(path, "w") as archive:
            for name in good():
                archive.writestr(f"{name}.npy", b"not an array")
        with pytest.raises(BadData, match=r"X_train in mine\.npz"):
            load_file(path, seed=0)

    def test_an_archive_in_the_archive(self, save, tmp_path, good):
        inner = save(**good()).read_bytes()
        path = tmp_path / "outer.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("X.npy", inner)
            archive.writestr("y.npy", inner)
        with pytest.raises(BadData, match=r"X in outer\.npz"):
            load_file(path, seed=0)

    def test_a_shape_beyond_memory(self, tmp_path):
        path = tmp_path / "mine.npz"
        header = io.BytesIO()
        shape = (2**31, 2**20, 8)
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("X.npy", header.getvalue())
            archive.writestr("y.npy", header.getvalue())
        with pytest.raises(BadData, match=r"X in mine\.npz"):
            load_file(path, seed=0)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.data())
    def test_any_damage_is_bad_data(self, save, good, data):
        path = save(**good((1, 4), n=9))
        bytes_ = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            bytes_[data.draw(st.integers(0, len(bytes_) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes_)
        with contextlib.suppress(BadData):
            load_file(path, seed=0)


class TestReadArray:
    def test_numbers(self, tmp_path):
        np.save(tmp_path / "X.npy", np.arange(6).reshape(1, 2, 3))
        assert read_array(tmp_path / "X.npy").shape == (1, 2, 3)

    @pytest.mark.parametrize(
        ("array", "named"),
        [
            (np.array([{}], object), "never loaded"),
            (np.array(["a"]), "<U1"),
            (np.array([1j]), "complex"),
        ],
    )
    def test_other_types(self, tmp_path, array, named):
        np.save(tmp_path / "X.npy", array)
        with pytest.raises(BadData, match=named):
            read_array(tmp_path / "X.npy")

    @pytest.mark.parametrize(
        "data", [b"", b"text", b"PK\x03\x04damaged", b"\x93NUMPY", b"\x80\x04"]
    )
    def test_foreign_bytes(self, tmp_path, data):
        (tmp_path / "X.npy").write_bytes(data)
        with pytest.raises(BadData, match=r"X\.npy is no plain \.npy array"):
            read_array(tmp_path / "X.npy")

    def test_archive(self, save, good):
        with pytest.raises(BadData, match="it is an archive"):
            read_array(save(**good()))

    def test_missing_and_folder(self, tmp_path):
        with pytest.raises(BadData, match="does not exist"):
            read_array(tmp_path / "X.npy")
        with pytest.raises(BadData, match="no plain"):
            read_array(tmp_path)

    @settings(deadline=None)
    @given(st.binary(max_size=60))
    @example(b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999,), }")
    @example(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1L,), }")
    @example(b"(((((" * 12)
    def test_any_header_is_bad_data(self, tmp_path_factory, header):
        path = tmp_path_factory.getbasetemp() / "hostile.npy"
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        with pytest.raises(BadData, match="no plain"):
            read_array(path)
