"""Publish a bundle, to a folder or to a repository on the Hub, which is the same set of files."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from dashzoo.catalogue import is_folder_name
from dashzoo.hub.fetching import KINDS
from dashzoo.loading import load
from dashzoo.pulling import copy_bundle
from dashzoo_cards.exported import Check
from dashzoo_cards.facts import Facts, load_facts
from dashzoo_cards.metadata import card_data
from dashzoo_cards.render import check_card
from dashzoo_export.bundle import EXPORT, README, RESULTS, SIGNATURE, SUMS, check_bundle
from dashzoo_export.parity import TOLERANCES
from dashzoo_search.errors import BadBundle, BadData

__all__ = ["Published", "publish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was published, or would be.

    Attributes:
        dest: the folder, or ``org/name``.
        files: of the bundle.
        sent: those that were not there yet, or were others.
        removed: those that were there and are no longer of the bundle.
        bytes: of what was sent, at most.
        commit: the bundle is at; None in a folder, or where nothing was done.
        request: address of the pull request, where one was opened.
        created: whether the folder or repository is new.
        dry_run: nothing was written.
    """

    dest: str
    files: tuple[str, ...]
    sent: tuple[str, ...]
    removed: tuple[str, ...] = ()
    bytes: int
    commit: str | None = None
    request: str | None = None
    created: bool
    dry_run: bool


def publish(
    folder: str | PathLike[str],
    dest: str | PathLike[str],
    *,
    force: bool = False,
    private: bool = False,
    pr: bool = False,
    tag: str | None = None,
    message: str | None = None,
    dry_run: bool = False,
) -> Published:
    """Publish a bundle after checking it; working files of the search stay behind.

    A repository gets one commit, on top of the one that was looked at. One that exists is changed
    only where all its commits are dashzoo's and of the same task.

    Args:
        folder: of the bundle.
        dest: ``org/name`` on the Hub, or a folder that is new or empty: a path, or any other name.
            ``hf-hub:org/name`` and ``./org/name`` leave no doubt.
        force: replace a bundle that is there, in a folder.
        private: make the repository a private one.
        pr: open a pull request instead of changing the main branch.
        tag: to make at the commit.
        message: title of the commit.
        dry_run: check all, say what would be sent, and write nothing.

    Raises:
        BadBundle: the bundle is not whole, a file has changed, its card tells something else than
            its results, its certificate is beyond a tolerance, a licence is not stated, or its
            weights do not load.
        BadData: ``dest`` may be a folder or a repository, or options do not go with it.
        BundleExists: ``dest`` is in use by others, or overlaps with ``folder``.
        UnknownModel, HubFailed: there is no such repository, or the Hub refused or failed.
    """
    source = Path(folder)
    repo = _repository(dest)
    if repo is None and (private or pr or tag or message):
        raise BadData(f"{dest} is a folder, and private, pr, tag and message are for org/name")
    if repo is not None and force:
        raise BadData(f"{repo} is a repository, and force is for folders; leave it out")
    if pr and tag:
        raise BadData("A pull request has no commit to tag yet; add the tag once it is merged")
    files, facts = _checked(source)
    if repo is None:
        return _to_folder(source, Path(dest).expanduser(), files, force=force, dry_run=dry_run)
    from dashzoo.hub.pushing import Target, plan, push

    target = Target(
        repo=repo, message=message or f"Publish {facts.name}", private=private, pr=pr, tag=tag
    )
    pushed = None if dry_run else push(source, files, target)
    planned = plan(source, files, target) if pushed is None else pushed.plan
    return Published(
        dest=repo,
        files=tuple(files),
        sent=planned.sent,
        removed=planned.removed,
        bytes=planned.bytes,
        commit=None if pushed is None else pushed.commit,
        request=None if pushed is None else pushed.request,
        created=planned.parent is None,
        dry_run=dry_run,
    )


def _repository(dest: str | PathLike[str]) -> str | None:
    """``org/name``, or None for a folder."""
    if is_folder_name(dest):
        return None
    from dashzoo.hub.names import PREFIX, HubName

    name = HubName.parse(str(dest))
    if name is None:
        if str(dest).startswith(PREFIX):
            raise BadData(f"{dest} names no repository; give {PREFIX}org/name")
        return None
    if name.revision is not None:
        raise BadData(f"{dest} names a revision; publish to {name.repo}, with --tag for a tag")
    if Path(str(dest)).parent.is_dir():
        raise BadData(
            f"{dest} may be a folder or a repository; write ./{dest} or {PREFIX}{name.repo}"
        )
    return name.repo


def _to_folder(
    source: Path, target: Path, files: list[str], *, force: bool, dry_run: bool
) -> Published:
    created = not target.exists()
    if not dry_run:
        copy_bundle(source, target, files, force=force)
    return Published(
        dest=str(target),
        files=tuple(files),
        sent=tuple(files),
        bytes=sum((source / name).stat().st_size for name in files),
        created=created,
        dry_run=dry_run,
    )


def _checked(folder: Path) -> tuple[list[str], Facts]:
    """The files of a bundle that may be published, and what it tells."""
    files = check_bundle(folder)
    for name in files:
        if name not in (SUMS, SIGNATURE) and Path(name).suffix not in KINDS:
            raise BadBundle(
                f"{name} is nothing that is published ({', '.join(KINDS)} are); take it out of "
                f"{folder}, then run 'dashzoo card {folder}'",
                field=name,
            )
    if differences := check_card(folder):
        raise BadBundle(
            f"The card is not true: {differences[0]}; run 'dashzoo card {folder}'", field=README
        )
    facts = load_facts(folder)
    card_data(facts)  # its identifiers are ones the Hub knows
    if facts.config.license == "unknown":
        raise BadBundle(
            "The weights have no licence; state one in config.json, then run 'dashzoo card "
            f"{folder}'",
            field="config.json:pretrained_cfg.license",
        )
    if not facts.task.license.strip():
        raise BadBundle(
            f"{RESULTS} does not say under which licence the data are; train again with it",
            field=f"{RESULTS}:task.license",
        )
    _require_certificate(folder, facts)
    load(folder)
    return files, facts


def _require_certificate(folder: Path, facts: Facts) -> None:
    """The recorded certificate, by the tolerances of this dashzoo; `verify` would repeat it."""
    checks = () if facts.export is None else facts.export.checks
    graphs = {} if facts.export is None else facts.export.graphs
    proved = {check.form for check in checks}
    for name, graph in graphs.items():
        if graph.precision not in proved:
            raise BadBundle(
                f"No certificate covers {name}; run 'dashzoo export {folder}' again", field=EXPORT
            )
    for check in checks:
        if not _within(check):
            raise BadBundle(
                f"The certificate says that {check.form} is {check.relative_to_max:.1e} of the "
                f"largest output off, beyond its tolerance; run 'dashzoo export {folder}' again",
                field=EXPORT,
            )


def _within(check: Check) -> bool:
    tolerance = TOLERANCES.get(check.form, TOLERANCES["fp32"])
    alike = 1.0 if check.agree is None or not check.of else check.agree / check.of
    return (
        check.relative_to_max <= tolerance.largest
        and check.relative_mean <= tolerance.mean
        and alike >= tolerance.agreement
    )
