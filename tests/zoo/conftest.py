"""The command line in this process, and the options that make a run tiny."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import dashzoo
from dashzoo.cli import cli

# Small enough for a second; --threads 1 keeps to the core we are given.
SEARCH = ["--backbone-arg", "width=2", "--kernels", "3,5", "--dilations", "1", "--threads", "1"]


@dataclass
class Outcome:
    """Exit code and streams of one command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


@pytest.fixture
def command():
    """Run ``dashzoo *words`` in this process; no exception may get out of it."""

    def run(*words: object) -> Outcome:
        result = CliRunner().invoke(cli, [str(word) for word in words], prog_name="dashzoo")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def refused(command):
    """Run a command that must end in one sentence and exit code 2; returns the sentence."""

    def run(*words: object) -> str:
        outcome = command(*words)
        assert outcome.code == 2, outcome
        assert outcome.out == ""
        assert "Traceback" not in outcome.err
        last = outcome.err.strip().splitlines()[-1]
        assert last.startswith("Error: ")
        told = command(*words, "--json")
        assert told.code == 2
        assert set(told.json) == {"error"}
        assert set(told.json["error"]) == {"type", "message"}
        return last.removeprefix("Error: ")

    return run


@pytest.fixture
def tiny():
    """Options of `search` that make it tiny."""
    return list(SEARCH)


@pytest.fixture
def tiny_run() -> dict[str, Any]:
    """Options of `dashzoo.run` that make it tiny."""
    return {
        "backbone_args": {"width": 2},
        "kernels": (3, 5),
        "dilations": (1,),
        "batch_size": 16,
        "threads": 1,
        "search_epochs": 1,
        "epochs": 1,
        "baseline": False,
    }


@pytest.fixture
def arrays(sequence_file) -> dict[str, np.ndarray]:
    with np.load(sequence_file) as file:
        return dict(file)


@pytest.fixture(scope="session")
def free_bundle(made_bundle, tmp_path_factory) -> Path:
    """The bundle of sequences, exported with a free length and in fp16 too; read only."""
    folder = Path(shutil.copytree(made_bundle, tmp_path_factory.mktemp("free") / "waves"))
    dashzoo.export(folder, precisions=("fp16",), dynamic=("length",))
    return folder


@pytest.fixture
def snapshot():
    """Every file below a folder, with its bytes."""

    def take(folder) -> dict[str, bytes]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return take


def timeless(value: Any) -> Any:
    """JSON without what the clock and the number of attempts decide."""
    if isinstance(value, dict):
        gone = {"seconds", "cpu_seconds", "resumed"}
        return {k: timeless(v) for k, v in value.items() if k not in gone}
    return [timeless(v) for v in value] if isinstance(value, list) else value


@pytest.fixture(scope="session")
def outcome():
    """Every file of a folder but card and sums; of JSON what tells no time."""

    def take(folder) -> dict[str, Any]:
        found = {}
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name not in ("README.md", "SHA256SUMS"):
                data = path.read_bytes()
                found[name] = timeless(json.loads(data)) if name.endswith(".json") else data
        return found

    return take
