"""The user's own data from the command line: what is said of it is kept with the search."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dashzoo
from dashzoo.steps.search_plan import plan_search
from dashzoo_search.space import SearchSpace
from dashzoo_search.tasks import DataOptions, register
from dashzoo_search.tasks.task import make_task

from .conftest import SEARCH

pandas = pytest.importorskip("pandas")


@pytest.fixture
def table(tmp_path):
    """A row a sample: two channels of ten values, the label in the middle, and a patient."""
    rng = np.random.default_rng(0)
    columns = {f"v{i}": rng.standard_normal(40) for i in range(20)}
    columns["diagnosis"] = np.array(["ill", "well"])[np.arange(40) % 2]
    columns["patient"] = np.arange(40) // 4
    path = tmp_path / "table.csv"
    pandas.DataFrame(columns).to_csv(path, index=False)
    return path


SAID = ["--target", "diagnosis", "--channels", 2, "--groups", "patient", "--metric", "f1"]


def test_what_is_said_is_kept(command, refused, table, tmp_path):
    out = tmp_path / "out"
    words = [*SEARCH, "--batch-size", 16]
    done = command("search", table, "--out", out, "--epochs", 1, *SAID, *words, "--scout", 0)
    assert done.code == 0, done.err
    record = json.loads((out / "search" / "search.json").read_text())
    assert record["data_options"] == {
        "target": ["diagnosis"], "channels": 2, "groups": "patient", "metric": "f1",
    }  # fmt: skip
    train = command("train", out, "--epochs", 1, "--no-baseline", "--threads", 1, "--json")
    assert train.code == 0, train.err
    task = train.json["task"]
    assert (task["channels"], task["size"], task["classes"]) == (2, [10], ["ill", "well"])
    assert task["metric"] == "f1"
    record["data_options"]["kind"] = "nonsense"
    (out / "search" / "search.json").write_text(json.dumps(record))
    assert "damaged" in refused("train", out, "--force")


def test_from_python(table, tmp_path):
    options = DataOptions(target="diagnosis", groups="patient")
    spec = dashzoo.search(
        table, tmp_path / "out", data_options=options, epochs=1, scout=0, kernels=(3, 5),
        dilations=(1,), backbone_args={"width": 2}, threads=1,
    )  # fmt: skip
    assert spec.layers


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--target", "weight"], "table.csv has no column weight"),
        (["--kind", "multiclass"], "'--kind'"),
        (["--target", "diagnosis", "--channels", "4"], "columns of table.csv are no 4 channels"),
        (["--size", "0"], "size and channels are positive numbers"),
        (["--split", "time", "--split-column", "patient"], "leaves nothing to split"),
    ],
)
def test_refused(refused, table, tmp_path, words, told):
    assert told in refused("search", table, "--out", tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


class TestDoctor:
    def test_says_what_it_sees(self, command, table, snapshot):
        before = snapshot(table.parent)
        done = command("doctor", table, *SAID)
        assert done.code == 0, done.err
        assert "X: 40 × 2 × 10, float64" in done.out
        assert "classification, loss cross_entropy, metric f1" in done.out
        assert "--backbone wrn1d --kernels 3,7,11,15,19 --dilations 1,3,7" in done.out
        assert "dashzoo run: about " in done.out
        assert snapshot(table.parent) == before

    def test_as_json(self, command, table):
        told = command("doctor", table, *SAID, "--json").json
        assert told["task"]["classes"] == ["ill", "well"]
        assert told["findings"] == []
        assert told["estimate"]["total_seconds"] > 0

    def test_a_fault_is_a_finding(self, command, table):
        frame = pandas.read_csv(table)
        frame.loc[7, "v3"] = np.nan
        frame.to_csv(table, index=False)
        done = command("doctor", table, *SAID)
        assert done.code == 0
        assert "fault: table.csv lacks a number in column v3, row 8. Fill it or drop" in done.out

    def test_no_data(self, refused):
        assert "gone.csv does not exist" in refused("doctor", "gone.csv")


def test_a_folder_of_arrays_is_searched_like_an_archive(sequence_file, tmp_path):
    folder = tmp_path / "waves"
    folder.mkdir()
    with np.load(sequence_file) as file:
        for name in file.files:
            np.save(folder / f"{name}.npy", file[name])
    weights = {}
    for data in (sequence_file, folder):
        out = tmp_path / f"of-{data.name}"
        dashzoo.search(
            data, out, epochs=2, kernels=(3, 5), dilations=(1,), backbone_args={"width": 2},
            threads=1, seed=3,
        )  # fmt: skip
        results = dashzoo.train(out, epochs=2, threads=1)
        assert results["test_reads"] == 1
        weights[data.name] = (out / "model.safetensors").read_bytes()
    assert len(set(weights.values())) == 1


@pytest.mark.parametrize(
    ("asked", "searched"),
    [
        ({}, ((5, 9), (1, 2))),
        ({"kernels": (3,)}, ((3,), (1, 2))),
        ({"dilations": (4,)}, ((5, 9), (4,))),
    ],
)
def test_a_task_may_bring_its_space(tmp_path, asked, searched):
    register("mine/spaced", load_spaced)
    plan = plan_search("mine/spaced", tmp_path, threads=1, device="cpu", **asked)
    assert (plan.space.kernels, plan.space.dilations) == searched


def load_spaced(*, seed):
    X, y = np.random.default_rng(0).standard_normal((20, 1, 30)), np.arange(20) % 2
    space = SearchSpace(kernels=(5, 9), dilations=(1, 2))
    return make_task(
        "mine/spaced", train=(X, y), test=(X, y), seed=seed, source="noise", space=space
    )
