"""A bundle, told in one HTML file that stands beside it."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from dashzoo.catalogue import find
from dashzoo.steps.before import require
from dashzoo_cards.report.page import render_report
from dashzoo_export.bundle import EXPORT, RESULTS, SUMS, WORK, check_bundle, write_atomically
from dashzoo_search.errors import BadBundle, BadData, BundleExists

__all__ = ["report"]

_OURS = b'<meta name="generator" content="dashzoo">'
_HEAD = 4096
_SEARCH = f"{WORK}/search.json"


def report(name: str | PathLike[str], out: str | PathLike[str] | None = None) -> Path:
    """Write the report of a run: one HTML file that needs no network.

    Args:
        name: of the bundle, as `load` takes it; a run that was trained is enough, and what is
            missing is said.
        out: the file, outside the bundle; None takes ``<folder>.html`` beside a folder, and the
            working directory for a model from elsewhere. An earlier report is replaced.

    Returns:
        The file's path.

    Raises:
        BadBundle: there is no trained network yet, or a file is damaged.
        UnknownModel, NotFetched, HubFailed: as `find` raises them.
        BadData: ``out`` is in the bundle, or cannot be written.
        BundleExists: ``out`` is something else than a report.
    """
    _refuse_unfinished(Path(name))
    found = find(name)
    folder = found.folder
    require(folder, "train")
    whole = folder.resolve()
    if out is not None:
        path = Path(out)
    elif found.where == "folder":
        path = whole.with_name(f"{whole.name}.html")
    else:
        path = Path(f"{found.name.rsplit('/', 1)[-1]}.html")
    if path.resolve().is_relative_to(whole):
        raise BadData(f"A bundle holds no HTML, and {path} is in it; give an --out beside it")
    _refuse_others(path)
    try:
        check_bundle(folder)
        fault = None
    except BadBundle as error:
        fault = str(error)
        if not (folder / SUMS).is_file():
            fault = f"it has no {SUMS} yet, which 'dashzoo export' and 'dashzoo card' end in"
    page = render_report(folder, fault=fault)
    try:
        write_atomically(path, page.encode())
    except OSError as error:
        raise BadData(f"{path} cannot be written ({error.strerror}); give another --out") from error
    return path


def _refuse_unfinished(folder: Path) -> None:
    partial = folder.with_name(f"{folder.name}.partial") if folder.name else folder
    if folder.exists() or not partial.is_dir():
        return
    steps = {"search": _SEARCH, "train": RESULTS, "export": EXPORT, "card": SUMS}
    left = [step for step, file in steps.items() if not (partial / file).is_file()]
    raise BadBundle(
        f"{folder} is unfinished, and still lacks {', '.join(left) or 'its name'}; repeat the "
        "command that began it, which goes on from there",
        field=str(partial),
    )


def _refuse_others(path: Path) -> None:
    if path.is_file():
        with path.open("rb") as file:
            if _OURS in file.read(_HEAD):
                return
    if path.exists():
        raise BundleExists(f"{path} is there and no report of ours; give another --out")
