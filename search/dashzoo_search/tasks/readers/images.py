"""A folder of images by class: ``class/*.png``; or so in ``train``, ``test`` and ``val``."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.rows import Array
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.readers.bounds import check_room

__all__ = ["is_image_folder", "read_images"]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})
MOST_PIXELS = 2**26

_PARTS = {"train": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}
_DEEP = {"I;16": 65535, "I": 65535, "F": 1}  # the largest value of modes deeper than a byte
_GRAY = frozenset({"1", "L", *_DEEP})


def is_image_folder(folder: Path) -> bool:
    """Whether a folder inside ``folder``, or inside its ``train``, holds an image."""
    parts = [f for f in _folders(folder) if _PARTS.get(f.name.lower()) == "train"]
    return any(
        path.suffix.lower() in SUFFIXES
        for inside in (folder, *parts)
        for path in inside.glob("*/*")
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
    parts = {_PARTS[f.name.lower()]: f for f in _folders(folder) if f.name.lower() in _PARTS}
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
        ending = f"_{part}" if part else ""
        arrays[f"X{ending}"], arrays[f"y{ending}"] = X, np.array([label for _, label in of])
    return arrays


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _by_class(folder: Path) -> list[tuple[Path, str]]:
    found = []
    for inside in _folders(folder):
        files = sorted(p for p in inside.iterdir() if p.suffix.lower() in SUFFIXES)
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
                    gray = gray and image.mode in _GRAY
        except Exception as error:  # Pillow's plugins raise what they like
            raise _undecodable(file, error) from error
        if width * height > MOST_PIXELS:
            raise BadData(f"{_name(file)} declares {width}×{height} pixels; give smaller images")
        if size is not None and wanted is None and size != (height, width):
            raise BadData(
                f"{_name(file)} is {height}×{width}, others are {size[0]}×{size[1]}; "
                "say --size HEIGHT,WIDTH to resize all"
            )
        size = size or (height, width)
    assert size is not None  # there is a file
    return (wanted[0], wanted[1]) if wanted else size, 1 if gray else 3


def _read(file: Path, size: tuple[int, int], channels: int) -> NDArray[np.float32]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd metadata; what does not decode raises
            with Image.open(file) as opened:
                deep = opened.mode in _DEEP and channels == 1
                image = opened.copy() if deep else opened.convert("L" if channels == 1 else "RGB")
            if image.size != size[::-1]:
                image = image.resize(size[::-1], Image.Resampling.BILINEAR)
            pixels = np.asarray(image, np.float32)
    except Exception as error:  # as above
        raise _undecodable(file, error) from error
    pixels /= np.float32(_DEEP[image.mode] if deep else 255)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _undecodable(file: Path, error: Exception) -> BadData:
    reason = " ".join(str(error).replace(str(file.parent), "").split())[:100]
    return BadData(f"{_name(file)} does not decode ({reason}); mend or drop it")
