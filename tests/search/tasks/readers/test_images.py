"""A folder of images by class."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.tasks import DataOptions
from dashzoo_search.tasks.load import load_file

Image = pytest.importorskip("PIL.Image")


def paint(path, value, size=(6, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size if mode == "L" else (*size, 3)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    for label, value in (("cat", 51), ("dog", 204)):
        for i in range(5):
            paint(tmp_path / "pets" / label / f"{i}.png", value)
    return tmp_path / "pets"


def test_classes_are_folders(folder):
    task = load_file(folder, seed=0)
    assert (task.name, task.channels, task.size, task.classes) == (
        "pets",
        3,
        (6, 4),
        ("cat", "dog"),
    )
    for part in (task.train, task.val, task.test.open()):
        for x, label in zip(part.X, part.y, strict=True):
            np.testing.assert_allclose(x, (0.2, 0.8)[label], rtol=1e-6)


def test_own_splits_and_grey(tmp_path):
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        for label, value in (("a", 0), ("b", 255)):
            for i in range(count):
                paint(tmp_path / part / label / f"{i}.png", value, mode="L")
    task = load_file(tmp_path, seed=0)
    assert (len(task.train), len(task.val), len(task.test)) == (8, 4, 6)
    assert task.channels == 1
    assert set(np.unique(task.train.X)) == {0, 1}


def test_sixteen_bits(tmp_path):
    for i, label in enumerate("aaabbb"):
        path = tmp_path / label / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4), 13107, np.uint16)).save(path)
    np.testing.assert_allclose(load_file(tmp_path, seed=0).train.X, 0.2, rtol=1e-6)


@pytest.mark.parametrize(
    ("mode", "value", "suffix"),
    [
        ("I;16", 13107, "png"),
        ("I;16", 13107, "tif"),
        ("I;16B", 13107, "tif"),
        ("I", 13107, "tif"),
        ("F", 0.2, "tif"),
        ("L", 51, "jpg"),
        ("RGB", 51, "bmp"),
        ("RGBA", 51, "png"),
        ("P", 51, "gif"),
        ("LA", 51, "png"),
    ],
)
def test_modes(tmp_path, mode, value, suffix):
    for i, label in enumerate("aaabbb"):
        path = tmp_path / label / f"{i}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        if mode == "I;16B":
            image = Image.frombytes(mode, (4, 5), np.full(20, value, ">u2").tobytes())
        elif mode in ("I;16", "I", "F"):
            kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
            image = Image.fromarray(np.full((5, 4), value, kinds[mode]))
        else:
            image = Image.fromarray(np.full((5, 4), value, np.uint8)).convert(mode)
        image.save(path)
    task = load_file(tmp_path, seed=0)
    assert task.size == (5, 4)
    np.testing.assert_allclose(task.train.X, 0.2, rtol=1e-6)


def test_sixteen_bits_among_colours(folder):
    for path in folder.glob("dog/*.png"):
        Image.fromarray(np.full((6, 4), 52428, np.uint16)).save(path)
    task = load_file(folder, seed=0)
    for x, label in zip(task.train.X, task.train.y, strict=True):
        np.testing.assert_allclose(x, (0.2, 0.8)[label], rtol=1e-6)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_as_the_camera_was_held(tmp_path, turn, suffix):
    from PIL import ImageOps

    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 255, (2, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    exif = Image.Exif()
    exif[0x0112] = turn
    for i, label in enumerate("aaabbb"):
        path = tmp_path / "held" / label / f"{i}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(blocks).save(path, exif=exif)
    upright = Image.fromarray(blocks)
    upright.getexif()[0x0112] = turn
    wanted = np.asarray(ImageOps.exif_transpose(upright), np.float32) / 255
    X = load_file(tmp_path / "held", seed=0).train.X
    np.testing.assert_allclose(X[0].mean(0), wanted, atol=0.01)


def test_what_file_managers_leave(folder):
    wanted = load_file(folder, seed=0).sha256
    for name in ("cat/._1.png", "cat/.DS_Store", "dog/Thumbs.db", "__MACOSX/cat/._1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"odds and ends")
    assert load_file(folder, seed=0).sha256 == wanted


def test_two_folders_for_a_split(tmp_path):
    for part in ("train", "test", "val", "valid"):
        for label in "ab":
            paint(tmp_path / part / label / "0.png", 9)
    with pytest.raises(BadData, match="folders val and valid for one split"):
        load_file(tmp_path, seed=0)


def test_no_order_of_time(folder):
    with pytest.raises(BadData, match="no order of time; leave --split out"):
        load_file(folder, seed=0, options=DataOptions(split="time"))


def test_not_a_number(folder):
    Image.fromarray(np.full((6, 4), np.nan, np.float32)).save(folder / "cat" / "8.tif")
    with pytest.raises(BadData, match=r"cat/8\.tif holds NaN"):
        load_file(folder, seed=0)


def test_sizes(folder):
    paint(folder / "cat" / "9.png", 51, size=(8, 8))
    with pytest.raises(BadData, match=r"cat/9\.png is 8×8, others are 6×4; say --size"):
        load_file(folder, seed=0)
    task = load_file(folder, seed=0, options=DataOptions(size=(5, 7)))
    assert task.size == (5, 7)
    assert load_file(folder, seed=0, options=DataOptions(size=5)).size == (5, 5)


def bomb(side):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("cat/bad.png", b"not an image", r"cat/bad\.png does not decode"),
        ("cat/bad.png", b"", r"cat/bad\.png does not decode"),
        ("cat/big.png", bomb(30_000), r"cat/big\.png"),
        ("cat/big.png", bomb(9_000), r"cat/big\.png declares 9000×9000 pixels"),
        ("cow/notes.txt", b"", r"class folder cow in pets has no image"),
    ],
)
def test_faults(folder, name, content, told):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    with pytest.raises(BadData, match=told) as caught:
        load_file(folder, seed=0)
    assert str(folder) not in str(caught.value)


def test_truncated(folder):
    path = folder / "dog" / "3.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (6, 4, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:70])
    with pytest.raises(BadData, match=r"dog/3\.png does not decode"):
        load_file(folder, seed=0)


def test_train_without_test(folder):
    (folder.parent / "both").mkdir()
    folder.rename(folder.parent / "both" / "train")
    with pytest.raises(BadData, match="has a folder train but none for test"):
        load_file(folder.parent / "both", seed=0)
