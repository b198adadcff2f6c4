"""A command killed at any moment and started again ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback

import pytest

import dashzoo
from dashzoo_export.bundle import check_bundle
from dashzoo_search.errors import BundleExists

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

SEARCH = {
    "backbone": "chain1d",
    "backbone_args": {"depth": 2, "width": 4},
    "kernels": (3, 5),
    "dilations": (1,),
    "batch_size": 16,
    "threads": 1,
    "checkpoint_every": 0.0,
}
LONG = 24  # epochs in which two kills find it at work
RUN = {**SEARCH, "search_epochs": 2, "epochs": 2, "seed": 3}


def fork(work) -> int:
    """The pid of a child that does ``work``."""
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
    return child


def status(pid) -> int:
    """Exit status of a child, once it has ended; negative when a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def in_child(work) -> int:
    """Exit status of ``work`` in a forked process."""
    return status(fork(work))


def dying_at(work, number):
    """``work`` that kills itself right before, or after, its ``number``-th change of a file."""

    def dying():
        changes = 0

        def deadly(change):
            def call(*args, **kwargs):
                nonlocal changes
                changes += 1
                last = changes == number  # rmtree unlinks, and so changes more
                if last and number % 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                try:  # to unlink what is not there is tried, too
                    return change(*args, **kwargs)
                finally:
                    if last:
                        os.kill(os.getpid(), signal.SIGKILL)

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


def check_run(tmp_path, undisturbed, outcome, work, stride):
    out = tmp_path / "out"
    kills = run_to_the_end(work, stride=stride)
    assert kills >= 2
    check_bundle(out)
    assert outcome(out) == outcome(undisturbed)
    assert list(tmp_path.iterdir()) == [out]
    told = json.loads((out / "results.json").read_text())
    assert 0 < told["resumed"]["command"] <= kills
    assert told["resumed"]["search"] <= told["resumed"]["command"]


def test_a_run_that_dies_at_file_changes(sequence_file, tmp_path, undisturbed, outcome):
    def work():
        dashzoo.run(sequence_file, tmp_path / "out", **RUN)

    check_run(tmp_path, undisturbed, outcome, work, 27)


@pytest.mark.slow
@pytest.mark.parametrize("stride", [5, 7, 8, 12])
def test_a_run_that_dies_at_many_file_changes(
    sequence_file, tmp_path, undisturbed, outcome, stride
):
    def work():
        dashzoo.run(sequence_file, tmp_path / "out", **RUN)

    check_run(tmp_path, undisturbed, outcome, work, stride)


@pytest.mark.slow
@pytest.mark.parametrize("last", range(1, 16, 2))
def test_a_run_that_dies_while_it_is_placed(
    bundle, sequence_file, tmp_path, undisturbed, outcome, last
):
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


def test_train_that_dies_at_file_changes(sequence_file, tmp_path, undisturbed, outcome):
    out = tmp_path / "out"
    options = {k: v for k, v in RUN.items() if k not in ("search_epochs", "epochs")}
    dashzoo.search(sequence_file, out, epochs=2, **options)

    def work():
        dashzoo.train(out, epochs=2, threads=1, checkpoint_every=0.0)

    assert run_to_the_end(work, stride=5) >= 2
    whole = outcome(undisturbed)
    for name, data in outcome(out).items():
        assert data == whole[name], name
    assert list(tmp_path.iterdir()) == [out]


def forked(out, data):
    """The pid of a search in a child of this process."""
    return fork(lambda: dashzoo.search(data, out, epochs=LONG, **SEARCH))


def started(out, data):
    """The pid of the same search by the command line, in a process of its own."""
    words = [
        "search", data, "--out", out, "--epochs", LONG, "--backbone", "chain1d",
        "--backbone-arg", "depth=2", "--backbone-arg", "width=4", "--kernels", "3,5",
        "--dilations", "1", "--batch-size", 16, "--threads", 1, "--checkpoint-every", 0,
    ]  # fmt: skip
    python = [sys.executable, "-m", "dashzoo", *map(str, words)]
    return os.posix_spawn(sys.executable, python, os.environ)


def killed_after(pid, seconds, progress) -> int:
    """Exit status of a process killed so long after it has written something new."""
    before = progress()
    deadline = time.monotonic() + 60
    while progress() <= before and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)  # one that has ended stays a zombie until it is waited for
    return status(pid)


@pytest.mark.parametrize("start", [forked, pytest.param(started, marks=pytest.mark.slow)])
def test_a_real_search_killed_at_random(sequence_file, tmp_path, outcome, start):
    whole, out = tmp_path / "whole" / "out", tmp_path / "killed" / "out"
    partial = out.with_name("out.partial")
    dice = random.Random()
    for _ in range(2):
        code = killed_after(
            start(out, sequence_file),
            dice.uniform(0, 0.1),
            lambda: set(partial.rglob("*.safetensors")),
        )
        assert code == -signal.SIGKILL
        assert not out.exists()
    assert status(start(out, sequence_file)) == 0
    dashzoo.search(sequence_file, whole, epochs=LONG, **SEARCH)
    assert outcome(out) == outcome(whole)
    assert list(out.parent.iterdir()) == [out]
    assert json.loads((out / "search" / "search.json").read_text())["resumed"] == 2
