"""What a command that was stopped leaves beside its folder, and goes on from: ``OUT.partial``.

The whole work is done there, and takes its final name at the end, so ``OUT`` is never half a
result. ``OUT.partial/.resume`` holds the checkpoints, and what decides the results in
`identity.json`: the same command goes on from there, any other is refused, and a finished one
leaves none of it. Every step of the way may be the one at which the process is killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dashzoo_export.bundle import (
    SUMS,
    WORK,
    invalidate,
    read_json,
    refuse_overwrite,
    remove_halves,
)
from dashzoo_export.lock import locked
from dashzoo_search.errors import BadBundle, BundleExists
from dashzoo_search.training import world
from dashzoo_search.training.checkpoint import write_durably
from dashzoo_search.training.resume import Journal

__all__ = ["Unfinished", "is_being_placed", "tidy", "unfinished"]

RESUME = ".resume"

_IDENTITY = "identity.json"
_PLACING = "placing.json"
_LOCK = "lock"
_REST = {RESUME, f"{RESUME}/{_LOCK}", f"{RESUME}/{_IDENTITY}"}


class Unfinished:
    """Work in progress.

    Args:
        folder: ``OUT.partial``.
        journal: keeps the checkpoints.
        placing: whether the work was done, and only its final name was still missing.
    """

    def __init__(self, folder: Path, journal: Journal, *, placing: bool) -> None:
        self.folder, self.journal, self.placing = folder, journal, placing

    def mark_done(self, **facts: Any) -> None:
        """Note that only the final name is missing."""
        write_durably(self.folder / RESUME / _PLACING, json.dumps(facts).encode())

    def place(self, target: Path, *, force: bool) -> None:
        """Give the work its final name, or, where that folder exists, move the files into it.

        A mount point or a working directory cannot be renamed. SHA256SUMS leaves first and comes
        last; a kill in between is made up for by the next start.

        Raises:
            BundleExists: somebody put something else there in the meantime.
        """
        target = _absolute(target)
        if not os.path.lexists(target):
            self.mark_done(old=[])
            self.folder.rename(target)
            shutil.rmtree(target / RESUME)
            return
        if not (self.folder / RESUME / _PLACING).is_file():
            refuse_overwrite(target, force=force)
            self.mark_done(old=sorted(path.name for path in target.iterdir()))
        marked = read_json(self.folder / RESUME / _PLACING)
        invalidate(target, *map(str, marked["old"]))
        self.mark_done(old=[])  # from here on what lies in the target is new
        entries = [path for path in self.folder.iterdir() if path.name != RESUME]
        for entry in sorted(entries, key=lambda path: path.name == SUMS):
            invalidate(target, entry.name)  # the torn copy of an earlier start
            shutil.move(entry, target / entry.name)


@contextlib.contextmanager
def unfinished(
    target: Path, identity: Mapping[str, Any], *, fresh: bool, every: float | None
) -> Iterator[Unfinished]:
    """Begin or go on with the work that ends in ``target``.

    Args:
        target: where the result goes.
        identity: everything that decides the results, as plain JSON.
        fresh: throw away what an earlier command left unfinished.
        every: least seconds of work between two checkpoints.

    Raises:
        BundleExists: an unfinished command of another identity would be lost, or is running.
    """
    target = _absolute(target)
    folder = target.with_name(f"{target.name}.partial")
    plain = json.loads(json.dumps(identity))
    fingerprint = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    with contextlib.ExitStack() as stack:
        resumed, placing = world.by_first(
            lambda: (_open(folder, plain, fresh, stack), is_being_placed(target))
        )
        if resumed:
            world.by_first(lambda: remove_halves(target))
        journal = Journal(folder / RESUME, fingerprint=fingerprint, every=every, resumed=resumed)
        try:
            yield Unfinished(folder, journal, placing=placing)
        except BaseException as error:
            if not world.is_first():
                raise
            if _holds_work(folder):
                error.add_note(
                    f"What was done until then is kept in {folder}; the same command goes on "
                    "from there."
                )
            else:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        world.by_first(lambda: _remove(folder))


def is_being_placed(target: Path) -> bool:
    """Whether an earlier start was killed while it gave the finished work its name ``target``."""
    target = _absolute(target)
    return (target.with_name(f"{target.name}.partial") / RESUME / _PLACING).is_file()


def tidy(target: Path) -> None:
    """Remove what a kill at the very last moment left in or beside a finished ``target``."""
    target = _absolute(target)
    if (target / RESUME / _PLACING).is_file():
        shutil.rmtree(target / RESUME)
    partial = target.with_name(f"{target.name}.partial")
    left = {path.relative_to(partial).as_posix() for path in partial.rglob("*")}
    if RESUME in left and left <= _REST:
        # Unless somebody has just begun.
        with contextlib.suppress(BundleExists), locked(partial / RESUME / _LOCK):
            shutil.rmtree(partial, ignore_errors=True)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow links


def _open(folder: Path, identity: dict[str, Any], fresh: bool, stack: contextlib.ExitStack) -> int:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise BundleExists(f"{folder} is in the way; move it, or give another --out")
    (folder / RESUME).mkdir(parents=True, exist_ok=True)
    stack.enter_context(locked(folder / RESUME / _LOCK))
    held = _read_identity(folder)
    if fresh:
        _clear(folder)
    elif held is None:
        if others := sorted(path.name for path in folder.iterdir() if path.name != RESUME):
            raise BundleExists(
                f"{folder} is in the way and does not say what it was made from ({others[0]}); "
                "move it, or add --fresh to throw it away"
            )
        _clear(folder)
    elif not _holds_work(folder):
        _clear(folder)
    elif held["of"] != identity:
        raise BundleExists(
            f"{folder} holds an unfinished command that differs from this one in "
            f"{_difference(held['of'], identity)}; repeat that one, or add --fresh to throw it away"
        )
    else:
        for path in folder.rglob(".*"):  # halves of files that were being written
            if path.is_file():
                path.unlink()
        resumed = int(held["resumed"]) + 1
        _write_identity(folder, identity, resumed)
        return resumed
    _write_identity(folder, identity, 0)
    return 0


def _write_identity(folder: Path, identity: Mapping[str, Any], resumed: int) -> None:
    text = json.dumps({"resumed": resumed, "of": identity}, indent=2)
    write_durably(folder / RESUME / _IDENTITY, text.encode())


def _read_identity(folder: Path) -> dict[str, Any] | None:
    try:
        held = read_json(folder / RESUME / _IDENTITY)
    except BadBundle:
        return None
    fits = isinstance(held.get("of"), dict) and type(held.get("resumed")) is int
    return held if fits else None


def _holds_work(folder: Path) -> bool:
    resume = folder / RESUME
    done = (folder / WORK / "search.json", resume / _PLACING)
    return any(path.is_file() for path in done) or any(resume.rglob("*.safetensors"))


def _remove(folder: Path) -> None:
    """Remove the folder of a finished command; the mark that it is finished goes late."""
    if not folder.exists():
        return
    for path in (*folder.iterdir(), *(folder / RESUME).iterdir()):
        if path.name not in (RESUME, _IDENTITY, _PLACING, _LOCK):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / RESUME / _PLACING).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _clear(folder: Path) -> None:
    """Empty our folder but for the lock; others' files are refused."""
    for path in (folder / RESUME).iterdir():
        if path.name != _LOCK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    aside = folder.with_name(f".{folder.name}.lock")
    if aside.is_dir() and {path.name for path in aside.iterdir()} == {_LOCK}:
        with locked(aside / _LOCK):  # whoever was killed below
            shutil.rmtree(aside)
    if any(path.name != RESUME for path in folder.iterdir()):
        (folder / RESUME).rename(aside)  # it would count as another's file
        try:
            refuse_overwrite(folder, force=True)
            invalidate(folder, *(path.name for path in folder.iterdir()))
        finally:
            aside.rename(folder / RESUME)


def _difference(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    ours, theirs = _flat(wanted), _flat(held)
    keys = [k for k in sorted(ours | theirs) if ours.get(k) != theirs.get(k)]
    told = [f"{k} ({theirs.get(k)!r:.60} there, {ours.get(k)!r:.60} here)" for k in keys[:3]]
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(told) + more


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            flat.update(_flat(inner, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = inner
    return flat
