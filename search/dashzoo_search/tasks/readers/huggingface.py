"""A Hugging Face dataset saved on disk, one split or several.

Its samples are the feature ``X``, ``x``, ``image``, ``signal``, … or whichever is left alone; its
labels ``y``, ``label``, ``labels`` or ``target``, or what ``--target`` names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.rows import Array
from dashzoo_search.tasks.lengths import ragged
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.readers.bounds import check_room
from dashzoo_search.tasks.readers.pixels import is_gray, read_pixels

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
        arrays |= _columns(split, f"_{part}", f"{part} of {folder.name}", options)
    return arrays


def _columns(split: Any, ending: str, origin: str, options: DataOptions) -> dict[str, Array]:
    features = split.features
    for name in (*options.targets, options.groups):
        if name is not None and name not in features:
            raise BadData(f"{origin} has no feature {name}; it has {', '.join(features)}")
    target = (
        options.targets[0]
        if options.targets
        else _named(features, LABELS, origin, "say which by --target")
    )
    if len(options.targets) > 1:
        raise BadData(f"Of {origin} one feature is the labels; name one by --target")
    left = {n: f for n, f in features.items() if n not in (target, options.groups)}
    alone = next(iter(left)) if len(left) == 1 else None
    sample = alone or _named(left, SAMPLES, origin, "rename the one of the samples to X")
    arrays: dict[str, Array] = {
        f"X{ending}": _samples(split[sample], sample, origin, options),
        f"y{ending}": _labels(split[target], features[target], target, origin),
    }
    if options.groups is not None:
        name = options.groups
        arrays[f"groups{ending}"] = _labels(split[name], features[name], name, origin)
    return arrays


def _named(features: Any, usual: tuple[str, ...], origin: str, how: str) -> str:
    found = [name for name in usual if name in features]
    if not found:
        have = f"the features {', '.join(features)}, none" if features else "no feature left, none"
        raise BadData(f"{origin} has {have} of them {', '.join(usual)}; {how}")
    return found[0]


def _samples(column: Any, name: str, origin: str, options: DataOptions) -> NDArray[Any]:
    size = (options.sides * 2)[:2]
    wanted = (size[0], size[1]) if size else None
    rows: list[NDArray[Any]] = []
    images = False
    for number, value in _each(column, name, origin):
        is_image = hasattr(value, "convert")
        try:
            array = _image(value, wanted) if is_image else np.asarray(value, np.float32)
        except Exception as error:  # ragged within a sample, or no numbers
            raise BadData(f"{name} of {origin} makes no array in row {number}; mend it") from error
        if array.ndim == 0:
            raise BadData(
                f"{name} of {origin} has no list or image in row {number}; give one, or drop it"
            )
        array = array[None] if array.ndim == 1 else array
        if not rows:
            check_room([len(column), *array.shape], 4, f"{name} of {origin}")
            images = is_image
        if rows and array.ndim != rows[0].ndim:
            raise BadData(
                f"{name} of {origin} has {array.ndim} axes in row {number}, before "
                f"{rows[0].ndim}; make them alike"
            )
        if rows and not images and array.shape[0] != rows[0].shape[0]:
            raise BadData(
                f"{name} of {origin} has {array.shape[0]} channels in row {number}, before "
                f"{rows[0].shape[0]}; make them alike"
            )
        if rows and array.ndim > 2 and array.shape[1:] != rows[0].shape[1:]:
            raise BadData(
                f"{name} of {origin} is {_by(array)} in row {number}, before {_by(rows[0])}; "
                + ("say --size HEIGHT,WIDTH to resize all" if images else "make them alike")
            )
        rows.append(array)
    if not rows:
        raise BadData(f"{name} of {origin} has no rows; give at least three samples")
    if images:
        most = max(len(row) for row in rows)
        rows = [np.broadcast_to(row, (most, *row.shape[1:])) for row in rows]
    return np.stack(rows) if len({row.shape for row in rows}) == 1 else ragged(rows)


def _each(column: Any, name: str, origin: str) -> Iterator[tuple[int, Any]]:
    values, number = iter(column), 0
    while True:
        try:
            value = next(values)
        except StopIteration:
            return
        except Exception as error:  # images are decoded here, and Pillow raises what it likes
            reason = " ".join(str(error).split())[:100]
            raise BadData(
                f"{name} of {origin} does not decode in row {number} ({reason}); drop the row"
            ) from error
        yield number, value
        number += 1


def _image(value: Any, size: tuple[int, int] | None) -> NDArray[np.float32]:
    return read_pixels(value, 1 if is_gray(value) else 3, size)


def _by(array: NDArray[Any]) -> str:
    return "×".join(map(str, array.shape[1:]))


def _labels(column: Any, feature: Any, name: str, origin: str) -> NDArray[Any]:
    told = column[:]
    for number, label in enumerate(told):
        if label is None:
            raise BadData(f"{name} of {origin} has no value in row {number}; fill or drop the row")
    try:
        labels: NDArray[Any] = np.asarray(told)
    except ValueError as error:
        raise BadData(
            f"{name} of {origin} has lists of unequal length; make them alike, of several labels "
            "a 0 or 1 for each"
        ) from error
    names = getattr(feature, "names", None)
    if names and labels.dtype.kind in "iu" and labels.ndim == 1:
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            raise BadData(f"{name} of {origin} has rows without a label; drop them")
        labels = np.asarray(names)[labels]
    return labels
