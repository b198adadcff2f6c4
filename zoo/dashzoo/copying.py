"""A bundle from one folder to another."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from dashzoo_export.bundle import check_bundle
from dashzoo_export.draft import new_folder
from dashzoo_search.errors import BundleExists

__all__ = ["copy_bundle"]


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
