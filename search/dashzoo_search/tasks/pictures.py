"""Problems made of the pictures that scikit-image bundles (extra ``tasks``).

``textures``: which of brick, grass and gravel a patch shows; train, validation and test patches
are of different parts of the three pictures, with a gap between them. ``faces``: whether a patch
of a photograph shows a face; a fifth is test, cut with seed 0.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.tasks.arrays import TEST_FRACTION
from dashzoo_search.tasks.splits import cut_fraction
from dashzoo_search.tasks.task import Task, classification_task

__all__ = ["load_faces", "load_textures"]

PATCH = 32
STRIDE = 16
TEXTURES = ("brick", "grass", "gravel")
# Columns of each 512-wide picture; what lies between them is in no split.
COLUMNS = {"train": (0, 304), "val": (320, 400), "test": (416, 512)}


def load_textures(*, seed: int) -> Task:
    """Patches [1, 32, 32] of three textures, which overlap within a split only.

    Args:
        seed: of no effect; the splits are places.

    Raises:
        MissingRuntime: scikit-image is not installed.
        BadData: this version of it does not bring a picture.
    """
    pictures = [_picture(f"{name}.png").astype(np.float32) / 255 for name in TEXTURES]
    parts = {}
    for part, (left, right) in COLUMNS.items():
        patches = [_patches(picture[:, left:right]) for picture in pictures]
        y = np.repeat(np.array(TEXTURES), [len(of) for of in patches])
        parts[part] = (np.concatenate(patches), y)
    return classification_task(
        "textures",
        **parts,
        seed=seed,
        source=f"brick, grass and gravel of scikit-image {version('scikit-image')}, "
        f"{PATCH}×{PATCH} patches every {STRIDE} pixels, splits being different parts of each",
        license="cc0-1.0",
    )


def load_faces(*, seed: int) -> Task:
    """200 patches [1, 25, 25] of photographs, half of them faces.

    Args:
        seed: chooses the validation samples; the test samples are always the same.

    Raises:
        MissingRuntime: scikit-image is not installed.
        BadData: this version of it does not bring them.
    """
    X = _picture("lfw_subset.npy")[:, None].astype(np.float32)
    y = np.repeat(np.array(["face", "other"]), len(X) // 2)
    _, numbers = np.unique(y, return_inverse=True)
    rest, cut = cut_fraction(numbers, TEST_FRACTION, seed=0)
    return classification_task(
        "faces",
        train=(X[rest], y[rest]),
        test=(X[cut], y[cut]),
        seed=seed,
        source=f"lfw_subset of scikit-image {version('scikit-image')}; test is a fifth, cut with "
        "seed 0",
    )


def _picture(name: str) -> NDArray[Any]:
    try:
        import skimage
        from skimage.io import imread
    except ImportError as error:
        raise MissingRuntime("scikit-image", "tasks") from error
    file = Path(skimage.__file__).parent / "data" / name
    if not file.is_file():
        raise BadData(
            f"scikit-image {version('scikit-image')} does not bundle {name}; install another"
        )
    picture: NDArray[Any] = np.load(file) if file.suffix == ".npy" else imread(file)
    return picture


def _patches(picture: NDArray[Any]) -> NDArray[Any]:
    windows = np.lib.stride_tricks.sliding_window_view(picture, (PATCH, PATCH))
    return windows[::STRIDE, ::STRIDE].reshape(-1, 1, PATCH, PATCH).copy()
