"""Which reader a file's ending, or what a folder holds, calls for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dashzoo_search.errors import BadData
from dashzoo_search.rows import Array
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.readers.huggingface import is_saved_dataset, read_saved_dataset
from dashzoo_search.tasks.readers.images import is_image_folder, read_images
from dashzoo_search.tasks.readers.numpy_files import is_array_folder, read_npy, read_npz
from dashzoo_search.tasks.readers.tables import read_csv, read_parquet
from dashzoo_search.tasks.readers.zarr_group import is_zarr, read_zarr

__all__ = ["FORMATS", "SUFFIXES", "Reader", "find_reader"]

Reader = Callable[[Path, DataOptions], Mapping[str, Array]]

FORMATS = (
    ".npz",
    ".npy (a folder of X.npy, y.npy or X_train.npy, …)",
    ".csv",
    ".parquet",
    "a folder of images by class",
    "a saved Hugging Face dataset",
    "a zarr group",
)

_BY_SUFFIX: Mapping[str, Reader] = {
    ".npz": read_npz,
    ".npy": read_npy,
    ".csv": read_csv,
    ".parquet": read_parquet,
    ".pq": read_parquet,
}
SUFFIXES = frozenset({*_BY_SUFFIX, ".zarr"})

_BY_CONTENT: tuple[tuple[Callable[[Path], bool], Reader], ...] = (
    (is_array_folder, read_npy),
    (is_saved_dataset, read_saved_dataset),
    (is_zarr, read_zarr),
    (is_image_folder, read_images),
)

# What each reader makes of the options; others are refused rather than passed over.
_ALWAYS = frozenset({"kind", "loss", "metric", "split", "lengths", "size"})
_ALSO: Mapping[Reader, frozenset[str]] = {
    read_csv: frozenset({"target", "id", "time", "channels", "split_column", "groups"}),
    read_parquet: frozenset({"target", "id", "time", "channels", "split_column", "groups"}),
    read_saved_dataset: frozenset({"target", "groups"}),
}


def find_reader(path: Path, options: DataOptions) -> Reader:
    """The reader of ``path``.

    Raises:
        BadData: there is none, or it can make nothing of an option.
    """
    if path.is_dir():
        reader = next((reader for fits, reader in _BY_CONTENT if fits(path)), None)
    else:
        reader = _BY_SUFFIX.get(path.suffix.lower())
    if reader is None:
        what = "is a folder of no known kind" if path.is_dir() else "has no known ending"
        raise BadData(f"{path} {what}; give {', '.join(FORMATS)}")
    if reader is read_images and options.split == "time":
        raise BadData(f"{path.name} holds images, which have no order of time; leave --split out")
    foreign = sorted(set(options.given()) - _ALWAYS - _ALSO.get(reader, frozenset()))
    if foreign:
        option = foreign[0].replace("_", "-")
        if option == "groups" and reader is not read_images:
            raise BadData(
                f"{path.name} is no table; give groups as an array groups beside X, and leave "
                "--groups out"
            )
        raise BadData(f"{path.name} is no table, so leave --{option} out")
    return reader
