"""What models there are, and where a name leads: to the shelf, to a folder, or to the Hub.

The shelf is the folder of bundles that come with dashzoo, or DASHZOO_SHELF; its record (`releases`)
says where they were published, and one that is missing is fetched from there. A path, or a name
that starts with a dot, a slash or a tilde, is a folder; one that starts with ``hf-hub:`` is on the
Hub; any other name is looked for on the shelf first, then among folders, then on the Hub.
"""

from __future__ import annotations

import fnmatch
import logging
import os
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

from dashzoo.releases import RECORD, Release, read_releases
from dashzoo_export.bundle import SUMS, sha256_file
from dashzoo_search.errors import BadBundle, BadData, UnknownModel

__all__ = ["Entry", "Found", "bundles", "catalogue", "find", "is_folder_name", "shelf"]

logger = logging.getLogger(__name__)

Where = Literal["shelf", "folder", "hub"]

_SHELF = "DASHZOO_SHELF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A bundle on this machine.

    Attributes:
        name: as it was asked for.
        where: it was found.
        folder: of the bundle.
        commit: of the repository; None where it is from none.
    """

    name: str
    where: Where
    folder: Path
    commit: str | None = None

    def own(self) -> Path:
        """The folder, to write into.

        Raises:
            BadData: it is the shelf's, or the Hub's.
        """
        if self.where != "folder":
            raise BadData(
                f"{self}, is not to be changed; give export an --out of its own, or write "
                f"./{self.name} where a folder is meant"
            )
        return self.folder

    def __str__(self) -> str:
        at = f" at {self.commit[:12]}" if self.commit else ""
        return f"{self.name}, {_PLACES[self.where]}{at}"


_PLACES = {"shelf": "from the shelf", "folder": "a folder", "hub": "from the Hub"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the catalogue; what a model does not tell is None.

    Attributes:
        name: by which `find` finds it.
        where: it is.
        task: what it was trained on.
        kind, dims, channels, size: of that.
        metric, value: on the test split.
        percent: whether that is a share, written in percent.
        default: the same of the backbone's default kernels.
        best, best_by: the best that others published, and their method.
        parameters: numbers of the network.
        latency_ms: of its ONNX model on one sample; see `dashzoo bench --save`.
        commit: of the repository's main branch.
        fault: why a bundle of the shelf cannot be read.
    """

    name: str
    where: Where
    task: str | None = None
    kind: str | None = None
    dims: int | None = None
    channels: int | None = None
    size: tuple[int, ...] | None = None
    metric: str | None = None
    value: float | None = None
    percent: bool = False
    default: float | None = None
    best: float | None = None
    best_by: str | None = None
    parameters: int | None = None
    latency_ms: float | None = None
    commit: str | None = None
    fault: str | None = None


def shelf() -> Path:
    """The folder of bundles that come with dashzoo; it need not exist."""
    return Path(os.environ.get(_SHELF) or Path(__file__).parent / "shelf")


def bundles(folder: Path | None = None) -> list[Path]:
    """The bundles in ``folder``, or None: those of the shelf, sorted; unfinished runs are none."""
    found = (path.parent for path in (folder or shelf()).glob("*/config.json"))
    return sorted(folder for folder in found if folder.suffix != ".partial")


def catalogue(pattern: str = "*", *, remote: bool = False) -> list[Entry]:
    """Models whose names match: those of the shelf, those its record tells of, those of the Hub.

    Args:
        pattern: with ``*``, ``?`` and ``[…]``; without ``/`` it is held against the part of a
            repository's name behind it, too.
        remote: also ask the Hub for what carries our tag.

    Raises:
        BadBundle: the shelf's record is damaged.
        HubFailed: the Hub refused, failed, or could not be reached.
    """
    entries = [_on_shelf(folder) for folder in bundles()]
    here = {entry.name for entry in entries}
    entries += [
        Entry(name=release.name, where="hub", commit=release.commit)
        for release in read_releases(shelf()).values()
        if release.name not in here
    ]
    if remote:
        from dashzoo.hub.listing import published

        entries += [
            Entry(
                name=model.name,
                where="hub",
                task=model.task,
                metric=model.metric,
                value=model.value,
                commit=model.commit,
            )
            for model in sorted(published(), key=lambda model: model.name)
        ]
    return [entry for entry in entries if _matches(entry.name, pattern)]


def find(name: str | PathLike[str]) -> Found:
    """The bundle a name leads to, fetched if it has to be; which one was taken is logged.

    Args:
        name: of the shelf, a folder, or ``org/name@revision``.

    Raises:
        UnknownModel: there is nothing of that name.
        NotFetched: it is not on this machine, and the Hub is out of reach.
        HubFailed: the Hub refused or failed.
        BadBundle: what the Hub has is no whole bundle.
    """
    found = _find(name)
    logger.info("Taking %s", found)
    return found


def is_folder_name(name: str | PathLike[str]) -> bool:
    """Whether it can be meant for nothing but a folder."""
    return isinstance(name, PathLike) or name.startswith((".", "/", "~", os.sep))


def _find(name: str | PathLike[str]) -> Found:
    if is_folder_name(name):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise BadBundle(f"{folder} is no folder; give a bundle", field=str(folder))
        return Found(name=str(name), where="folder", folder=folder)
    name = str(name)
    if name in {folder.name for folder in bundles()}:
        return Found(name=name, where="shelf", folder=shelf() / name)
    if (release := read_releases(shelf()).get(name)) is not None:
        return _released(release)
    if name and Path(name).is_dir():
        return Found(name=name, where="folder", folder=Path(name))
    from dashzoo.hub.names import HubName

    hub = HubName.parse(name)
    if hub is None:
        raise UnknownModel(
            f"{name!r} is on no shelf, is no folder and no org/name; run 'dashzoo list' for what "
            "there is"
        )
    from dashzoo.hub.fetching import fetch

    fetched = fetch(hub)
    return Found(name=str(hub), where="hub", folder=fetched.folder, commit=fetched.commit)


def _released(release: Release) -> Found:
    from dashzoo.hub.fetching import fetch
    from dashzoo.hub.names import HubName

    fetched = fetch(HubName(repo=release.repo, revision=release.commit))
    if release.sums != sha256_file(fetched.folder / SUMS):
        raise BadBundle(
            f"{release.repo} at {release.commit} is not what the shelf's {RECORD} says of "
            f"{release.name}; publish it again",
            field=RECORD,
        )
    return Found(name=release.name, where="hub", folder=fetched.folder, commit=fetched.commit)


def _on_shelf(folder: Path) -> Entry:
    from dashzoo_cards.facts import load_facts

    try:
        facts = load_facts(folder, files=False)
    except BadBundle as error:
        return Entry(name=folder.name, where="shelf", fault=str(error))
    task, metric, best = facts.task, facts.objective.metric, facts.best_published
    latency = facts.export.latency if facts.export else None
    return Entry(
        name=folder.name,
        where="shelf",
        task=task.name,
        kind=task.kind,
        dims=task.dims,
        channels=task.channels,
        size=task.size,
        metric=metric.name,
        value=facts.network.test.value,
        percent=metric.percent,
        default=facts.default.test.value if facts.default else None,
        best=best.value if best else None,
        best_by=best.method if best else None,
        parameters=facts.network.parameters,
        latency_ms=latency.median_ms if latency else None,
    )


def _matches(name: str, pattern: str) -> bool:
    names = (name,) if "/" in pattern else (name, name.rpartition("/")[2])
    return any(fnmatch.fnmatchcase(each, pattern) for each in names)
