"""Write the gallery: an index that can be filtered, and a page a model with its card and figures.

```
OUT/index.html               the models, as a list that a script filters where there is one
OUT/NAME/index.html          a model's card, and the lines that load it
OUT/NAME/report.html         its report, see `dashzoo_cards.report`
OUT/NAME/kernels.svg         its kernels in one small picture
OUT/NAME/figures/*.png       the figures of the card
OUT/gallery.json             names of all these files, and what could not be read
```

Links are relative, each page holds its own style and script, and nothing is fetched from
elsewhere, so any host that serves files will do, or none. What a bundle says is escaped, and of
its files none but pictures are copied.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dashzoo_cards.facts import Facts, load_facts
from dashzoo_cards.gallery.model import Model
from dashzoo_cards.gallery.prose import LONGEST, card_html
from dashzoo_cards.html.pages import drawing_style, environment
from dashzoo_cards.markdown import slug
from dashzoo_cards.page import render_card
from dashzoo_cards.report.page import render_report
from dashzoo_cards.report.record import load_record
from dashzoo_export.bundle import README, check_bundle, read_json, write_atomically, write_json
from dashzoo_search.errors import BadBundle, BundleExists

__all__ = ["INDEX", "KERNELS", "Site", "write_gallery"]

INDEX = "index.html"
REPORT = "report.html"
KERNELS = "kernels.svg"
RECORD = "gallery.json"

_PNG = b"\x89PNG\r\n\x1a\n"
_FIGURE = re.compile(r"[A-Za-z0-9_-]+\.png")
_MOST_BYTES = 20 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A gallery that was written.

    Attributes:
        folder: of it.
        models: names of those that are shown.
        faults: why others are not, by name.
        files: all that was written, by relative name.
    """

    folder: Path
    models: tuple[str, ...]
    faults: Mapping[str, str]
    files: tuple[str, ...]


def write_gallery(
    bundles: Iterable[Path],
    out: Path,
    *,
    title: str = "Model gallery",
    repos: Mapping[str, str] | None = None,
    version: str = "",
    force: bool = False,
) -> Site:
    """Write the gallery of some bundles.

    Args:
        bundles: their folders; one that cannot be read is named, with the reason.
        out: a new or empty folder; with ``force`` a gallery of ours, whose files are replaced
            while others beside them stay.
        title: of the index.
        repos: from a folder's name to ``org/name``, of models that were published.
        version: of dashzoo, for the foot of the pages.
        force: replace a gallery that is there.

    Raises:
        BundleExists: there is something in ``out``.
        BadBundle: none of the bundles can be read.
    """
    old = _old_files(out, force=force)
    models: list[Model] = []
    faults: dict[str, str] = {}
    folders: dict[str, Path] = {}
    for folder in bundles:
        try:
            facts = load_facts(folder)
            load_record(folder, kind=facts.task.kind, names=len(facts.task.classes))
        except BadBundle as error:
            faults[folder.name] = str(error)
            continue
        name = _free(slug(folder.name), folders)
        folders[name] = folder
        repo = (repos or {}).get(folder.name)
        models.append(
            Model(name=folder.name, slug=name, repo=repo, fault=_fault(folder), facts=facts)
        )
    if not models:
        reason = next(iter(faults.values()), "there is no bundle")
        raise BadBundle(f"There is nothing to show: {reason}", field=str(out))
    pages = environment("gallery")
    told = {"title": title, "version": version or "of an unknown version"}
    files: list[str] = []
    for model in models:
        pictures = _copy_figures(folders[model.slug], out / model.slug)
        card = card_html(_card(folders[model.slug], model.facts), pictures)
        page = pages.get_template("model.html.j2").render(**told, model=model, card=card)
        _write(out / model.slug / INDEX, page)
        _write(out / model.slug / REPORT, render_report(folders[model.slug], fault=model.fault))
        _write(out / model.slug / KERNELS, model.picture.file(drawing_style()))
        files += [f"{model.slug}/{name}" for name in (*pictures, KERNELS, REPORT, INDEX)]
    index = pages.get_template("index.html.j2").render(
        **told,
        models=models,
        kinds=sorted({model.kind for model in models}),
        faults=sorted(faults.items()),
    )
    _write(out / INDEX, index)
    files += [INDEX, RECORD]
    _remove(out, old - set(files))
    names = tuple(model.name for model in models)
    write_json(out / RECORD, {"files": sorted(files), "models": list(names), "faults": faults})
    return Site(folder=out, models=names, faults=faults, files=tuple(sorted(files)))


def _old_files(out: Path, *, force: bool) -> set[str]:
    """What an earlier gallery wrote there."""
    if out.exists() and not out.is_dir():
        raise BundleExists(f"{out} is no folder; give another --out")
    if not out.exists() or not any(out.iterdir()):
        return set()
    if not (out / RECORD).is_file():
        raise BundleExists(f"{out} holds other files; give an empty or new folder as --out")
    if not force:
        raise BundleExists(f"{out} already holds a gallery; give another --out, or --force")
    listed = read_json(out / RECORD).get("files")
    names = (
        {name for name in listed if isinstance(name, str)} if isinstance(listed, list) else set()
    )
    return {name for name in names if _is_inside(name)}


def _remove(out: Path, names: Iterable[str]) -> None:
    for name in names:
        path = out / name
        path.unlink(missing_ok=True)
        for parent in path.relative_to(out).parents:
            if parent != Path() and (out / parent).is_dir() and not any((out / parent).iterdir()):
                (out / parent).rmdir()


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _free(name: str, taken: Iterable[str]) -> str:
    """``name``, or with a number behind it, whatever the case of letters."""
    known = {other.lower() for other in taken} | {"index.html", RECORD}
    free, number = name, 2
    while free.lower() in known:
        free, number = f"{name}-{number}", number + 1
    return free


def _copy_figures(bundle: Path, target: Path) -> list[str]:
    """The PNG pictures of a bundle, by their names in it; only what looks like one is taken."""
    copied = []
    for path in sorted((bundle / "figures").glob("*.png")):
        if (
            not _FIGURE.fullmatch(path.name)
            or not path.is_file()
            or path.is_symlink()
            or path.stat().st_size > _MOST_BYTES
        ):
            continue
        with path.open("rb") as file:
            if file.read(len(_PNG)) != _PNG:
                continue
        (target / "figures").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / "figures" / path.name)
        copied.append(f"figures/{path.name}")
    return copied


def _fault(bundle: Path) -> str | None:
    try:
        check_bundle(bundle)
    except BadBundle as error:
        return str(error)
    return None


def _card(bundle: Path, facts: Facts) -> str:
    """The card as it lies in the bundle; or as it would be written."""
    path = bundle / README
    if not path.is_file():
        return render_card(facts)
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(LONGEST)


def _write(path: Path, text: str) -> None:
    write_atomically(path, text.encode("utf-8", errors="replace"))
