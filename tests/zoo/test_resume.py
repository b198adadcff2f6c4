"""A command killed at any moment and started again ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback

import pytest

import dashzoo
from dashzoo.steps.unfinished import RESUME
from dashzoo_export.bundle import check_bundle
from dashzoo_search.errors import BadBundle, BundleExists

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

SEARCH = {
    "backbone_args": {"width": 2},
    "kernels": (3, 5),
    "dilations": (1,),
    "batch_size": 16,
    "threads": 1,
    "checkpoint_every": 0.0,
}
RUN = {**SEARCH, "search_epochs": 2, "epochs": 2, "seed": 3}


def timeless(value):
    if isinstance(value, dict):
        gone = {"seconds", "cpu_seconds", "resumed"}
        return {k: timeless(v) for k, v in value.items() if k not in gone}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def outcome(folder):
    """Every file; of JSON what does not tell the time; the card and sums repeat it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in ("README.md", "SHA256SUMS"):
            data = path.read_bytes()
            found[name] = timeless(json.loads(data)) if name.endswith(".json") else data
    return found


def in_child(work) -> int:
    """Exit status of ``work`` in a forked process; negative when a signal ended it."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying_at(work, number):
    """``work`` that kills itself right before, or after, its ``number``-th change of a file."""

    def dying():
        changes = 0

        def deadly(change):
            def call(*args, **kwargs):
                nonlocal changes
                changes += 1
                if changes == number and number % 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = change(*args, **kwargs)
                if changes == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            return call

        for module, name in [(os, "replace"), (os, "rename"), (os, "unlink"), (shutil, "rmtree")]:
            setattr(module, name, deadly(getattr(module, name)))
        work()

    return dying


def unless_finished(work):
    """Killed after its very last step but one, a command is done, and says so when repeated."""
    try:
        work()
    except BundleExists as error:
        if "already holds" not in str(error):
            raise


def run_to_the_end(work, *, stride):
    """Kill ``work`` at its ``stride``-th change, then one later each time, until it gets through.

    Later, because exporting and the card are not resumed half-way.
    """
    kills = 0
    while (code := in_child(dying_at(lambda: unless_finished(work), stride + kills))) != 0:
        assert code == -signal.SIGKILL
        kills += 1
        assert kills < 50, "it does not get on"
    return kills


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, sequence_file):
    return dashzoo.run(sequence_file, tmp_path_factory.mktemp("whole") / "out", **RUN)


def check_run(sequence_file, tmp_path, undisturbed, work, stride):
    out = tmp_path / "out"
    kills = run_to_the_end(work, stride=stride)
    assert kills >= 2
    check_bundle(out)
    assert outcome(out) == outcome(undisturbed)
    assert list(tmp_path.iterdir()) == [out]
    told = json.loads((out / "results.json").read_text())
    assert 0 < told["resumed"]["command"] <= kills
    assert told["resumed"]["search"] <= told["resumed"]["command"]


def test_a_run_that_dies_at_file_changes(sequence_file, tmp_path, undisturbed):
    def work():
        dashzoo.run(sequence_file, tmp_path / "out", **RUN)

    check_run(sequence_file, tmp_path, undisturbed, work, 14)


@pytest.mark.slow
@pytest.mark.parametrize("stride", [5, 7, 8, 12])
def test_a_run_that_dies_at_many_file_changes(sequence_file, tmp_path, undisturbed, stride):
    def work():
        dashzoo.run(sequence_file, tmp_path / "out", **RUN)

    check_run(sequence_file, tmp_path, undisturbed, work, stride)


@pytest.mark.slow
@pytest.mark.parametrize("last", range(1, 16, 2))
def test_a_run_that_dies_while_it_is_placed(bundle, sequence_file, tmp_path, undisturbed, last):
    """With --force, into a folder that exists; counted from the first change of that folder."""
    out = bundle

    def work():
        dashzoo.run(sequence_file, out, force=True, name="out", **RUN)

    def dying():
        from dashzoo.steps import unfinished

        place = unfinished.Unfinished.place
        unfinished.Unfinished.place = lambda self, target, *, force: dying_at(
            lambda: place(self, target, force=force), last
        )()
        work()

    assert in_child(dying) in (0, -signal.SIGKILL)
    if out.with_name(f"{out.name}.partial").exists():
        work()
    check_bundle(out)
    assert outcome(out) == outcome(undisturbed)
    assert list(out.parent.iterdir()) == [out]


def test_train_that_dies_at_file_changes(sequence_file, tmp_path, undisturbed):
    out = tmp_path / "out"
    options = {k: v for k, v in RUN.items() if k not in ("search_epochs", "epochs")}
    dashzoo.search(sequence_file, out, epochs=2, **options)

    def work():
        dashzoo.train(out, epochs=2, threads=1, checkpoint_every=0.0)

    assert run_to_the_end(work, stride=17) >= 2
    whole = outcome(undisturbed)
    for name, data in outcome(out).items():
        assert data == whole[name], name
    assert list(tmp_path.iterdir()) == [out]


def test_a_real_search_killed_at_random(sequence_file, tmp_path):
    words = [
        "search", sequence_file, "--epochs", 30, "--kernels", "3,5", "--dilations", "1,2",
        "--backbone-arg", "width=2", "--threads", 1, "--checkpoint-every", 0, "--json",
    ]  # fmt: skip

    def start(out):
        return subprocess.Popen(
            [sys.executable, "-m", "dashzoo", *map(str, words), "--out", str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    whole, out = tmp_path / "whole" / "out", tmp_path / "killed" / "out"
    quiet = start(whole)
    dice, kills = random.Random(), 0
    partial = out.with_name("out.partial")
    while kills < 2:
        process = start(out)
        before = set(partial.rglob("*.safetensors"))
        while process.poll() is None and set(partial.rglob("*.safetensors")) <= before:
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.4))
        process.kill()
        process.communicate()
        if process.returncode == 0:
            break
        kills += 1
        assert not out.exists()
    told, fault = start(out).communicate()
    assert told == quiet.communicate()[0], fault
    assert outcome(out) == outcome(whole)
    assert list(out.parent.iterdir()) == [out]
    assert json.loads((out / "search" / "search.json").read_text())["resumed"] == kills > 0


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
        ({"alpha_lr": 0.1}, "options.alpha_lr (0.05 there, 0.1 here)"),
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
    monkeypatch.setattr("dashzoo.steps.search.__version__", "9.9")
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


def test_the_last_two_are_kept_and_a_torn_one_falls_back(stopped, sequence_file, tmp_path):
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
