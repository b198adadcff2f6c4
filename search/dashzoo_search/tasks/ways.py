"""How a mend is said for the data at hand, so that it works when it is typed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.readers.find import find_reader
from dashzoo_search.tasks.readers.huggingface import read_saved_dataset
from dashzoo_search.tasks.readers.images import read_images
from dashzoo_search.tasks.readers.tables import read_csv, read_parquet

__all__ = ["Ways"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Parts of mends.

    Attributes:
        together: how what belongs together stays on one side of a split; empty where it cannot.
        of_time: what to do with a value that grows from row to row.
        of_neighbours: what to do where a row is like the next.
        arrays: whether somebody laid out the axes of samples.
    """

    together: str = ""
    of_time: str = "Leave it out."
    of_neighbours: str = ""
    arrays: bool = False

    @classmethod
    def of(cls, path: Path, options: DataOptions, *, split: bool) -> Ways:
        """Those of a file or folder; ``split`` is whether it brings its own splits."""
        reader = find_reader(path, options)
        wide = reader in (read_csv, read_parquet) and options.id is None
        named = reader in (read_csv, read_parquet, read_saved_dataset)
        if reader is read_images:
            together = "put what belongs together into one of the folders train, val and test"
        else:
            by = "by --groups NAME" if named else "by an array groups"
            together = f"keep what belongs together on one side {by}"
        return cls(
            together="" if split else together,
            of_time="Leave its column out, or if it is a time add --split time --time NAME."
            if wide
            else "Leave it out, or if it is a time add --split time.",
            of_neighbours=f"{together[0].upper()}{together[1:]}."
            if reader is read_images
            else f"If rows follow each other in time add --split time; else {together}.",
            arrays=reader not in (read_csv, read_parquet, read_images),
        )
