"""The doctor: every ill is found where it is, none where it is not, each with a mend."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dashzoo_search.tasks.doctor as doctor_module
from dashzoo_search.errors import UnknownTask
from dashzoo_search.space import SearchSpace
from dashzoo_search.tasks import DataOptions
from dashzoo_search.tasks.doctor import doctor
from dashzoo_search.tasks.estimate import estimate, suggest
from dashzoo_search.tasks.load import load_file

N = 60


def healthy(n=N):
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(n) % 3)
    X = rng.standard_normal((n, 2, 20)) + y[:, None, None] / 2
    return X.astype(np.float32), y


@pytest.fixture
def see(save, monkeypatch):
    """Findings as ``{about: what}``, without the estimate, which takes seconds."""
    monkeypatch.setattr(doctor_module, "estimate", lambda *_: None)
    monkeypatch.setattr(doctor_module, "_room", lambda *_: ())

    def see(X, y, options=None, **more):
        return doctor(str(save(X=X, y=y, **more)), options=options or DataOptions())

    return see


def found(report):
    assert all(f.mend.endswith(".") and not f.what.endswith(".") for f in report.findings)
    return {finding.about: finding.what for finding in report.findings}


def test_healthy(see):
    X, y = healthy()
    report = see(X, y)
    assert report.findings == ()
    assert report.arrays["X"].shape == (N, 2, 20)
    assert report.arrays["X"].dtype == "float32"
    assert report.task["kind"] == "classification"
    assert sum(sum(of.values()) for of in report.classes.values()) == N
    assert report.suggestion.backbone == "wrn1d"


def test_nan_and_infinity(see):
    X, y = healthy()
    X[4, 0, 3], X[5, 1, 2] = np.nan, np.inf
    report = see(X, y)
    assert (report.arrays["X"].nan, report.arrays["X"].infinite) == (1, 1)
    (fault,) = report.findings
    assert (fault.severity, fault.what) == ("fault", "X holds nan in sample 4")
    assert fault.mend == "Fill or drop such samples before the run."
    assert report.task is report.suggestion is report.estimate is None


def test_lengths(see):
    X, y = healthy()
    X[::2, :, 15:] = np.nan
    report = see(X, y)
    assert report.arrays["X"].lengths == (15, 17, 20)
    assert "Say --lengths pad" in report.findings[0].mend
    assert found(see(X, y, DataOptions(lengths="pad"))) == {}


def test_imbalance(see):
    X, y = healthy()
    y[:] = 0
    y[:4] = 1
    assert found(see(X, y))["balance"] == "Only 2 training samples are of the class 1"


def test_samples_of_very_different_scale(see):
    X, y = healthy()
    X[: N // 2, 1] *= 1e-4
    report = see(X, y)
    assert set(found(report)) == {"scale"}
    assert report.findings[0].what.startswith("Channel 1 varies by more than ")
    assert "--input-norm sample" in report.findings[0].mend
    assert "scale" not in found(see(X * 0 + X[:1], y))
    assert "scale" not in found(see(0 * X, y))


def test_constant_channel(see):
    X, y = healthy()
    X[:, 1] = 7
    assert found(see(X, y)) == {"constant": "Channel 1 is 7 throughout the training split"}


def test_duplicates(see):
    X, y = healthy()
    X[30:], y[30:] = X[:30], y[:30]
    report = see(X, y)
    across = [f.what for f in report.findings if f.severity == "warning"]
    assert any("Samples of test that are in the training split too: " in what for what in across)
    y[30:] = (y[30:] + 1) % 3
    assert found(see(X, y))["labels"] == "Samples that occur with different labels: 30"


def test_every_sample_of_test_that_was_seen_is_counted(save, monkeypatch):
    monkeypatch.setattr(doctor_module, "estimate", lambda *_: None)
    monkeypatch.setattr(doctor_module, "_room", lambda *_: ())
    X, y = healthy()
    report = doctor(str(save(X_train=X, y_train=y, X_test=X[:30], y_test=y[:30])))
    told = [f for f in report.findings if f.about == "duplicates"]
    assert sum(int(f.what.rpartition(" ")[2]) for f in told) == 30
    assert {f.what.partition(" too")[0] for f in told} == {
        "Samples of test that are in the training split",
        "Samples of test that are in val",
    }


def test_a_value_that_is_the_label(see):
    X, y = healthy()
    X[:, 1, 6] = y * 3 + 0.5
    assert "channel 1 at 6 alone tells the label" in found(see(X, y))["leak"]


def test_a_value_that_is_the_number_wanted(see):
    X, _ = healthy()
    wanted = np.random.default_rng(1).standard_normal(N)
    assert "leak" not in found(see(X, wanted))
    X[:, 0, 2] = 5 - 2 * wanted
    assert "channel 0 at 2 alone" in found(see(X, wanted))["leak"]


def test_an_id(see):
    X, y = healthy()
    X[:, 0, 0] = np.arange(N) * 10
    assert "channel 0 at 0 grows from row to row" in found(see(X, y))["id"]
    assert "id" not in found(see(X, y, DataOptions(split="time")))


def test_neighbours_alike(see):
    rng = np.random.default_rng(0)
    long = np.cumsum(rng.standard_normal(20 * N + 40))
    X = np.stack([long[i * 2 : i * 2 + 40] for i in range(N)])[:, None]
    y = np.arange(N) // 20 % 2
    assert "order" in found(see(X, y))
    assert "order" not in found(see(X, y, groups=np.arange(N) // 5))
    assert "order" not in found(see(X, y, DataOptions(split="time")))


def test_channels_that_came_last(see):
    X, y = healthy()
    for swapped, mend in ((X.swapaxes(1, 2), "swapaxes(1, 2)"), (None, "transpose(0, 3, 1, 2)")):
        images = np.random.default_rng(0).standard_normal((N, 12, 10, 3))
        (finding,) = see(images if swapped is None else swapped, y).findings
        assert finding.about == "axes"
        assert mend in finding.mend


@pytest.mark.parametrize("suffix", ["npz", "csv", "png"])
def test_mends_work_when_typed(tmp_path, monkeypatch, save, suffix):
    monkeypatch.setattr(doctor_module, "estimate", lambda *_: None)
    monkeypatch.setattr(doctor_module, "_room", lambda *_: ())
    walk = np.cumsum(np.random.default_rng(0).standard_normal((N, 8)), 0) + 100
    walk[:, 0] = np.arange(N)
    y = np.arange(N) // 15 % 2
    walk[4], y[4] = walk[3], y[3]
    if suffix == "npz":
        path = save(X=walk[:, None], y=y)
    elif suffix == "csv":
        pandas = pytest.importorskip("pandas")
        path = tmp_path / "mine.csv"
        pandas.DataFrame(walk).add_prefix("v").assign(label=y).to_csv(path, index=False)
    else:
        Image = pytest.importorskip("PIL.Image")
        path = tmp_path / "mine"
        for i, row in enumerate(walk.astype(np.uint8).reshape(N, 2, 4)):
            (path / f"{y[i]}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(row).save(path / f"{y[i]}" / f"{i:02d}.png")
    mends = {f.about: f.mend for f in doctor(str(path)).findings}
    for option, said in (
        ("--split time", DataOptions(split="time")),
        ("--split time --time NAME", DataOptions(split="time", time="v0")),
        ("--groups NAME", DataOptions(groups="v0")),
        ("--id", DataOptions(id="v0")),
    ):
        if any(option in mend for mend in mends.values()):
            assert load_file(path, seed=0, options=said).size
    assert "groups" in mends["order"] or "into one of the folders" in mends["order"]


@pytest.mark.parametrize("form", ["wide", "channels", "long", "padded"])
def test_columns_of_tables_are_called_by_their_names(tmp_path, monkeypatch, form):
    pandas = pytest.importorskip("pandas")
    monkeypatch.setattr(doctor_module, "estimate", lambda *_: None)
    monkeypatch.setattr(doctor_module, "_room", lambda *_: ())
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(N) % 3)
    values = rng.standard_normal((N, 6))
    if form in ("wide", "channels"):
        values[:, 4], values[:, 1] = np.arange(N), y
        frame = pandas.DataFrame(values, columns=[*"abcdef"]).assign(label=y)
        options = DataOptions(channels=2 if form == "channels" else None)
        at = ""
    else:
        rows = np.arange(N).repeat(3)
        frame = pandas.DataFrame(values[rows], columns=[*"abcdef"]) + rng.random((3 * N, 6))
        frame = frame.assign(e=rows + 0.5, b=y[rows], who=rows, label=y[rows])
        if form == "padded":
            frame = frame[1:]
        options = DataOptions(id="who", lengths="pad" if form == "padded" else None)
        at = " at 0"
    frame.to_csv(tmp_path / "mine.csv", index=False)
    told = found(doctor(str(tmp_path / "mine.csv"), options=options))
    assert told["id"].startswith(f"The value of column e{at} grows")
    assert told["leak"].startswith(f"The value of column b{at} alone")


def test_the_folder_we_are_in(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor_module, "estimate", lambda *_: None)
    monkeypatch.setattr(doctor_module, "_room", lambda *_: ())
    (tmp_path / "mine").mkdir()
    X, y = healthy()
    np.save(tmp_path / "mine" / "X.npy", X)
    monkeypatch.chdir(tmp_path / "mine")
    assert doctor(".").findings[0].what == "mine holds X but lacks y"
    np.save(tmp_path / "mine" / "y.npy", y)
    assert doctor(".").task["name"] == load_file(Path(), seed=0).name == "mine"


def test_groups_on_both_sides(save, monkeypatch):
    X, y = healthy()
    path = save(
        X_train=X[:40], y_train=y[:40], X_test=X[40:], y_test=y[40:],
        groups_train=np.arange(40), groups_test=np.arange(39, 59),
    )  # fmt: skip
    (fault,) = doctor(str(path)).findings
    assert (fault.severity, fault.mend) == ("fault", "Keep each group in one split.")


def test_other_kinds_are_looked_at_too(see):
    X, y = healthy()
    marks = (X[:, 0] > 0).astype(np.int64) + (X[:, 0] > 1)
    for labels in (X[:, 0], marks, np.eye(3)[y] + np.eye(3)[y - 1]):
        report = see(X, labels)
        assert report.findings == ()
        assert report.task["kind"] != "classification"


def test_a_named_task_and_none(see):
    report = doctor("planted/1d-1")
    assert report.arrays["X_train"].shape[0] == 4000
    with pytest.raises(UnknownTask):
        doctor("planted/3d-1")


class TestEstimate:
    def test_follows_the_data(self, save):
        X, y = healthy(40)
        task = load_file(save(X=X, y=y), seed=0)
        told = estimate(task, suggest(task.size, dense=task.dense))
        assert set(told.seconds) == {
            "search", "scout", "training", "default kernels", "final choice",
        }  # fmt: skip
        assert told.seconds["default kernels"] == pytest.approx(4 * told.seconds["training"])
        assert told.total_seconds > 0
        assert told.memory > 4 * 4 * told.parameters
        assert told.step_seconds["wide"] > told.step_seconds["plain"]
        json.dumps(told.to_json())

    @pytest.mark.parametrize(
        ("size", "kernels", "dilations", "resize"),
        [
            ((150,), (3, 7, 11, 15, 19), (1, 3, 7, 15), None),
            ((5,), (3, 7), (1, 3), None),
            ((8, 8), (3, 5, 7, 9), (1, 3, 7), None),
            ((600, 400), (3, 5, 7, 9), (1, 3, 7, 15), 224),
        ],
    )
    def test_suggestion(self, size, kernels, dilations, resize):
        told = suggest(size)
        assert (told.kernels, told.dilations, told.resize) == (kernels, dilations, resize)


def test_dense_images_keep_their_size_and_their_resolution():
    told = suggest((600, 400), dense=True)
    assert (told.backbone, told.resize) == ("wrn_16_1", None)


def test_the_space_of_the_task_is_suggested():
    space = SearchSpace(kernels=(5, 99), dilations=(1, 40))
    told = suggest((30,), space)
    assert (told.kernels, told.dilations) == ((5,), (1,))
