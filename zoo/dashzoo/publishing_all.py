"""Publish the whole shelf to the Hub, model by model, and keep a record of where each one is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

from dashzoo.catalogue import bundles, shelf
from dashzoo.hub.names import PREFIX, HubName
from dashzoo.publishing import publish
from dashzoo.releases import RECORD, Release, read_releases, write_releases
from dashzoo_export.bundle import SUMS, sha256_file
from dashzoo_search.errors import BadData, DashzooError

__all__ = ["Attempt", "publish_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of one model.

    Attributes:
        name: of the model.
        repo: it goes to.
        outcome: ``"published"``, ``"unchanged"`` where the repository held it already,
            ``"planned"`` in a dry run, or ``"failed"``.
        commit: it is at.
        sent: files that were new or others.
        bytes: of them, at most.
        reason: why it failed.
    """

    name: str
    repo: str
    outcome: Literal["published", "unchanged", "planned", "failed"]
    commit: str | None = None
    sent: int = 0
    bytes: int = 0
    reason: str | None = None


def publish_all(
    org: str,
    *,
    private: bool = False,
    dry_run: bool = False,
    record: str | PathLike[str] | None = None,
    on_model: Callable[[Attempt], None] = lambda _: None,
) -> list[Attempt]:
    """Publish every model of the shelf as ``org/name``; see `publish`.

    A model that fails does not keep the others from their turn. Whatever was stopped goes on when
    it is called again: what a repository holds already is not sent, and makes no commit.

    Args:
        org: that the repositories belong to.
        private: make new repositories private ones.
        dry_run: check all, say what would be sent, and write nothing.
        record: file that is told of each model once it is there, see `releases`; None takes
            published.json on the shelf itself, by which its names are found.
        on_model: told after each.

    Raises:
        BadData: no such name can be, or the shelf is empty.
        BadBundle: the record is damaged.
        OSError: the record cannot be written.
    """
    if HubName.parse(f"{org}/model") != HubName(repo=f"{org}/model"):
        raise BadData(f"{org!r} cannot be the name of an organisation or a user; give one")
    folders = bundles()
    if not folders:
        raise BadData(f"There is no model in {shelf()}; set DASHZOO_SHELF to a folder of bundles")
    path = Path(record) if record is not None else shelf() / RECORD
    releases = read_releases(path.parent, path.name)
    attempts = []
    for folder in folders:
        attempt = _publish(folder, f"{org}/{folder.name}", private=private, dry_run=dry_run)
        if attempt.commit is not None:
            releases[folder.name] = Release(
                name=folder.name,
                repo=attempt.repo,
                commit=attempt.commit,
                sums=sha256_file(folder / SUMS),
            )
            write_releases(path, releases)
        attempts.append(attempt)
        on_model(attempt)
    return attempts


def _publish(folder: Path, repo: str, *, private: bool, dry_run: bool) -> Attempt:
    try:
        done = publish(folder, f"{PREFIX}{repo}", private=private, dry_run=dry_run)
    except (DashzooError, OSError) as error:
        reason = " ".join(str(error).split())
        return Attempt(name=folder.name, repo=repo, outcome="failed", reason=reason)
    changed = bool(done.sent or done.removed)
    return Attempt(
        name=folder.name,
        repo=repo,
        outcome="unchanged" if not changed else "planned" if dry_run else "published",
        commit=done.commit,
        sent=len(done.sent),
        bytes=done.bytes,
    )
