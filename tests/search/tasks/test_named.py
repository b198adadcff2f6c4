"""Named tasks: what aeon and scikit-learn bundle, and what happens without them."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dashzoo_search.errors import BadData, MissingRuntime, UnknownTask
from dashzoo_search.tasks import load_task, task_names
from dashzoo_search.tasks.kinds import KINDS
from dashzoo_search.tasks.losses import LOSSES
from dashzoo_search.tasks.metrics import METRICS
from dashzoo_search.tasks.nb360 import RECORDS
from dashzoo_search.tasks.pictures import COLUMNS
from dashzoo_search.tasks.ucr import PUBLISHED, load_ucr, ucr_names

# train, test, channels, length, classes
SHAPES = {
    "ACSF1": (100, 100, 1, 1460, 10),
    "ArrowHead": (36, 175, 1, 251, 3),
    "BasicMotions": (40, 40, 6, 100, 4),
    "Covid3Month": (140, 61, 1, 84, 1),
    "Covid3Month_disc": (140, 61, 1, 84, 3),
    "GunPoint": (50, 150, 1, 150, 2),
    "ItalyPowerDemand": (67, 1029, 1, 24, 2),
    "JapaneseVowels": (270, 370, 12, 26, 9),
    "OSULeaf": (200, 242, 1, 427, 6),
    "PLAID": (537, 537, 1, 1344, 11),
    "PickupGestureWiimoteZ": (50, 50, 1, 361, 10),
    "UnitTest": (20, 22, 1, 24, 2),
}


@pytest.fixture
def data_folder() -> Path:
    datasets = pytest.importorskip("aeon.datasets")
    return Path(datasets.__file__).parent / "data"


def test_every_bundled_classification_problem_has_a_name(data_folder):
    bundled = {"Covid3Month", "PLAID"}
    for file in data_folder.glob("*/*_TRAIN.ts"):
        header = file.read_text(errors="replace").lower().split("@data")[0]
        if "@classlabel true" in header and file.name == f"{file.parent.name}_TRAIN.ts":
            bundled.add(file.parent.name)
    assert bundled == set(ucr_names())
    planted = {name for name in task_names() if name.startswith("planted/")}
    mine = {name for name in task_names() if name.startswith("mine/")}  # of another test
    assert set(task_names()) - planted - mine == {
        "digits", "digits/permuted", "digits/sequential",
        "faces", "textures", "textures/permuted",
        "darcy", "darcy/small", "burgers/viscous", "burgers/sharp",
        "adding/200", "adding/600", "copy/200", "motifs", "ecg/synthetic",
        *(f"nb360/{name}" for name in RECORDS),
        *(f"ucr/{name}" for name in bundled),
    }  # fmt: skip
    assert planted == {f"planted/{dims}d-{depth}" for dims in (1, 2) for depth in range(1, 7)}


@pytest.mark.parametrize("name", ucr_names())
def test_ucr(data_folder, name):
    if name == "PLAID" and importlib.util.find_spec("sktime") is None:
        pytest.skip("sktime is not installed")
    task = load_task(f"ucr/{name}", seed=1)
    test = task.test.open()
    train, val = len(task.train), len(task.val)
    assert SHAPES[name] == (
        train + val, len(test), task.channels, *task.size, len(task.classes)
    )  # fmt: skip
    assert abs(val - 0.2 * (train + val)) <= len(task.classes)
    assert test.X.shape[1:] == task.train.X.shape[1:] == task.val.X.shape[1:]
    if name == "Covid3Month":
        assert (task.kind, task.metric, task.train.y.dtype) == ("regression", "rmse", np.float32)
        return
    assert set(task.train.y) == set(range(len(task.classes)))
    assert ("sktime" if name == "PLAID" else "aeon 1.6") in task.source


def test_unequal_lengths_are_padded_with_the_last_value(data_folder):
    task = load_task("ucr/JapaneseVowels", seed=0)
    raw = (data_folder / "JapaneseVowels" / "JapaneseVowels_TEST.ts").read_text()
    first = raw.split("@data")[1].strip().splitlines()[0]
    *channels, label = first.split(":")
    X, y = task.test.open().X[0], task.test.open().y[0]
    assert task.classes[y] == label
    for row, channel in zip(X, channels, strict=True):
        values = np.array([float(v) for v in channel.split(",")], np.float32)[: len(row)]
        np.testing.assert_allclose(row[: len(values)], values, rtol=1e-6)
        assert (row[len(values) :] == values[-1]).all()


def test_published_figures():
    assert set(PUBLISHED) == set(ucr_names()) - {"UnitTest", "Covid3Month_disc"}
    pytest.importorskip("aeon")
    rows = load_task("ucr/GunPoint").published
    assert [(row["method"], row["value"]) for row in rows] == [
        ("ROCKET", 1.0), ("InceptionTime", 1.0), ("HC2", 1.0), ("ResNet", 0.993),
    ]  # fmt: skip
    assert all(row["metric"] == "accuracy" and "tsml-eval" in row["source"] for row in rows)
    (vowels,) = load_task("ucr/JapaneseVowels").published
    assert vowels["method"] == "ResNet"
    wiimote = {
        row["method"]: row["source"] for row in load_task("ucr/PickupGestureWiimoteZ").published
    }
    assert "authors" in wiimote["ROCKET"]
    assert "tsml-eval" in wiimote["HC2"]
    assert load_task("ucr/UnitTest").published == ()


def test_digits():
    pytest.importorskip("sklearn")
    one, other = load_task("digits", seed=1), load_task("digits", seed=2)
    assert (one.channels, one.size, len(one.classes)) == (1, (8, 8), 10)
    assert len(one.train) + len(one.val) + len(one.test) == 1797
    np.testing.assert_array_equal(one.test.open().X, other.test.open().X)
    assert not np.array_equal(one.val.X, other.val.X)


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [
        ("ucr/GunPoint", "aeon", "aeon"),
        ("ucr/GunPoint", "aeon.datasets", "aeon"),
        ("digits", "sklearn.datasets", "scikit-learn"),
    ],
)
def test_without_the_extra(monkeypatch, name, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingRuntime) as caught:
        load_task(name)
    assert (caught.value.package, caught.value.extra) == (package, "tasks")
    assert str(caught.value) == f"{package} is not installed; run: pip install 'dashzoo[tasks]'"


def test_a_problem_this_aeon_lacks():
    pytest.importorskip("aeon")
    with pytest.raises(BadData, match=r"does not bundle Gone; install 'aeon>=1\.6,<1\.7'"):
        load_ucr("Gone", seed=0)


class TestNoSuchTask:
    @pytest.mark.parametrize(
        ("typed", "near"),
        [
            ("ucr/Gunpoint", "ucr/GunPoint"),
            ("GunPoint", "ucr/GunPoint"),
            ("gun_point", "ucr/GunPoint"),
            ("digit", "digits"),
            ("ucr/ItalyPower", "ucr/ItalyPowerDemand"),
        ],
    )
    def test_nearest_names(self, typed, near):
        with pytest.raises(UnknownTask) as caught:
            load_task(typed)
        assert near in caught.value.near
        assert f"No task or data file is called {typed!r}; nearest: {near}" in str(caught.value)

    def test_where_all_names_are(self):
        with pytest.raises(UnknownTask, match="`dashzoo tasks` lists") as caught:
            load_task("cifar100")
        assert len(str(caught.value)) < 400

    @pytest.mark.parametrize(
        ("typed", "told"),
        [
            ("gone.npz", "gone.npz does not exist"),
            ("gone.NPZ", "gone.NPZ does not exist"),
            ("gone.csv", "gone.csv does not exist"),
            ("x" * 5000 + ".npz", "cannot be read: File name too long"),
        ],
    )
    def test_paths(self, typed, told):
        with pytest.raises(BadData, match=told) as caught:
            load_task(typed)
        assert len(str(caught.value)) < 200

    def test_a_file_of_another_kind(self, tmp_path):
        (tmp_path / "data.doc").touch()
        with pytest.raises(BadData, match=r"data\.doc has no known ending; give \.npz, "):
            load_task(str(tmp_path / "data.doc"))

    def test_a_folder_of_no_kind(self, tmp_path):
        with pytest.raises(BadData, match="is a folder of no known kind; give"):
            load_task(str(tmp_path))

    def test_case_of_the_ending(self, sequence_file, tmp_path):
        path = tmp_path / "WAVES.NPZ"
        path.write_bytes(sequence_file.read_bytes())
        assert load_task(str(path)).name == "WAVES"


def test_textures_do_not_overlap_between_splits():
    pytest.importorskip("skimage")
    task = load_task("textures")
    assert (task.channels, task.size, task.classes) == (1, (32, 32), ("brick", "grass", "gravel"))
    held = [{x.tobytes() for x in s.X} for s in (task.train, task.val, task.test.open())]
    assert sum(map(len, held)) == len(set.union(*held))
    edges = sorted(COLUMNS.values())
    assert all(left[1] < right[0] for left, right in pairwise(edges))
    assert 0 <= task.train.X.min() < task.train.X.max() <= 1


def test_faces():
    pytest.importorskip("skimage")
    one, other = load_task("faces", seed=1), load_task("faces", seed=2)
    assert (one.channels, one.size, one.classes) == (1, (25, 25), ("face", "other"))
    np.testing.assert_array_equal(one.test.open().X, other.test.open().X)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in task_names() if not n.startswith(("nb360/", "mine/"))])
def test_every_task_loads_whole(name, tmp_path, monkeypatch):
    for package in ("aeon", "sklearn", "skimage", "sktime"):
        pytest.importorskip(package)
    monkeypatch.setenv("DASHZOO_CACHE", str(tmp_path))
    task = load_task(name)
    test = task.test.open()
    assert min(len(task.train), len(task.val), len(test)) > 0
    assert task.source
    assert task.outputs >= (2 if KINDS[task.kind].classes else 1)
    assert task.kind in LOSSES[task.loss].kinds
    assert task.kind in METRICS[task.metric].kinds
    if task.space is not None:
        task.space.check_against(task.size)
