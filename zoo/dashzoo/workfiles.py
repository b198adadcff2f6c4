"""The working files of a search: what `search` leaves in a folder for `train` to go on from.

`search/search.json` holds the task's name or file, the options, the spec and the history;
`search/supernet.safetensors` the trained supernet; `search/data.npz` the arrays, when they were
given as arrays. None of it belongs to the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dashzoo_export.bundle import WORK, read_json, write_json
from dashzoo_export.weights import load_weights, save_weights
from dashzoo_search.errors import BadBundle, BadData
from dashzoo_search.pipeline import Network, build_network
from dashzoo_search.spec import KernelSpec, SearchSpace
from dashzoo_search.supernet import Supernet, build_supernet
from dashzoo_search.tasks import Task, load_task
from dashzoo_search.tasks.arrays import read_npz

__all__ = ["Data", "SearchRecord", "resolve_data"]

Data = str | Path | Mapping[str, Any]

_VERSION = 1
_RECORD = f"{WORK}/search.json"
_SUPERNET = f"{WORK}/supernet.safetensors"
_ARRAYS = f"{WORK}/data.npz"


def resolve_data(data: Data, folder: Path, *, seed: int) -> tuple[str, Task]:
    """A reference to ``data`` that `SearchRecord` can keep, and the task itself.

    Args:
        data: a task name, a file, or a mapping of arrays as `read_npz` names them. Arrays are
            saved into ``folder``.
        folder: of the search.
        seed: see `load_task`.
    """
    if isinstance(data, Mapping):
        path = folder / _ARRAYS
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {name: np.asarray(array) for name, array in data.items()}
        np.savez(path, **arrays)
        return _ARRAYS, read_npz(path, seed=seed)
    name = str(data)
    reference = str(Path(name).resolve()) if Path(name).is_file() else name
    return reference, load_task(name, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRecord:
    """search.json.

    Attributes:
        name: of the bundle to be.
        data: task name, absolute path, or the arrays' file in the folder.
        data_sha256: of the task's arrays.
        seed: of splits, initialisation and shuffling.
        network, space, options, spec: as their ``to_json`` gives them.
        kept: convolutions that were not searched, with the reason.
        history: mixing coefficients over the epochs.
        seconds, cpu_seconds: of the search.
    """

    name: str
    data: str
    data_sha256: str
    seed: int
    network: dict[str, Any]
    space: dict[str, Any]
    options: dict[str, Any]
    spec: dict[str, Any]
    kept: dict[str, str]
    history: list[dict[str, Any]]
    seconds: float
    cpu_seconds: float

    def write(self, folder: Path, supernet: Supernet) -> None:
        """Write the record and the supernet's weights into ``folder``."""
        save_weights(supernet, folder / _SUPERNET)
        write_json(folder / _RECORD, {"version": _VERSION, **asdict(self)})

    @classmethod
    def read(cls, folder: Path) -> SearchRecord:
        """Read it back.

        Raises:
            BadBundle: there is none, or it is of another version.
        """
        if not (folder / _RECORD).is_file():
            raise BadBundle(
                f"{folder} holds no search; run 'dashzoo search DATA --out {folder}' first",
                field=_RECORD,
            )
        value = read_json(folder / _RECORD)
        if value.pop("version", None) != _VERSION:
            raise BadBundle(f"{_RECORD} is of another version; search again", field="version")
        try:
            return cls(**value)
        except TypeError as error:
            raise BadBundle(
                f"{_RECORD} is damaged ({error}); search again", field=_RECORD
            ) from error

    def kernel_spec(self) -> KernelSpec:
        """The spec the search ended in."""
        return KernelSpec.from_json(self.spec)

    def task(self, folder: Path) -> Task:
        """The task that was searched.

        Raises:
            BadData: its data is gone or has changed.
        """
        if self.data == _ARRAYS:
            task = read_npz(folder / _ARRAYS, seed=self.seed)
        else:
            task = load_task(self.data, seed=self.seed)
        if task.sha256 != self.data_sha256:
            raise BadData(f"The data of {self.data} has changed since the search; search again")
        return task

    def supernet(self, folder: Path, task: Task) -> Supernet:
        """The trained supernet, on the CPU."""
        net = build_network(Network.from_json(self.network), task)
        supernet = build_supernet(net, SearchSpace.from_json(self.space), task.size)
        load_weights(supernet, folder / _SUPERNET)
        return supernet
