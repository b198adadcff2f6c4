"""Calibration: the fit, the latency table, and the command that writes both."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from dashzoo.cli import cli
from dashzoo_search.choice import Kernel
from dashzoo_search.errors import BadCosts
from dashzoo_search.ops import calibration, latency
from dashzoo_search.ops.calibration import Calibration, Case, calibrate, cases, fit, table
from dashzoo_search.ops.cost import seconds
from dashzoo_search.ops.costs import Costs, load_costs, reset_costs
from dashzoo_search.ops.latency import ConvShape, LatencyTable, measured_latency
from dashzoo_search.ops.stopwatch import fastest

CPU = torch.device("cpu")
SHAPE = ConvShape(batch=1, ins=4, outs=4, size=(50,), stride=(1,))
TINY = [
    Case(path=path, shape=(1, 4, 30), outs=4, groups=groups, kernels=(Kernel((k,), (1,)),))
    for path in ("mixed_weights", "fourier")
    for groups in (1, 4)
    for k in (3, 5)
]


def test_the_fit_finds_the_constants_behind_the_times() -> None:
    truth = Costs()
    names = {name for case in cases() for name in calibration._work(case)}
    measured = tuple((case, seconds(calibration._work(case), truth)) for case in cases())
    found = fit(measured)
    again = [seconds(calibration._work(case), found) / taken for case, taken in measured]
    assert np.allclose(again, 1, atol=0.02)
    assert names >= {f.name for f in dataclasses.fields(Costs)} - {"spectrum_fft"}


def test_one_disturbed_measurement_hardly_moves_the_fit() -> None:
    truth = Costs()
    measured = [(case, seconds(calibration._work(case), truth)) for case in cases()]
    measured[40] = (measured[40][0], 5 * measured[40][1])
    found = fit(tuple(measured))
    again = [seconds(calibration._work(case), found) / taken for case, taken in measured]
    assert np.median(np.abs(np.array(again) - 1)) < 0.05


def test_a_calibration_of_this_machine_can_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "cases", lambda quick: iter(TINY))
    done = calibrate(CPU, budget=0.001)
    assert isinstance(done, Calibration)
    assert len(done.cases) == len(TINY)
    assert all(taken > 0 for _, taken in done.cases)
    path = tmp_path / "costs.json"
    path.write_text(json.dumps(table(done)))
    try:
        assert load_costs(path) == {"cpu": done.costs}
    finally:
        reset_costs()


def test_a_latency_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Kernel] = []

    def measure(shape: ConvShape, kernel: Kernel, device: torch.device) -> float:
        asked.append(kernel)
        return float(kernel.taps)

    monkeypatch.setattr(latency, "_measure", measure)
    known = LatencyTable()
    for _ in range(2):
        known.fill([SHAPE], [Kernel((3,), (1,)), Kernel((7,), (2,))])
        assert measured_latency(SHAPE, Kernel((7,), (2,)), known) == 7
    assert len(asked) == len(known) == 2


@pytest.mark.parametrize("kernel", [Kernel((3,), (2,)), Kernel((4,), (1,))])
def test_what_is_measured_runs(kernel: Kernel) -> None:
    assert 0 < LatencyTable().milliseconds(SHAPE, kernel) < 1000


def test_a_table_from_elsewhere_interpolates(tmp_path: Path) -> None:
    known = {f"{SHAPE} k3 d1": 1.0, f"{SHAPE} k7 d1": 3.0, f"{SHAPE} k7 d2": 9.0}
    path = tmp_path / "latency.json"
    LatencyTable(taken_on={"processor": "another"}, known=known).save(path)
    other = LatencyTable.load(path)
    assert not other.here
    wanted = {(3, 1): 1.0, (5, 1): 2.0, (9, 1): 3.0, (1, 1): 1.0, (15, 2): 9.0}
    for (k, d), ms in wanted.items():
        assert other.milliseconds(SHAPE, Kernel((k,), (d,))) == ms
    assert len(other) == 3
    with pytest.raises(LookupError, match="run dashzoo calibrate there"):
        other.milliseconds(SHAPE, Kernel((3,), (5,)))


def test_a_table_of_this_machine_goes_on_growing(tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    known = LatencyTable()
    known.milliseconds(SHAPE, Kernel((3,), (1,)))
    known.save(path)
    again = LatencyTable.load(path)
    assert again.here
    again.milliseconds(SHAPE, Kernel((5,), (1,)))
    assert len(again) == 2


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"latency_version": 2},
        {"latency_version": 1, "ms": {}},
        {"latency_version": 1, "ms": {"a": -1.0}, "machine": {}},
        {"latency_version": 1, "ms": {"a": "1"}, "machine": {}},
        {"latency_version": 1, "ms": {}, "machine": {}, "device": "toaster"},
    ],
)
def test_foreign_latencies(value: object) -> None:
    with pytest.raises(BadCosts):
        LatencyTable.from_json(value)


def test_repeats_take_turns_and_the_least_counts() -> None:
    order: list[str] = []
    runs = {name: lambda name=name: order.append(name) for name in ("a", "b")}
    found = fastest(runs, CPU, budget=1.0, least=2, most=2)
    assert set(found) == {"a", "b"}
    assert [sorted(order[i : i + 2]) for i in (0, 2, 4)] == [["a", "b"]] * 3
    assert len(order) == 6
    assert all(0 <= t < 1 for t in found.values())


def test_a_cold_start_does_not_count() -> None:
    calls: list[int] = []

    def run() -> None:
        calls.append(1)
        if len(calls) == 1:
            total = 0
            for i in range(1_000_000):
                total += i

    assert fastest({"": run}, CPU, budget=0.001, least=2, most=5)[""] < 0.001
    assert len(calls) >= 3


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "cases", lambda quick: iter(TINY))
    threads = torch.get_num_threads()
    out = tmp_path / "costs.json"
    try:
        done = CliRunner().invoke(
            cli,
            ["calibrate", "--out", str(out), "--json", "--quick", "--device", "cpu"],
            catch_exceptions=False,
        )
        told = CliRunner().invoke(cli, ["calibrate", "--quick", "--threads", "1"])
    finally:
        torch.set_num_threads(threads)
    assert done.exit_code == told.exit_code == 0
    assert json.loads(done.output) == json.loads(out.read_text())
    assert len(LatencyTable.load(out)) == 36
    assert "convolutions timed on cpu" in told.output
    try:
        load_costs(out)
    finally:
        reset_costs()
