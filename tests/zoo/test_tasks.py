"""`dashzoo tasks` and `dashzoo generate`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashzoo_search.tasks import task_names
from dashzoo_search.tasks.nb360 import RECORDS
from dashzoo_search.tasks.synthetic import SYNTHETIC


def test_every_task_is_listed(command):
    told = command("tasks", "--json").json
    assert [row["name"] for row in told] == list(task_names())
    assert all(row["about"] for row in told if not row["name"].startswith("mine/"))
    not_run = {row["name"] for row in told if row["status"] == "not run"}
    assert not_run == {f"nb360/{name}" for name in RECORDS} - {"nb360/darcy"}
    lines = command("tasks").out.splitlines()
    assert len(lines) == len(told)
    assert any(line.startswith("nb360/ecg ") and line.endswith("(not run)") for line in lines)


@pytest.mark.parametrize("jobs", [1, 2])
def test_generate_fills_the_cache(command, monkeypatch, tmp_path, jobs):
    monkeypatch.setenv("DASHZOO_CACHE", str(tmp_path))
    few = replace(SYNTHETIC["adding/200"], counts=(20, 2, 2))
    monkeypatch.setitem(SYNTHETIC, "adding/200", few)
    told = command("generate", "adding/200", "--jobs", jobs, "--json").json
    assert told["counts"] == {"train": 20, "val": 2, "test": 2}
    (file,) = (tmp_path / "generated").iterdir()
    written = file.stat().st_mtime_ns
    assert told["sha256"][:12] in command("generate", "adding/200").out
    assert file.stat().st_mtime_ns == written


def test_what_is_not_generated(refused):
    assert "digits is not generated; give one of darcy, " in refused("generate", "digits")
