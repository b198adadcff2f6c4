"""A Hugging Face dataset saved on disk, one split or several.

Its samples are the feature ``X``, ``x``, ``image``, ``signal`` or whichever alone is a list or an
image; its labels ``y``, ``label``, ``labels`` or ``target``, or what ``--target`` names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.rows import Array
from dashzoo_search.tasks.lengths import ragged
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.readers.bounds import check_room

__all__ = ["is_saved_dataset", "read_saved_dataset"]

SAMPLES = ("X", "x", "image", "img", "signal", "sequence", "values", "series")
LABELS = ("y", "label", "labels", "target")
_PARTS = {"train": "train", "test": "test", "validation": "val", "val": "val", "valid": "val"}


def is_saved_dataset(folder: Path) -> bool:
    """Whether ``save_to_disk`` wrote ``folder``."""
    return (folder / "dataset_dict.json").is_file() or (folder / "dataset_info.json").is_file()


def read_saved_dataset(folder: Path, options: DataOptions) -> dict[str, Array]:
    """Read a ``Dataset`` or ``DatasetDict``.

    Raises:
        BadData: naming the split, feature or row at fault.
        MissingRuntime: datasets is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingRuntime("datasets", "data") from error
    try:
        saved = datasets.load_from_disk(str(folder))
    except Exception as error:  # Arrow, JSON and the file system each have their own
        reason = " ".join(str(error).split())[:100]
        raise BadData(f"{folder.name} is no saved dataset ({reason}); save it again") from error
    if isinstance(saved, datasets.Dataset):
        return _columns(saved, "", folder.name, options)
    if len(saved) == 1:
        return _columns(next(iter(saved.values())), "", folder.name, options)
    parts = {_PARTS[name]: split for name, split in saved.items() if name in _PARTS}
    if not {"train", "test"} <= set(parts):
        raise BadData(
            f"{folder.name} has the splits {', '.join(saved)}; give train and test, or one"
        )
    arrays: dict[str, Array] = {}
    for part, split in parts.items():
        arrays |= _columns(split, f"_{part}", folder.name, options)
    return arrays


def _columns(split: Any, ending: str, origin: str, options: DataOptions) -> dict[str, Array]:
    features = split.features
    for name in (*options.targets, options.groups):
        if name is not None and name not in features:
            raise BadData(f"{origin} has no feature {name}; it has {', '.join(features)}")
    target = options.targets[0] if options.targets else _named(features, LABELS, origin, "--target")
    if len(options.targets) > 1:
        raise BadData(f"Of {origin} one feature is the labels; name one by --target")
    left = {n: f for n, f in features.items() if n not in (target, options.groups)}
    sample = _named(left, SAMPLES, origin, "its name: X")
    arrays: dict[str, Array] = {
        f"X{ending}": _samples(split[sample], sample, origin),
        f"y{ending}": _labels(split[target], features[target], target, origin),
    }
    if options.groups is not None:
        arrays[f"groups{ending}"] = np.asarray(split[options.groups])
    return arrays


def _named(features: Any, usual: tuple[str, ...], origin: str, how: str) -> str:
    found = [name for name in usual if name in features]
    if not found and len(features) == 1:
        found = list(features)
    if not found:
        raise BadData(
            f"{origin} has the features {', '.join(features)}, none of them {', '.join(usual)}; "
            f"say which by {how}"
        )
    return found[0]


def _samples(column: Any, name: str, origin: str) -> NDArray[Any]:
    rows: list[NDArray[Any]] = []
    shapes = set()
    for number, value in enumerate(column):
        try:
            array = _image(value) if hasattr(value, "convert") else np.asarray(value, np.float32)
        except Exception as error:  # ragged within a sample, or no numbers
            raise BadData(f"{name} of {origin} makes no array in row {number}; mend it") from error
        array = array[None] if array.ndim == 1 else array
        if not rows:
            check_room([len(column), *array.shape], 4, f"{name} of {origin}")
        if rows and array.shape[0] != rows[0].shape[0]:
            raise BadData(
                f"{name} of {origin} has {array.shape[0]} channels in row {number}, before "
                f"{rows[0].shape[0]}; make them alike"
            )
        rows.append(array)
        shapes.add(array.shape)
    if not rows:
        raise BadData(f"{name} of {origin} has no rows; give at least three samples")
    if len(shapes) == 1:
        return np.stack(rows)
    if rows[0].ndim != 2:
        raise BadData(f"The images in {name} of {origin} differ in size; resize them first")
    return ragged(rows)


def _image(value: Any) -> NDArray[Any]:
    pixels = np.asarray(value.convert("L" if value.mode in ("1", "L") else "RGB"), np.float32)
    pixels /= np.float32(255)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _labels(column: Any, feature: Any, name: str, origin: str) -> NDArray[Any]:
    try:
        labels: NDArray[Any] = np.asarray(column[:])
    except ValueError as error:
        raise BadData(f"{name} of {origin} has lists of unequal length; make them alike") from error
    names = getattr(feature, "names", None)
    if names and labels.dtype.kind in "iu" and labels.ndim == 1:
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            raise BadData(f"{name} of {origin} has rows without a label; drop them")
        labels = np.asarray(names)[labels]
    return labels
