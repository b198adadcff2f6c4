"""Live curves: what is told goes into event files, and comes out of them again."""

from __future__ import annotations

import math
import sys

import pytest

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.training.curves import Curves
from dashzoo_search.training.live import live_curves
from dashzoo_search.training.progress import Progress, quiet

event_accumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="needs the extra 'live'"
)


def scalars(folder) -> dict[str, list[tuple[int, float]]]:
    found = event_accumulator.EventAccumulator(str(folder)).Reload()
    return {
        tag: [(event.step, round(event.value, 5)) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def search_epoch(epoch: int, **changes) -> Progress:
    shares = {"conv1": [0.5, 0.5], "blocks.0.conv2": [1.0, 0.0]}
    told = {"loss": 1 / epoch, "value": epoch / 10, "rate": 0.01 * epoch}
    return Progress("search", epoch, 4, **{**told, "mixtures": lambda: shares, **changes})


def test_every_epoch_is_in_the_files(tmp_path):
    with live_curves(tmp_path / "live") as on_epoch:
        for epoch in (1, 2):
            on_epoch(search_epoch(epoch))
            assert len(scalars(tmp_path / "live" / "search")["loss"]) == epoch  # at once
        on_epoch(Progress("default kernels, judged", 1, 1, 0.3, 0.9))
    found = scalars(tmp_path / "live" / "search")
    assert found["loss"] == [(1, 1.0), (2, 0.5)]
    assert found["score/accuracy"] == [(1, 0.1), (2, 0.2)]
    assert found["learning_rate"] == [(1, 0.01), (2, 0.02)]
    assert found["alpha_entropy/conv1"] == [(1, round(math.log(2), 5)), (2, round(math.log(2), 5))]
    assert found["alpha_entropy/blocks.0.conv2"] == [(1, 0.0), (2, 0.0)]
    assert set(scalars(tmp_path / "live" / "default-kernels-judged")) == {"loss", "score/accuracy"}


def test_a_stage_that_comes_again_has_a_folder_of_its_own(tmp_path):
    with live_curves(tmp_path) as on_epoch:
        for epoch in (1, 2, 1, 2):
            on_epoch(Progress("train", epoch, 2, 0.1, 0.9))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train", "train-2"]


def test_a_resumed_run_goes_on_in_its_curves(tmp_path):
    with live_curves(tmp_path) as on_epoch:  # killed after 3, its checkpoint was of 2
        for epoch in (1, 2, 3):
            on_epoch(search_epoch(epoch))
    for path in (tmp_path / "search").iterdir():  # files are read in the order of their seconds
        path.rename(path.with_name("events.out.tfevents.1000000000.here"))
    with live_curves(tmp_path) as on_epoch:
        for epoch in (1, 2):
            on_epoch(search_epoch(epoch, again=True, rate=None, mixtures=None))
        for epoch in (3, 4):
            on_epoch(search_epoch(epoch, loss=7.0))
    found = scalars(tmp_path / "search")
    assert found["loss"] == [(1, 1.0), (2, 0.5), (3, 7.0), (4, 7.0)]
    assert [step for step, _ in found["learning_rate"]] == [1, 2, 3, 4]


def test_a_resumed_run_without_a_past_tells_it(tmp_path):
    with live_curves(tmp_path) as on_epoch:
        on_epoch(search_epoch(1, again=True, rate=None, mixtures=None))
        on_epoch(search_epoch(2))
    assert [step for step, _ in scalars(tmp_path / "search")["loss"]] == [1, 2]


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingRuntime, match=r"dashzoo\[live\]"), live_curves(tmp_path):
        pass


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadData, match="another --tensorboard"), live_curves(tmp_path / "file"):
        pass


def test_mixtures_cost_nothing_where_nobody_asks():
    def never():
        raise AssertionError("asked")

    Curves(quiet)(search_epoch(1, mixtures=never))


def test_curves_leave_out_what_is_none():
    curves = Curves(quiet)
    curves(Progress("final choice", 1, 2, 0.1, 0.5, single=False))
    curves(search_epoch(1, again=True))
    curves(search_epoch(2, loss=math.inf))
    assert curves.to_json() == [{"stage": "search", "loss": [1.0, None], "value": [0.1, 0.2]}]
