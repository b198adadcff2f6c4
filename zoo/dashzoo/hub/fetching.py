"""One commit of a bundle, from the Hub or the client's cache, held against its SHA256SUMS."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi, hf_hub_download, is_offline_mode, snapshot_download

from dashzoo.hub.failures import ask
from dashzoo.hub.names import HubName
from dashzoo_export.bundle import CONFIG, SIGNATURE, SUMS, WEIGHTS, sealed_files, sha256_file
from dashzoo_search.errors import BadBundle

__all__ = ["KINDS", "Fetched", "fetch"]

# What is neither data nor picture, a pickle or code, is never fetched.
KINDS = (".json", ".md", ".onnx", ".png", ".safetensors", ".svg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A bundle on this machine, and the commit all its files are of."""

    folder: Path
    commit: str
    files: tuple[str, ...]


def fetch(name: HubName) -> Fetched:
    """Bring a bundle here, as far as it is not; offline, what is here is taken.

    The revision is resolved once, so that every file is of one commit, and only files that the
    bundle's SHA256SUMS lists are fetched, and a signature, which `dashzoo.verify` checks.

    Raises:
        UnknownModel, NotFetched, HubFailed: see `ask`.
        BadBundle: a file is missing, is not what SHA256SUMS says, or is of a kind that is never
            fetched.
    """

    def once() -> Fetched:
        revision = HfApi().resolve_revision(
            name.repo, revision=name.revision, local_files_only=is_offline_mode()
        )
        listed = _listed(name, Path(hf_hub_download(name.repo, SUMS, revision=revision)))
        folder = Path(
            snapshot_download(
                name.repo,
                revision=revision,
                allow_patterns=[SUMS, SIGNATURE, *map(glob.escape, listed)],
            )
        )
        _check(name, folder, listed)
        return Fetched(folder=folder, commit=revision.resolved, files=tuple(sealed_files(folder)))

    return ask(once, name=name, again=f"dashzoo pull {name}")


def _listed(name: HubName, sums: Path) -> dict[str, str]:
    """Names and hashes of the bundle's files."""
    rows = (line.partition("  ") for line in sums.read_text(errors="replace").splitlines())
    listed = {file: digest for digest, _, file in rows}
    for file in listed:
        path = PurePosixPath(file)
        if path.suffix not in KINDS or path.is_absolute() or ".." in path.parts:
            raise BadBundle(
                f"{name} lists {file!r}, which is nothing dashzoo fetches; ask its authors for a "
                "bundle made by 'dashzoo publish'",
                field=file,
            )
    for file in (CONFIG, WEIGHTS):
        if file not in listed:
            raise BadBundle(f"{SUMS} of {name} lists no {file}; take another revision", field=file)
    return listed


def _check(name: HubName, folder: Path, listed: dict[str, str]) -> None:
    for file, digest in listed.items():
        path = folder / file
        if not path.is_file():
            raise BadBundle(f"{name} lacks {file}; take another revision", field=file)
        if sha256_file(path) != digest:
            raise BadBundle(
                f"{file} of {name} is not what its {SUMS} says; if it was damaged here, run "
                f"'hf cache rm model/{name.repo}' and 'dashzoo pull {name}'",
                field=file,
            )
