"""From an image of Pillow's to numbers in [0, 1], upright and whatever its mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image as Opened

__all__ = ["is_gray", "read_pixels", "upright_size"]

# The largest value of modes deeper than a byte, which Pillow would clip to one.
_DEEP: Mapping[str, int] = {
    **dict.fromkeys(("I;16", "I;16B", "I;16L", "I;16N", "I"), 65535),
    "F": 1,
}
_ORIENTATION = 0x0112  # of EXIF: how the camera was held


def is_gray(image: Opened) -> bool:
    """Whether one channel holds all of it."""
    return image.mode in ("1", "L") or image.mode in _DEEP


def upright_size(image: Opened) -> tuple[int, int]:
    """Height and width as it is looked at, by its header."""
    width, height = image.size
    return (width, height) if _orientation(image) >= 5 else (height, width)


def read_pixels(
    image: Opened, channels: int, size: tuple[int, int] | None = None
) -> NDArray[np.float32]:
    """Numbers [channels, h, w] of an image.

    Args:
        image: opened; it need not be decoded yet.
        channels: 1 for grey, 3 for red, green and blue.
        size: height and width to resize to.
    """
    from PIL import Image

    turn = _orientation(image)
    scale = _DEEP.get(image.mode, 255)
    if image.mode in _DEEP:
        image = Image.fromarray(np.asarray(image).astype(np.float32))
    else:
        image = image.convert("L" if channels == 1 else "RGB")
    if turn > 1:
        way = Image.Transpose
        image = image.transpose(
            {
                2: way.FLIP_LEFT_RIGHT,
                3: way.ROTATE_180,
                4: way.FLIP_TOP_BOTTOM,
                5: way.TRANSPOSE,
                6: way.ROTATE_270,
                7: way.TRANSVERSE,
                8: way.ROTATE_90,
            }[turn]
        )
    if size is not None and image.size != size[::-1]:
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    pixels: NDArray[Any] = np.asarray(image, np.float32) / np.float32(scale)
    if pixels.ndim == 3:
        return pixels.transpose(2, 0, 1)
    return np.broadcast_to(pixels, (channels, *pixels.shape))


def _orientation(image: Opened) -> int:
    """1 for upright, up to 8."""
    # Pillow turns TIFFs by itself, and would decode all of a PNG to look for it at its end.
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    turn = image.getexif().get(_ORIENTATION, 1)
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1
