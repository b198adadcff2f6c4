"""Commands started by torchrun: one result, one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

import dashzoo

TINY = {
    "backbone_args": {"width": 2},
    "kernels": (3, 5),
    "dilations": (1, 2),
    "batch_size": 9,
    "threads": 1,
}
WORDS = ["--backbone-arg", "width=2", "--kernels", "3,5", "--dilations", "1,2", "--batch-size", 9,
         "--threads", 1]  # fmt: skip


def torchrun(*words, **environment):
    return subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", "dashzoo", *map(str, words),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
        check=False,
    )  # fmt: skip


def test_a_search_by_two_processes(sequence_file, tmp_path):
    alone, out = tmp_path / "alone", tmp_path / "shared" / "out"
    spec = dashzoo.search(sequence_file, alone, epochs=2, name="out", **TINY)
    done = torchrun("search", sequence_file, "--out", out, "--epochs", 2, *WORDS, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.pop("tradeoff")["axis"] == "macs"
    assert told.pop("started") == {}
    assert told == spec.to_json()
    ours, theirs = (load_file(f / "search" / "supernet.safetensors") for f in (out, alone))
    for name, weight in theirs.items():
        np.testing.assert_allclose(ours[name], weight, rtol=1e-3, atol=1e-4, err_msg=name)
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.slow
def test_one_sentence_when_all_fail(sequence_file, tmp_path):
    done = torchrun("search", sequence_file, "--out", tmp_path / "out", *WORDS, "--kernels", "4")
    assert done.returncode != 0
    assert done.stdout == ""
    ours = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(ours) == 1
    assert "4" in ours[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_run_by_two_processes_that_loses_one(sequence_file, tmp_path):
    """Killing one stops both with one sentence; the same command goes on, and ends well."""
    out = tmp_path / "out"
    words = ["run", sequence_file, "--out", out, "--search-epochs", 2, "--epochs", 2, *WORDS,
             "--checkpoint-every", 0]  # fmt: skip
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, signal, threading, pathlib, time\n"
        "def watch():\n"
        "    while not list(pathlib.Path(os.environ['DYING']).rglob('*.safetensors')):\n"
        "        time.sleep(0.01)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "if os.environ.get('RANK') == '1':\n"
        "    threading.Thread(target=watch, daemon=True).start()\n"
    )
    path = os.pathsep.join([str(site), *filter(None, sys.path)])
    dying = torchrun(*words, PYTHONPATH=path, DYING=str(out.with_name("out.partial")))
    assert dying.returncode != 0
    told = [line for line in dying.stderr.splitlines() if line.startswith("Error: ")]
    assert len(told) <= 1  # torchrun may stop the other before it can tell
    done = torchrun(*words)
    assert done.returncode == 0, done.stderr
    results = json.loads((out / "results.json").read_text())
    assert results["resumed"]["command"] == 1
    dashzoo.load(out)


@pytest.mark.slow
def test_train_by_two_processes(sequence_file, tmp_path):
    alone = tmp_path / "alone"
    dashzoo.search(sequence_file, alone, epochs=1, **TINY)
    one = dashzoo.train(alone, epochs=2, threads=1)
    done = torchrun("train", alone, "--epochs", 2, "--threads", 1, "--force", "--json")
    assert done.returncode == 0, done.stderr
    two = json.loads(done.stdout)
    assert two["selection"]["shipped"] == one["selection"]["shipped"]
    for name in ("searched", "default"):
        ours, theirs = two["metrics"][name]["val"]["loss"], one["metrics"][name]["val"]["loss"]
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_without_torchrun_a_stray_variable_is_explained(refused, sequence_file, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    assert "unset WORLD_SIZE" in refused("search", sequence_file, "--out", "x")
