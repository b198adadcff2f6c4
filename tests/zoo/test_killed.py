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
from dashzoo_export.bundle import check_bundle
from dashzoo_search.errors import BundleExists

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

    check_run(tmp_path, undisturbed, outcome, work, 20)


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

    assert run_to_the_end(work, stride=9) >= 2
    whole = outcome(undisturbed)
    for name, data in outcome(out).items():
        assert data == whole[name], name
    assert list(tmp_path.iterdir()) == [out]


def test_a_real_search_killed_at_random(sequence_file, tmp_path, outcome):
    words = [
        "search", sequence_file, "--epochs", 30, "--kernels", "3,5", "--dilations", "1,2",
        "--backbone-arg", "width=2", "--threads", 1, "--checkpoint-every", 0, "--scout", 0.2,
        "--json",
    ]  # fmt: skip

    def start(out):
        return subprocess.Popen(
            [sys.executable, "-m", "dashzoo", *map(str, words), "--out", str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    whole, out = tmp_path / "whole" / "out", tmp_path / "killed" / "out"
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
    options = {**SEARCH, "dilations": (1, 2), "batch_size": None, "scout": 0.2}
    spec = dashzoo.search(sequence_file, whole, epochs=30, **options)
    assert spec.to_json().items() <= json.loads(told).items(), fault
    assert outcome(out) == outcome(whole)
    assert list(out.parent.iterdir()) == [out]
    assert json.loads((out / "search" / "search.json").read_text())["resumed"] == kills > 0
