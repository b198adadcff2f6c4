"""Repositories: commits, branches, tags and pull requests, with ids that look like git's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .replies import Refusal

ATTRIBUTES = b"".join(
    f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n".encode()
    for suffix in ("onnx", "safetensors", "bin", "png", "pt", "pkl")
)


@dataclass(frozen=True)
class Blob:
    """A file: its content, or the sha256 and size of a large one."""

    data: bytes
    size: int
    sha256: str | None = None  # of a large file, whose data is then the pointer

    @property
    def oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()

    @classmethod
    def regular(cls, data: bytes) -> Blob:
        return cls(data, len(data))

    @classmethod
    def large(cls, sha256: str, size: int) -> Blob:
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        return cls(pointer.encode(), size, sha256)


@dataclass(frozen=True)
class Commit:
    """A state of all files, and what it came from."""

    oid: str
    parent: str | None
    title: str
    message: str
    date: str
    tree: dict[str, Blob]


@dataclass
class Discussion:
    """A pull request."""

    num: int
    title: str
    description: str
    status: str = "draft"
    date: str = ""


@dataclass
class Repository:
    """A model repository."""

    name: str
    private: bool = False
    gated: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    discussions: list[Discussion] = field(default_factory=list)
    downloads: int = 0

    def __post_init__(self) -> None:
        self.created = now()
        self.commit(
            "refs/heads/main", "initial commit", "", {".gitattributes": Blob.regular(ATTRIBUTES)}
        )

    def commit(self, ref: str, title: str, message: str, tree: dict[str, Blob]) -> Commit:
        """Move ``ref`` to a new commit of ``tree``."""
        parent = self.refs.get(ref)
        text = f"{parent}{title}{message}{sorted((p, b.oid) for p, b in tree.items())}"
        oid = hashlib.sha1(f"{self.name}{len(self.commits)}{text}".encode()).hexdigest()
        made = Commit(oid, parent, title, message, now(), dict(tree))
        self.commits[oid] = made
        self.refs[ref] = oid
        return made

    def ref(self, revision: str) -> str:
        """The full name of a branch, tag or pull request."""
        for ref in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if ref in self.refs:
                return ref
        raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def at(self, revision: str) -> Commit:
        """The commit a revision names."""
        if revision in self.commits:
            return self.commits[revision]
        return self.commits[self.refs[self.ref(revision)]]

    def history(self, revision: str) -> list[Commit]:
        """Commits from the newest back."""
        found = [self.at(revision)]
        while found[-1].parent is not None:
            found.append(self.commits[found[-1].parent])
        return found

    @property
    def head(self) -> Commit:
        return self.at("main")


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
