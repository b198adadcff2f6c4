"""A search under a budget: refused early, kept to the end, and other specs to be had."""

from __future__ import annotations

import json

import pytest

import dashzoo
from dashzoo.workfiles import SearchRecord
from dashzoo_search.errors import BadData

SMALL = {
    "backbone_args": {"width": 2},
    "kernels": (3, 5, 9),
    "dilations": (1, 2),
    "batch_size": 16,
    "threads": 1,
    "epochs": 4,
    "scout": 0.0,
}


def record(out) -> SearchRecord:
    return SearchRecord.read(out)


@pytest.fixture(scope="module")
def free(sequence_file, tmp_path_factory):
    """A search without a budget."""
    out = tmp_path_factory.mktemp("free") / "out"
    dashzoo.search(sequence_file, out, **SMALL)
    return out


IMPOSSIBLE = {
    "params": (["--max-params", "10"], "above --max-params 10"),
    "macs": (["--max-macs", "1000"], "MACs, above --max-macs 1,000"),
    "field": (["--max-receptive-field", "5"], "19 samples of receptive field, above"),
    "latency": (["--max-latency", "0.000001"], "ms of latency, above --max-latency 1e-06"),
    "zero": (["--max-macs", "0"], "max_macs must be a positive number"),
    "price": (["--price", "-1"], "price must not be negative"),
    "table": (["--max-latency", "1", "--latency-table", "none.json"], "none.json"),
    "mixture": (["--method", "mixture", "--max-macs", "1"], "an option of --method paths"),
}


@pytest.mark.parametrize(("words", "told"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_an_impossible_budget_is_one_sentence(refused, sequence_file, tmp_path, tiny, words, told):
    out = tmp_path / "out"
    assert told in refused("search", sequence_file, "--out", out, *tiny, *words)
    assert list(tmp_path.iterdir()) == []


def test_a_budget_is_kept_and_larger_default_kernels_are_not_shipped(sequence_file, free, tmp_path):
    least = min(member["cost"]["params"] for member in record(free).tradeoff["front"])
    default = record(free).tradeoff["default"]["params"]
    limit = (least + default) // 2
    out = tmp_path / "out"
    dashzoo.search(sequence_file, out, **SMALL, max_params=limit)
    found = record(out)
    assert found.options["max_params"] == limit
    told = found.tradeoff
    assert told["axis"] == "params"
    assert told["searched"]["params"] <= limit < told["default"]["params"] == default
    assert all(member["cost"]["params"] <= limit for member in told["front"])
    assert not told["default_fits"]
    results = dashzoo.train(out, epochs=1, threads=1)
    assert results["metrics"]["searched"]["parameters"] == told["searched"]["params"]
    assert results["metrics"]["searched"]["macs"] == told["searched"]["macs"]
    assert results["metrics"]["default"]["parameters"] == default
    assert results["selection"] is None
    assert results["search"]["max_params"] == limit
    for other in found.other_specs().values():
        assert sum(choice.taps for choice in other.layers.values()) < 9 * 9


def test_a_budget_that_does_not_bind_changes_nothing(sequence_file, free, tmp_path):
    out = tmp_path / "out"
    dashzoo.search(sequence_file, out, **SMALL, max_macs=10**12)
    assert (record(out).spec, record(out).history) == (record(free).spec, record(free).history)
    same = [folder / "search" / "supernet.safetensors" for folder in (out, free)]
    assert same[0].read_bytes() == same[1].read_bytes()


def test_another_spec_can_be_trained(free, command, tmp_path):
    front = record(free).tradeoff["front"]
    costs = [member["cost"]["macs"] for member in front]
    assert costs == sorted(costs, reverse=True)
    last = len(front) - 1
    words = ["train", free, "--epochs", 1, "--no-baseline", "--threads", 1, "--json", "--force"]
    results = command(*words, "--pick", last).json
    assert results["metrics"]["searched"]["macs"] == costs[last]
    assert results["search"]["pick"] == last
    kernels = json.loads((free / "config.json").read_text())["model_args"]["kernels"]
    assert kernels == front[last]["spec"]
    with pytest.raises(BadData, match=f"number {last + 1} to pick, but 0 to {last}"):
        dashzoo.train(free, epochs=1, threads=1, force=True, pick=last + 1)


def test_a_killed_search_keeps_the_times_it_measured(sequence_file, tmp_path, monkeypatch):
    from dashzoo_search.ops import latency

    class Stop(Exception):
        pass

    def stop(progress):
        if progress.epoch == 3:
            raise Stop

    out, times = tmp_path / "out", iter(range(1, 10**6))
    options = {**SMALL, "price": 1.0, "price_on": "latency", "checkpoint_every": 0.0}
    monkeypatch.setattr(latency, "_measure", lambda *_: next(times) / 1000)
    from dashzoo_search.budget import ledger as room

    seen = []
    real = room.best_fit
    monkeypatch.setattr(
        room,
        "best_fit",
        lambda v, *a, **k: seen.append([x.tolist() for x in v]) or real(v, *a, **k),
    )
    room._measured_here.cache_clear()
    with pytest.raises(Stop):
        dashzoo.search(sequence_file, out, on_epoch=stop, **options)
    room._measured_here.cache_clear()  # as another process, which measures other times
    dashzoo.search(sequence_file, out, **options)
    assert record(out).resumed == 1
    resumed, times = seen[-1], iter(range(1, 10**6))
    room._measured_here.cache_clear()
    dashzoo.search(sequence_file, tmp_path / "whole", **options)
    room._measured_here.cache_clear()
    assert resumed == seen[-1]
    assert record(out).spec == record(tmp_path / "whole").spec
