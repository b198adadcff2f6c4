"""What a stopped command leaves: found again, refused to others, and never lost."""

from __future__ import annotations

import json
import time

import pytest

import dashzoo
from dashzoo.steps.unfinished import RESUME
from dashzoo_search.errors import BadBundle, BundleExists

SEARCH = {
    "backbone_args": {"width": 2},
    "kernels": (3, 5),
    "dilations": (1,),
    "batch_size": 16,
    "threads": 1,
    "checkpoint_every": 0.0,
    "scout": 0.0,
}


class Stop(Exception):
    pass


def stop_after(epochs):
    def on_epoch(progress):
        if progress.epoch == epochs + 1:
            raise Stop

    return on_epoch


@pytest.fixture
def stopped(sequence_file, tmp_path):
    """A search that was stopped in its fourth epoch."""
    out = tmp_path / "out"
    with pytest.raises(Stop) as caught:
        dashzoo.search(sequence_file, out, epochs=6, on_epoch=stop_after(3), **SEARCH)
    assert str(tmp_path / "out.partial") in caught.value.__notes__[0]
    return out


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"kernels": (3, 7)}, "space.kernels ([3, 5] there, [3, 7] here)"),
        ({"backbone_args": {"width": 4}}, "backbone.args.width (2 there, 4 here)"),
        ({"batch_size": 8}, "options.recipe.batch_size (16 there, 8 here)"),
        ({"explore": 1.0}, "options.explore (2.0 there, 1.0 here)"),
        ({"precision": "bf16"}, "options.recipe.precision ('fp32' there, 'bf16' here)"),
        ({"seed": 1}, "seed (0 there, 1 here)"),
    ],
)
def test_another_search_is_refused_and_nothing_lost(
    stopped, sequence_file, snapshot, changed, named
):
    before = snapshot(stopped.parent)
    with pytest.raises(BundleExists) as caught:
        dashzoo.search(sequence_file, stopped, epochs=6, **{**SEARCH, **changed})
    assert named in str(caught.value)
    assert "--fresh" in str(caught.value)
    assert snapshot(stopped.parent) == before


def test_other_data_and_another_version_are_refused(stopped, arrays, sequence_file, monkeypatch):
    with pytest.raises(BundleExists, match=r"data .*there, .*here"):
        dashzoo.search({**arrays, "X_test": arrays["X_test"] + 1}, stopped, epochs=6, **SEARCH)
    monkeypatch.setattr("dashzoo.steps.search_plan.__version__", "9.9")
    with pytest.raises(BundleExists, match=r"dashzoo \('.*' there, '9.9' here\)"):
        dashzoo.search(sequence_file, stopped, epochs=6, **SEARCH)


def test_another_command_is_refused(stopped, sequence_file):
    with pytest.raises(BundleExists, match=r"command \('search' there, 'run' here\)"):
        dashzoo.run(sequence_file, stopped, search_epochs=6, epochs=1, **SEARCH)


def test_fresh_starts_over(stopped, sequence_file):
    seen = []
    dashzoo.search(
        sequence_file, stopped, epochs=2, fresh=True, on_epoch=lambda p: seen.append(p.epoch),
        **{**SEARCH, "kernels": (3, 7)},
    )  # fmt: skip
    assert seen == [1, 2]
    assert list(stopped.parent.iterdir()) == [stopped]
    assert json.loads((stopped / "search" / "search.json").read_text())["resumed"] == 0


def newest(out):
    found = out.with_name("out.partial").rglob("*.safetensors")
    return sorted(found, key=lambda path: path.name, reverse=True)


def test_the_last_two_are_kept_and_a_torn_one_falls_back(stopped, sequence_file, tmp_path, outcome):
    whole = tmp_path / "whole" / "out"
    dashzoo.search(sequence_file, whole, epochs=6, **SEARCH)
    one, other = newest(stopped)
    assert (int(one.name[:9]), int(other.name[:9])) == (3, 2)
    data = bytearray(one.read_bytes())
    data[len(data) // 2] ^= 1
    one.write_bytes(data)
    restored = []
    with pytest.raises(Stop):
        dashzoo.search(
            sequence_file, stopped, epochs=6, on_epoch=lambda p: restored.append(p.epoch) or (
                stop_after(3)(p)
            ), **SEARCH,
        )  # fmt: skip
    assert restored == [1, 2, 3, 4]
    for path in newest(stopped):
        path.write_bytes(path.read_bytes()[:-10])
    dashzoo.search(sequence_file, stopped, epochs=6, **SEARCH)
    assert outcome(stopped) == outcome(whole)


def test_a_checkpoint_that_lies_is_refused_by_name(stopped, sequence_file):
    from dashzoo_search.training.checkpoint import Checkpoints
    from dashzoo_search.training.tree import decode

    folder = newest(stopped)[0].parent
    tree = decode(newest(stopped)[0])
    name = next(iter(tree["parts"]["supernet"]))
    tree["parts"]["supernet"][name] = tree["parts"]["supernet"][name][..., :0]
    Checkpoints(folder).save(5, tree)
    with pytest.raises(BadBundle, match=rf"supernet/{name} has shape .*--fresh") as caught:
        dashzoo.search(sequence_file, stopped, epochs=6, **SEARCH)
    assert caught.value.field == f"supernet/{name}"


def test_two_at_once_are_refused(stopped, sequence_file):
    def second(progress):
        with pytest.raises(BundleExists, match="Another dashzoo is at work"):
            dashzoo.search(sequence_file, stopped, epochs=6, **SEARCH)
        raise Stop

    with pytest.raises(Stop):
        dashzoo.search(sequence_file, stopped, epochs=6, on_epoch=second, **SEARCH)


@pytest.mark.parametrize("fresh", [False, True])
def test_files_of_others_beside_it_are_left_alone(sequence_file, tmp_path, fresh, snapshot):
    partial = tmp_path / "out.partial"
    partial.mkdir()
    (partial / "thesis.tex").write_text("years")
    with pytest.raises(BundleExists, match=r"thesis\.tex"):
        dashzoo.search(sequence_file, tmp_path / "out", epochs=1, fresh=fresh, **SEARCH)
    assert snapshot(partial)["thesis.tex"] == b"years"


def test_time_counts_what_was_done_before(stopped, sequence_file):
    spent = []

    class Slow:
        def __call__(self, progress):
            if progress.epoch == 5 and not spent:
                time.sleep(0.5)
            if progress.epoch == 6 and not spent:
                spent.append(1)
                raise Stop

    with pytest.raises(Stop):
        dashzoo.search(sequence_file, stopped, epochs=6, on_epoch=Slow(), **SEARCH)
    dashzoo.search(sequence_file, stopped, epochs=6, **SEARCH)
    record = json.loads((stopped / "search" / "search.json").read_text())
    assert record["seconds"] >= 0.5
    assert record["resumed"] == 2
    assert not (stopped / RESUME).exists()
