"""A folder of images by class: ``class/*.png``; or so in ``train``, ``test`` and ``val``.

What an archive or a file manager leaves beside them (``.DS_Store``, ``._1.png``, ``__MACOSX``) is
passed over.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.rows import Array
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.readers.bounds import check_room
from dashzoo_search.tasks.readers.pixels import is_gray, read_pixels, upright_size

__all__ = ["is_image_folder", "read_images"]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})
MOST_PIXELS = 2**26

_PARTS = {"train": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}


def is_image_folder(folder: Path) -> bool:
    """Whether a folder inside ``folder``, or inside its ``train``, holds an image."""
    parts = [f for f in _folders(folder) if _PARTS.get(f.name.lower()) == "train"]
    return any(
        _is_image(path)
        for part in (folder, *parts)
        for inside in _folders(part)
        for path in inside.iterdir()
    )


def read_images(folder: Path, options: DataOptions) -> dict[str, Array]:
    """Read every image, as one channel where all are grey, else as red, green and blue in [0, 1].

    Raises:
        BadData: naming the folder without an image, or the image that does not decode or is of
            another size.
        MissingRuntime: Pillow is not installed.
    """
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise MissingRuntime("Pillow", "data") from error
    parts: dict[str, Path] = {}
    for inside in _folders(folder):
        if (part := _PARTS.get(inside.name.lower())) is None:
            continue
        if part in parts:
            raise BadData(
                f"{folder.name} has the folders {parts[part].name} and {inside.name} for one "
                "split; put them together"
            )
        parts[part] = inside
    if "train" in parts and "test" not in parts:
        raise BadData(f"{folder.name} has a folder train but none for test; add one")
    if "train" not in parts:
        parts = {"": folder}
    listed = {part: _by_class(inside) for part, inside in parts.items()}
    files = [file for of in listed.values() for file, _ in of]
    size, channels = _shape(files, options)
    check_room([len(files), channels, *size], 4, folder.name)
    arrays: dict[str, Array] = {}
    for part, of in listed.items():
        X = np.empty((len(of), channels, *size), np.float32)
        for row, (file, _) in zip(X, of, strict=True):
            row[:] = _read(file, size, channels)
            if not np.isfinite(row).all():
                raise BadData(f"{_name(file)} holds NaN or inf; mend or drop it")
        ending = f"_{part}" if part else ""
        arrays[f"X{ending}"], arrays[f"y{ending}"] = X, np.array([label for _, label in of])
    return arrays


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _by_class(folder: Path) -> list[tuple[Path, str]]:
    found = []
    for inside in _folders(folder):
        files = sorted(p for p in inside.iterdir() if _is_image(p))
        if not files:
            raise BadData(f"The class folder {inside.name} in {folder.name} has no image; drop it")
        found += [(file, inside.name) for file in files]
    if not found:
        raise BadData(f"{folder.name} has no folder of a class; put the images into one a class")
    return found


def _shape(files: list[Path], options: DataOptions) -> tuple[tuple[int, int], int]:
    """Height and width, and channels, by the images' headers alone."""
    from PIL import Image

    if len(options.sides) > 2:
        raise BadData("--size of images is a height and a width, or one number for both")
    wanted = (options.sides * 2)[:2] if options.sides else None
    size, gray = None, True
    for file in files:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                with Image.open(file) as image:
                    width, height = image.size
                    found = upright_size(image) if width * height <= MOST_PIXELS else None
                    gray = gray and is_gray(image)
        except Exception as error:  # Pillow's plugins raise what they like
            raise _undecodable(file, error) from error
        if found is None:
            raise BadData(f"{_name(file)} declares {width}×{height} pixels; give smaller images")
        if size is not None and wanted is None and size != found:
            raise BadData(
                f"{_name(file)} is {found[0]}×{found[1]}, others are {size[0]}×{size[1]}; "
                "say --size HEIGHT,WIDTH to resize all"
            )
        size = size or found
    assert size is not None  # there is a file
    return (wanted[0], wanted[1]) if wanted else size, 1 if gray else 3


def _read(file: Path, size: tuple[int, int], channels: int) -> NDArray[np.float32]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd metadata; what does not decode raises
            # By its name, Pillow would map a plain TIFF, and mix up the rows of one that is turned.
            with file.open("rb") as opened, Image.open(opened) as image:
                return read_pixels(image, channels, size)
    except Exception as error:  # as above
        raise _undecodable(file, error) from error


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _undecodable(file: Path, error: Exception) -> BadData:
    reason = " ".join(str(error).replace(f"{file.parent}/", "").split())[:100]
    return BadData(f"{_name(file)} does not decode ({reason}); mend or drop it")
