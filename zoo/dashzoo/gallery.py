"""The gallery of a shelf; see `dashzoo_cards.gallery`."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from dashzoo import __version__
from dashzoo.catalogue import bundles
from dashzoo.catalogue import shelf as the_shelf
from dashzoo.releases import read_releases
from dashzoo_cards.gallery.site import Site, write_gallery
from dashzoo_export.bundle import SUMS, sha256_file
from dashzoo_search.errors import BadBundle

__all__ = ["gallery"]


def gallery(
    out: str | PathLike[str],
    *,
    shelf: str | PathLike[str] | None = None,
    title: str = "Model gallery",
    force: bool = False,
) -> Site:
    """Make a static site of a shelf.

    A model that was published as it is on the shelf (see `releases`) is loaded by its repository.

    Args:
        out: folder of the site; new, empty, or with ``force`` an older gallery.
        shelf: a folder of bundles; None takes that of dashzoo.
        title: of the index.
        force: replace a gallery that is there.

    Raises:
        BadBundle: there is no bundle that can be read, or the record of releases is damaged.
        BundleExists: something else is in ``out``.
    """
    folder = Path(shelf) if shelf is not None else the_shelf()
    found = bundles(folder)
    if not found:
        raise BadBundle(f"There is no bundle in {folder}; give a folder of bundles", field="shelf")
    repos = {
        name: release.repo
        for name, release in read_releases(folder).items()
        if (folder / name / SUMS).is_file() and sha256_file(folder / name / SUMS) == release.sums
    }
    return write_gallery(
        found, Path(out), title=title, repos=repos, version=__version__, force=force
    )
