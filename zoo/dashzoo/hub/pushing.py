"""A checked bundle to a repository, in one commit or none.

Whose a repository is, is read off it: every commit since the first has `MARK` in its title, which
a merged pull request keeps, and config.json names the task of ours. A commit names the one it was
planned on, so that what somebody else does meanwhile is never lost. What was uploaded before a
line broke is not sent again; until the commit nobody sees any of it.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    ModelInfo,
    hf_hub_download,
)
from huggingface_hub.errors import RepositoryNotFoundError

from dashzoo import __version__
from dashzoo.hub.failures import ask
from dashzoo.hub.names import HubName
from dashzoo_export.bundle import CONFIG, SUMS, read_json, sha256_file
from dashzoo_search.errors import BadBundle, BundleExists, UnknownModel

__all__ = ["MARK", "Plan", "Pushed", "Target", "plan", "push"]

MARK = "[dashzoo]"
_HUBS_OWN = {".gitattributes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a bundle is to go, and how.

    Attributes:
        repo: ``org/name``.
        private: whether the repository is to be private.
        pr: as a pull request, to which the repository may be anybody's.
        tag: to make at the commit; None for none.
        message: title of the commit.
    """

    repo: str
    message: str
    private: bool = False
    pr: bool = False
    tag: str | None = None

    def command(self, folder: Path) -> str:
        """The command that does it."""
        words = ["dashzoo", "publish", str(folder), self.repo, "--message", self.message]
        words += ["--private"] * self.private + ["--pr"] * self.pr
        return shlex.join([*words, *(("--tag", self.tag) if self.tag else ())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a push would do.

    Attributes:
        parent: the commit it starts from; None where the repository is to be made.
        sent: files of the bundle that are new or differ.
        removed: files of ours that the bundle no longer has.
        bytes: of what is sent, at most; what the Hub has already is not sent again.
    """

    parent: str | None
    sent: tuple[str, ...]
    removed: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a push did: the plan, the commit the bundle is at, and its pull request, if any."""

    plan: Plan
    commit: str
    request: str | None


def plan(folder: Path, files: list[str], target: Target) -> Plan:
    """Look at the repository, and say what a push would do; nothing is written.

    Args:
        folder: of the bundle.
        files: of it, SHA256SUMS included.
        target: where it is to go.

    Raises:
        BundleExists: the repository is not ours to change, or not private, or has that tag.
        UnknownModel: there is none to open a pull request against.
        HubFailed: see `ask`.
    """
    return ask(
        lambda: _plan(HfApi(), folder, files, target),
        name=HubName(repo=target.repo),
        again=target.command(folder),
    )


def push(folder: Path, files: list[str], target: Target) -> Pushed:
    """Make the repository hold exactly the bundle.

    Args:
        folder, files, target: as `plan` has them.

    Raises:
        BundleExists, UnknownModel, HubFailed: as `plan`, or somebody changed the repository
            meanwhile.
    """

    def once() -> Pushed:
        api = HfApi()
        planned = _plan(api, folder, files, target)
        if planned.parent is None:
            api.create_repo(target.repo, private=target.private)
        done = _commit(api, folder, planned, target)
        if target.tag is not None and target.tag not in _tags(api, target.repo):
            api.create_tag(target.repo, tag=target.tag, revision=done.commit)
        return done

    # All of it may be done twice but opening a pull request: the second time finds the first's.
    return ask(
        once,
        name=HubName(repo=target.repo),
        again=target.command(folder),
        repeat=not target.pr,
    )


def _plan(api: HfApi, folder: Path, files: list[str], target: Target) -> Plan:
    repo = target.repo
    try:
        info = api.model_info(repo)
    except RepositoryNotFoundError as error:
        if error.response.status_code == 401:  # a stranger is not told what does not exist
            raise
        if target.pr:
            raise UnknownModel(
                f"There is no {repo} to open a pull request against; leave out --pr to make it"
            ) from error
        return Plan(parent=None, sent=tuple(files), removed=(), bytes=_size(folder, files))
    if target.private and not info.private:
        raise BundleExists(
            f"{repo} exists and is public; run 'hf repos settings {repo} --private' first, or "
            "leave out --private"
        )
    found = api.verify_repo_checksums(repo, revision=info.sha, local_dir=folder)
    differing = {row["path"] for row in found.mismatches} | set(found.extra_paths)
    sent = [name for name in files if name in differing]
    theirs = {row.rfilename for row in info.siblings or ()} - _HUBS_OWN
    ours = not theirs or _is_ours(api, info, folder)
    if not ours and not target.pr:
        raise BundleExists(
            f"{repo} holds work that is not this model's; publish under another name, or add --pr "
            "to propose yours to its owners"
        )
    held = _tags(api, repo).get(target.tag) if target.tag else None
    if held is not None and (sent or held != info.sha):
        raise BundleExists(f"{repo} has a tag {target.tag} already; give another --tag")
    removed = sorted(theirs - set(files)) if ours else []
    return Plan(
        parent=info.sha, sent=tuple(sent), removed=tuple(removed), bytes=_size(folder, sent)
    )


def _is_ours(api: HfApi, info: ModelInfo, folder: Path) -> bool:
    """Whether dashzoo made every commit since the first, for the task of this bundle."""
    since = api.list_repo_commits(info.id, revision=info.sha)[:-1]
    if not since or not all(MARK in commit.title for commit in since):
        return False
    there = Path(hf_hub_download(info.id, CONFIG, revision=info.sha))
    return _task(there) == _task(folder / CONFIG)


def _task(config: Path) -> object:
    try:
        told = read_json(config).get("dashzoo")
    except BadBundle:
        return None
    return told.get("task") if isinstance(told, dict) else None


def _commit(api: HfApi, folder: Path, planned: Plan, target: Target) -> Pushed:
    parent = planned.parent or api.model_info(target.repo).sha
    if not planned.sent and not planned.removed:
        return Pushed(plan=planned, commit=str(parent), request=None)
    made = api.create_commit(
        target.repo,
        [
            *(CommitOperationAdd(name, folder / name) for name in planned.sent),
            *(CommitOperationDelete(name, is_folder=False) for name in planned.removed),
        ],
        commit_message=f"{target.message} {MARK}",
        commit_description=f"dashzoo {__version__}, {SUMS} {sha256_file(folder / SUMS)}",
        parent_commit=parent,
        create_pr=target.pr,
    )
    return Pushed(plan=planned, commit=made.oid, request=made.pr_url)


def _tags(api: HfApi, repo: str) -> dict[str, str]:
    return {tag.name: tag.target_commit for tag in api.list_repo_refs(repo).tags}


def _size(folder: Path, names: list[str]) -> int:
    return sum((folder / name).stat().st_size for name in names)
