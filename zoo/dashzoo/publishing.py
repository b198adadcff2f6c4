"""Publish a bundle. Today that means to a folder; a Hub repository is the same set of files."""

from __future__ import annotations

import shutil
from os import PathLike
from pathlib import Path

from dashzoo.loading import load
from dashzoo_cards.render import check_card
from dashzoo_export.bundle import README, check_bundle
from dashzoo_export.draft import new_folder
from dashzoo_search.errors import BadBundle, BundleExists

__all__ = ["publish"]


def publish(
    folder: str | PathLike[str], dest: str | PathLike[str], *, force: bool = False
) -> list[str]:
    """Copy a bundle to ``dest`` after checking it; working files of the search stay behind.

    Args:
        folder: of the bundle.
        dest: a folder that is new or empty.
        force: replace a bundle that is there.

    Returns:
        Names of the files copied.

    Raises:
        BadBundle: the bundle is not whole, a file has changed, its card tells something else than
            its results, or its weights do not load.
        BundleExists: ``dest`` is in use, or overlaps with ``folder``.
    """
    source, target = Path(folder), Path(dest)
    names = check_bundle(source)
    here, there = source.resolve(), target.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise BundleExists(f"{target} and {source} overlap; publish to a folder of its own")
    if differences := check_card(source):
        raise BadBundle(
            f"The card is not true: {differences[0]}; run 'dashzoo card {source}'", field=README
        )
    load(source)
    with new_folder(target, force=force) as draft:
        for name in names:
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, draft / name)
        check_bundle(draft)
    return names
