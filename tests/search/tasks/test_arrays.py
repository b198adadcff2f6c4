"""The user's own arrays: what is taken, and one sentence for every fault."""

from __future__ import annotations

import contextlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.arrays import arrays_task, read_array, read_npz, take_arrays


def good(shape=(2, 12), n=18):
    """Arrays in their own splits: three classes of strings, in proportion 4 to 2."""
    X = np.random.default_rng(0).standard_normal((n, *shape)).astype(np.float32)
    y = np.array(["low", "mid", "top"])[np.arange(n) % 3]
    cut = 2 * n // 3
    return {"X_train": X[:cut], "y_train": y[:cut], "X_test": X[cut:], "y_test": y[cut:]}


def whole(n=30):
    X = np.arange(2.0 * 12 * n).reshape(n, 2, 12)
    return {"X": X, "y": np.arange(n) % 3}


def changed(array, index, value):
    copy = array.copy()
    copy[index] = value
    return copy


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        path = tmp_path / "mine.npz"
        np.savez(path, **arrays)
        return path

    return save


class TestTaken:
    @pytest.mark.parametrize("shape", [(1, 12), (2, 12), (1, 6, 8), (3, 8, 8)])
    def test_own_splits(self, save, shape):
        arrays = good(shape)
        task = read_npz(save(**arrays), seed=0)
        assert (task.name, task.channels, task.size) == ("mine", shape[0], shape[1:])
        assert task.dims == len(shape) - 1
        assert task.classes == ("low", "mid", "top")
        assert (len(task.train), len(task.val), len(task.test)) == (9, 3, 6)
        test = task.test.open()
        np.testing.assert_array_equal(test.X, arrays["X_test"])
        np.testing.assert_array_equal(np.array(task.classes)[test.y], arrays["y_test"])
        kept = np.concatenate([task.train.X, task.val.X])
        assert {x.tobytes() for x in kept} == {x.tobytes() for x in arrays["X_train"]}

    def test_own_validation(self, save):
        arrays = good()
        val = {"X_val": arrays["X_test"] + 1, "y_val": arrays["y_test"]}
        task = read_npz(save(**arrays, **val), seed=0)
        assert len(task.train) == len(arrays["y_train"])
        np.testing.assert_array_equal(task.val.X, val["X_val"])

    def test_cut_by_seed(self, save):
        arrays = whole()
        path = save(**arrays)
        one, same, other = (read_npz(path, seed=seed) for seed in (1, 1, 2))
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

    def test_other_arrays_are_left_alone(self, save):
        task = read_npz(save(**good(), ids=np.array([{"a": 1}], object)), seed=0)
        assert len(task.test) == 6

    def test_compressed_and_from_memory_alike(self, tmp_path):
        np.savez_compressed(tmp_path / "mine.npz", **good())
        lists = {name: array.tolist() for name, array in good().items()}
        one = read_npz(tmp_path / "mine.npz", seed=3)
        other = arrays_task(take_arrays(lists), name="mine", origin="a list", seed=3)
        assert one.sha256 == other.sha256
        np.testing.assert_array_equal(one.train.X, other.train.X)

    @pytest.mark.parametrize("dtype", ["bool", "u1", "i2", ">i4", "u8", "f2", ">f4", "f8", "g"])
    def test_number_types(self, save, dtype):
        arrays = good()
        arrays = {k: (v > 0).astype(dtype) if k[0] == "X" else v for k, v in arrays.items()}
        task = read_npz(save(**arrays), seed=0)
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
    def test_label_types(self, save, dtype, classes):
        arrays = good()
        for name in ("y_train", "y_test"):
            arrays[name] = (arrays[name] == "low").astype(dtype)
        task = read_npz(save(**arrays), seed=0)
        assert task.classes == (classes or tuple(np.unique(arrays["y_train"])))
        assert task.train.y.dtype == np.int64
        assert set(task.train.y) == {0, 1}

    def test_labels_of_any_script(self, save):
        arrays = good()
        named = {"low": "niedrig|1", "mid": "<b>中</b>", "top": "a\nb"}
        for name in ("y_train", "y_test"):
            arrays[name] = np.array([named[label] for label in arrays[name]])
        assert set(read_npz(save(**arrays), seed=0).classes) == set(named.values())

    def test_one_sample_in_test(self, save):
        arrays = good()
        arrays |= {"X_test": arrays["X_test"][:1], "y_test": arrays["y_test"][:1]}
        assert len(read_npz(save(**arrays), seed=0).test) == 1

    def test_a_single_sample_of_a_class_stays_in_train(self, save):
        arrays = good()
        arrays["y_train"] = changed(arrays["y_train"], 0, "abc")
        task = read_npz(save(**arrays), seed=0)
        only = task.classes.index("abc")
        assert (task.train.y == only).sum() == 1
        assert (task.val.y == only).sum() == 0


base = good()
X, y = base["X_train"], base["y_train"]
w = whole()

FAULTS = {
    # what changes: the array the sentence names, and a word of the next step
    "nothing": (None, {}, "none of the arrays", "save X_train"),
    "one": (None, {"X": w["X"]}, "holds X but lacks", "save X_train"),
    "no y_test": (base, {"y_test": None}, "lacks y_test", "save X_train"),
    "test beside X, y": (w, {"X_test": X, "y_test": y}, "lacks X_train, y_train", "save"),
    "half of val": (base, {"X_val": X}, "only one of X_val and y_val", "both or neither"),
    "objects X": (base, {"X_train": np.array([None])}, "X_train", "never loaded"),
    "objects y": (base, {"y_test": np.array(["a", 1], object)}, "y_test", "never loaded"),
    "NaN": (
        base,
        {"X_train": changed(X, (5, 1, 3), np.nan)},
        "X_train holds nan in sample 5",
        "dr",
    ),
    "inf in test": (
        base,
        {"X_test": changed(base["X_test"], (4, 0, 0), -np.inf)},
        "X_test holds -inf in sample 4",
        "fill or drop",
    ),
    "overflow": (
        base,
        {"X_train": changed(X.astype(float), (2, 0, 0), 1e300)},
        "X_train holds 1e+300 in sample 2",
        "rescale",
    ),
    "lengths": (
        base,
        {"y_train": y[:-1]},
        "X_train has 12 samples but y_train has 11",
        "one label",
    ),
    "lengths X, y": (w, {"y": w["y"][:-1]}, "X has 30 samples but y has 29", "one label"),
    "val lengths": (base, {"X_val": X, "y_val": y[:3]}, "X_val has 12", "one label"),
    "foreign in test": (
        base,
        {"y_test": changed(base["y_test"], 0, "new")},
        "y_test has the class new, which y_train lacks",
        "remove it",
    ),
    "foreign in val": (base, {"X_val": X, "y_val": changed(y, 0, "new")}, "y_val", "remove it"),
    "one class": (base, {"y_train": changed(y, slice(None), "low")}, "y_train", "two classes"),
    "one class X, y": (w, {"y": w["y"] * 0}, "y holds only the class 0", "two classes"),
    "int and string": (base, {"y_test": np.arange(6) % 3}, "y_test and y_train", "alike"),
    "2-D": (base, {"X_train": X[:, 0]}, "X_train has shape [12, 12]", "X_train[:, None]"),
    "1-D": (base, {"X_train": X[:, 0, 0]}, "X_train has shape [12]", "give sequences"),
    "5-D": (base, {"X_test": base["X_test"][..., None, None]}, "X_test", "give sequences"),
    "0-d": (base, {"X_train": np.float32(1)}, "X_train has shape []", "give sequences"),
    "0-d y": (base, {"y_train": np.int64(1)}, "y_train has shape []", "one label a sample"),
    "0-d X, y": (None, {"X": np.float32(1), "y": np.int64(1)}, "X has shape []", "give sequences"),
    "empty": (base, {"X_train": X[:0], "y_train": y[:0]}, "X_train is empty", "at least one"),
    "empty test": (base, {"X_test": X[:0], "y_test": y[:0]}, "X_test is empty", "at least one"),
    "empty X, y": (None, {"X": X[:0], "y": y[:0]}, "X is empty", "at least one"),
    "no channel": (base, {"X_train": X[:, :0]}, "X_train is empty", "at least one"),
    "no length": (base, {"X_train": X[..., :0]}, "X_train is empty", "at least one"),
    "complex": (base, {"X_train": X.astype(complex)}, "X_train holds complex128", "real numbers"),
    "strings": (base, {"X_train": X.astype(str)}, "X_train holds <U", "real numbers"),
    "dates": (base, {"X_train": X.astype("M8[s]")}, "X_train holds datetime64", "real numbers"),
    "records": (base, {"X_train": np.zeros((12, 2, 12), "f4,f4")}, "X_train", "real numbers"),
    "fractions": (base, {"y_train": np.arange(12) / 2}, "y_train holds fractions", "give labels"),
    "fractions in y": (w, {"y": w["y"] / 2}, "y holds fractions", "give labels"),
    "NaN label": (base, {"y_train": np.full(12, np.nan)}, "y_train holds NaN", "give integer"),
    "one-hot": (base, {"y_train": np.eye(3)[np.arange(12) % 3]}, "y_train", "y_train.argmax(1)"),
    "one-hot X, y": (w, {"y": np.eye(3)[w["y"]]}, "y has shape [30, 3]", "y.argmax(1)"),
    "bytes": (base, {"y_train": y.astype("S")}, "y_train holds |S3", "y_train.astype(str)"),
    "complex y": (base, {"y_train": np.arange(12) * 1j}, "y_train holds complex", "give integer"),
    "dates y": (base, {"y_train": np.arange(12).astype("M8[s]")}, "y_train", "give integer"),
    "huge u8": (base, {"y_train": np.full(12, 2**64 - 1, "u8")}, "y_train holds 1844", "from 0"),
    "huge f8": (base, {"y_train": np.full(12, 1e300)}, "y_train holds 1e+300", "from 0"),
    "huge -f8": (base, {"y_train": np.full(12, -1e300)}, "y_train holds -1e+300", "from 0"),
    "surrogates": (base, {"y_train": np.array(["\ud800", "a"] * 6)}, "y_train", "plain strings"),
    "every class single": (base, {"y_train": np.arange(12)}, "y_test and y_train", "alike"),
    "singles": (
        base,
        {"y_train": np.arange(12), "y_test": np.arange(6)},
        "No class of y_train",
        "more samples",
    ),
    "pairs X, y": (w, {"y": np.arange(30) // 2}, "y has no class of three", "give one each"),
    "other length": (
        base,
        {"X_test": base["X_test"][..., :-1]},
        "A sample of X_test has shape [2, 11], one of X_train [2, 12]",
        "make them alike",
    ),
    "other channels": (base, {"X_test": base["X_test"][:, :1]}, "X_test", "make them alike"),
    "other dims": (base, {"X_test": base["X_test"][..., None]}, "X_test", "make them alike"),
}


@pytest.mark.parametrize(("start", "changes", "named", "step"), FAULTS.values(), ids=FAULTS.keys())
def test_fault(save, start, changes, named, step):
    arrays = {k: v for k, v in {**(start or {}), **changes}.items() if v is not None}
    with pytest.raises(BadData) as caught:
        read_npz(save(**arrays), seed=0)
    message = str(caught.value)
    assert named in message
    assert step in message
    assert "\n" not in message
    assert len(message) < 250


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({**base, "X_train": [[[1.0, 2.0]], [[1.0]]]}, "X_train makes no array"),
        ({**base, "y_train": y.astype(object)}, "y_train.astype(str)"),
        ({**base, "X_train": None}, "X_train holds object values"),
        ({**base, "X_train": [*X.tolist()[:-1], "x"]}, "X_train makes no array"),
        ({}, "none of the arrays"),
    ],
    ids=["ragged", "pandas", "None", "mixed", "empty"],
)
def test_fault_in_memory(values, named):
    with pytest.raises(BadData) as caught:
        arrays_task(take_arrays(values), name="mine", origin="the mapping", seed=0)
    assert named in str(caught.value)


class TestFiles:
    def test_text(self, tmp_path):
        path = tmp_path / "mine.npz"
        path.write_text("a,b\n1,2\n")
        with pytest.raises(BadData, match=r"mine\.npz is no whole \.npz archive; save"):
            read_npz(path, seed=0)

    def test_empty(self, tmp_path):
        path = tmp_path / "mine.npz"
        path.touch()
        with pytest.raises(BadData, match="no whole"):
            read_npz(path, seed=0)

    def test_npy(self, tmp_path):
        np.save(tmp_path / "mine.npy", np.zeros((3, 1, 4)))
        path = (tmp_path / "mine.npy").rename(tmp_path / "mine.npz")
        with pytest.raises(BadData, match="no whole"):
            read_npz(path, seed=0)

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
    def test_truncated(self, save, share):
        path = save(**good())
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(BadData, match="no whole"):
            read_npz(path, seed=0)

    def test_missing(self, tmp_path):
        with pytest.raises(BadData, match="cannot be read"):
            read_npz(tmp_path / "mine.npz", seed=0)

    def test_a_member_that_is_no_array(self, tmp_path):
        path = tmp_path / "mine.npz"
        with zipfile.ZipFile(path, "w") as archive:
            for name in good():
                archive.writestr(f"{name}.npy", b"not an array")
        with pytest.raises(BadData, match=r"X_train in mine\.npz"):
            read_npz(path, seed=0)

    def test_an_archive_in_the_archive(self, save, tmp_path):
        inner = save(**good()).read_bytes()
        path = tmp_path / "outer.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("X.npy", inner)
            archive.writestr("y.npy", inner)
        with pytest.raises(BadData, match=r"X in outer\.npz"):
            read_npz(path, seed=0)

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
            read_npz(path, seed=0)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.data())
    def test_any_damage_is_bad_data(self, save, data):
        path = save(**good((1, 4), n=9))
        bytes_ = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            bytes_[data.draw(st.integers(0, len(bytes_) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes_)
        with contextlib.suppress(BadData):
            read_npz(path, seed=0)


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

    def test_archive(self, save):
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
