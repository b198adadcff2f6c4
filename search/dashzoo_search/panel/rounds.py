"""Play the rounds of a panel, one seed after the other; what is finished is not done again.

```
settings.json           what all rows have in common; a panel of other settings is refused
rows/000-default.json   a row: seed, contestant; written in one step
unfinished/             checkpoints of the contestant that runs, gone when its rows are there
```
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dashzoo_search.errors import (
    BadBackbone,
    BadBundle,
    BadData,
    BadSpace,
    BundleExists,
    MissingRuntime,
    TrainingFailed,
)
from dashzoo_search.panel.contestants import CONTESTANTS, Contestant
from dashzoo_search.panel.round import Round
from dashzoo_search.panel.row import Row
from dashzoo_search.training.checkpoint import write_durably
from dashzoo_search.training.resume import Journal

__all__ = ["Outcome", "claim", "play"]

SETTINGS = "settings.json"

# What one contestant may fail by without the others failing too.
_ITS_OWN = (BadBackbone, BadData, BadSpace, MissingRuntime, TrainingFailed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a panel came to.

    Attributes:
        rows: all that are finished, by seed and in the order of `CONTESTANTS`.
        left_out: why contestants have no row, by name, or by name and seed.
    """

    rows: tuple[Row, ...]
    left_out: Mapping[str, str]


def claim(folder: Path, settings: Mapping[str, Any]) -> str:
    """Make ``folder`` the panel of these settings, if it is none yet; returns their hash.

    Raises:
        BundleExists: it holds a panel of other settings, or other files.
        BadBundle: its settings are damaged.
    """
    path = folder / SETTINGS
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    if path.exists():
        there = _read(path)
        wanted = json.loads(text)
        for name in sorted({*there, *wanted}, key=lambda name: (name != "task", name)):
            if there.get(name) != wanted.get(name):
                raise BundleExists(
                    f"{folder} holds a panel of other settings ({name} differs); give another "
                    "--out, or the options it was made with"
                )
    elif folder.exists() and any(folder.iterdir()):
        raise BundleExists(f"{folder} holds other files, and no panel; give another --out")
    else:
        write_durably(path, text.encode())
    return hashlib.sha256(text.encode()).hexdigest()


def play(
    rounds: Callable[[int], Round],
    contestants: Sequence[Contestant],
    folder: Path,
    *,
    seeds: int,
    fingerprint: str,
    every: float | None = None,
) -> Outcome:
    """Let every contestant run with every seed, and keep each one's rows as they come.

    Rows of other contestants and seeds that an earlier call left in ``folder`` are part of it too.

    Args:
        rounds: makes the round of a seed.
        contestants: in this order; one whose rows are all there is passed over.
        folder: that `claim` made the panel's.
        seeds: 0 … seeds − 1.
        fingerprint: that `claim` returned; checkpoints of other settings are refused by it.
        every: least seconds between checkpoints, see `Journal`.

    Raises:
        BadData: the data of a seed has changed.
        BadBundle: a row is damaged.
        DashzooError: what the first contestant failed by, if none has any row.
    """
    kept: dict[tuple[int, str], Row] = {}
    left_out: dict[str, str] = {}
    failed: Exception | None = None
    for seed in range(seeds):
        round_ = rounds(seed)
        for contestant in contestants:
            if contestant.objection and (why := contestant.objection(round_.task)):
                left_out[contestant.name] = why
                continue
            there = {name: _row(folder, seed, name, round_) for name in contestant.rows}
            if None in there.values():
                work = folder / "unfinished" / f"{seed:03d}-{contestant.name}"
                reads = round_.task.test.reads
                try:
                    with Journal(work, fingerprint=fingerprint, every=every).active():
                        made = {row.contestant: row for row in contestant.run(round_)}
                except _ITS_OWN as error:
                    left_out[f"{contestant.name}, seed {seed}"] = str(error)
                    failed = failed or error
                    continue
                reads = round_.task.test.reads - reads
                for name in (name for name, row in there.items() if row is None):
                    told = replace(made[name], test_reads=reads).to_json()
                    text = json.dumps(told, indent=2, allow_nan=False) + "\n"
                    write_durably(_path(folder, seed, name), text.encode())
                there = {name: _row(folder, seed, name, round_) for name in contestant.rows}
                shutil.rmtree(work, ignore_errors=True)
            kept |= {(seed, name): row for name, row in there.items() if row is not None}
    for path in sorted((folder / "rows").glob("*.json")):
        number, _, name = path.stem.partition("-")
        if number.isdecimal() and (int(number), name) not in kept:
            row = _row(folder, int(number), name, round_)
            kept |= {(row.seed, row.contestant): row} if row is not None else {}
    if failed is not None and not kept:
        raise failed
    return Outcome(rows=tuple(sorted(kept.values(), key=_place)), left_out=left_out)


def _place(row: Row) -> tuple[int, int]:
    names = [name for contestant in CONTESTANTS for name in contestant.rows]
    return row.seed, names.index(row.contestant) if row.contestant in names else len(names)


def _row(folder: Path, seed: int, name: str, round_: Round) -> Row | None:
    """The row that is there."""
    path = _path(folder, seed, name)
    if not path.exists():
        return None
    try:
        row = Row.from_json(_read(path))
    except ValueError as error:  # ours are ValueErrors too
        raise BadBundle(f"{path} is damaged ({error}); delete it", field=path.name) from error
    if row.data != round_.task.sha256:
        raise BadData(
            f"The data of {round_.task.name} has changed since {path} was written; give another "
            "--out"
        )
    return row


def _path(folder: Path, seed: int, name: str) -> Path:
    return folder / "rows" / f"{seed:03d}-{name}.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadBundle(f"{path} is damaged ({error}); delete it", field=path.name) from error
    if not isinstance(value, dict):
        raise BadBundle(f"{path} must hold a JSON object; delete it", field=path.name)
    return value
