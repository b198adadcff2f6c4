"""`--tensorboard` on a real search: its curves are those of the record."""

from __future__ import annotations

import json
import math
import sys

import pytest
from click.testing import CliRunner

from dashzoo.cli import cli

event_accumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="needs the extra 'live'"
)

QUICK = (
    *("--kernels", "3,5", "--dilations", "1,2", "--backbone-arg", "width=4", "--threads", "1"),
    *("--epochs", "2", "--scout", "0", "--batch-size", "16", "--json"),
)


def test_a_search_is_told_live(tmp_path, sequence_file):
    out, live = tmp_path / "waves", tmp_path / "live"
    words = ("search", str(sequence_file), "--out", str(out), *QUICK, "--tensorboard", str(live))
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    record = json.loads((out / "search" / "search.json").read_text())
    (curve,) = record["curves"]
    found = event_accumulator.EventAccumulator(str(live / "search")).Reload()
    for tag, wanted in {"loss": curve["loss"], "score/accuracy": curve["value"]}.items():
        assert [event.value for event in found.Scalars(tag)] == pytest.approx(wanted, rel=1e-4)
    assert len(found.Scalars("learning_rate")) == 2
    last = record["history"][-1]["layers"]
    for layer, shares in last.items():
        told = found.Scalars(f"alpha_entropy/{layer}")[-1].value
        assert told == pytest.approx(-sum(p * math.log(p) for p in shares if p > 0), abs=1e-3)


def test_without_the_extra_nothing_begins(tmp_path, sequence_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    out = tmp_path / "waves"
    words = ("search", str(sequence_file), "--out", str(out), "--tensorboard", str(tmp_path))
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2
    assert "dashzoo[live]" in done.stderr
    assert not list(tmp_path.glob("waves*"))
