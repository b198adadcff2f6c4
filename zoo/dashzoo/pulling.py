"""A model by name as a folder of files, where it lies or as a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from dashzoo.catalogue import Found, catalogue, find
from dashzoo_export.bundle import check_bundle, sealed_files
from dashzoo_export.draft import new_folder
from dashzoo_search.errors import BundleExists

__all__ = ["copy_bundle", "list_models", "pull", "take_files"]


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models on the shelf, and of those that its record tells of.

    Args:
        pattern: with ``*``, ``?`` and ``[…]``.

    Raises:
        BadBundle: the shelf's record is damaged.
    """
    return [entry.name for entry in catalogue(pattern)]


def pull(
    name: str | PathLike[str], to: str | PathLike[str] | None = None, *, force: bool = False
) -> Path:
    """Fetch one commit of a model, check it, and keep it for use offline.

    Args:
        name: of the shelf, a folder, or ``org/name@revision``.
        to: a folder to copy it to.
        force: replace a bundle that is there.

    Returns:
        The folder it is in.

    Raises:
        UnknownModel, NotFetched, HubFailed: see `load`.
        BadBundle: it is not whole.
        BundleExists: ``to`` is in use.
    """
    _, folder, _ = take_files(name, to, force=force)
    return folder


def take_files(
    name: str | PathLike[str], to: str | PathLike[str] | None, *, force: bool
) -> tuple[Found, Path, list[str]]:
    """What `pull` does; also where the model was found, and the names of its files."""
    found = find(name)
    files = sealed_files(found.folder)
    if to is None:
        return found, found.folder, files
    copy_bundle(found.folder, Path(to), files, force=force)
    return found, Path(to), files


def copy_bundle(source: Path, target: Path, files: Iterable[str], *, force: bool) -> None:
    """Copy the files of a bundle to a folder that appears whole or not at all.

    Raises:
        BundleExists: ``target`` is in use, or overlaps with ``source``.
        BadBundle: the copy is not a whole bundle.
    """
    here, there = source.resolve(), target.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise BundleExists(f"{target} and {source} overlap; give a folder of its own")
    with new_folder(target, force=force) as draft:
        for name in files:
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, draft / name)
        check_bundle(draft)
