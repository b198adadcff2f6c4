"""The working files of a search: what `search` leaves in a folder for `train` to go on from.

`search/search.json` holds the task's name or file, the options, the spec and the history;
`search/supernet.safetensors` the trained supernet; `search/data.npz` the arrays, when they were
given as arrays. None of it belongs to the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from dashzoo_export.bundle import WORK, read_json, write_json
from dashzoo_export.weights import load_weights, save_weights
from dashzoo_search.errors import BadBundle, BadData, BadSpec
from dashzoo_search.methods.xd import XD, build_xd
from dashzoo_search.plan import Network, build_network
from dashzoo_search.search import METHODS
from dashzoo_search.spec import KernelSpec, SearchSpace
from dashzoo_search.supernet import Supernet, Weights, build_supernet
from dashzoo_search.tasks import DataOptions, Task, load_task, task_names
from dashzoo_search.tasks.arrays import arrays_task, take_arrays
from dashzoo_search.tasks.load import load_file
from dashzoo_search.training.architecture import Architect
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.tune import Setting

__all__ = ["Data", "SearchRecord", "resolve_data"]

Data = str | Path | Mapping[str, Any]

_VERSION = 1
_RECORD = f"{WORK}/search.json"
_SUPERNET = f"{WORK}/supernet.safetensors"
_ARRAYS = f"{WORK}/data.npz"


def resolve_data(data: Data, *, seed: int, options: DataOptions) -> tuple[str, Task]:
    """A reference to ``data`` that `SearchRecord` can keep, and the task itself.

    Args:
        data: a task name, a file or folder, or a mapping of arrays as `arrays_task` names them,
            for which `SearchRecord.write` leaves a file in the folder of the search.
        seed, options: see `load_task`.

    Raises:
        DashzooError: as `load_task` raises it.
    """
    if isinstance(data, Mapping):
        path = Path(_ARRAYS)
        arrays = take_arrays(data)
        return _ARRAYS, arrays_task(
            arrays, name=path.stem, origin=path.name, seed=seed, options=options
        )
    name = str(data)
    task = load_task(name, seed=seed, options=options)
    return name if name in task_names() else str(Path(name).resolve()), task


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRecord:
    """search.json.

    Attributes:
        name: of the bundle to be.
        data: task name, absolute path, or the arrays' file in the folder.
        data_sha256: of the task's arrays.
        data_options: what the user said of the data.
        seed: of splits, initialisation and shuffling.
        network, space, options, spec: as their ``to_json`` gives them.
        kept: convolutions that were not searched, with the reason.
        history: weights or chances of each layer's choices over the epochs.
        scouted, lost: see `Found`.
        started: what the search started from instead, see `steps.start`.
        others: further proposals by name, see `Found`.
        tradeoff: what everything costs, and the specs worth having; see `steps.tradeoff`.
        tuned: the hyperparameters found, and on which budget; see `steps.tune`.
        seconds, cpu_seconds: of the search.
        resumed: how often it was killed and started again.
        curves: its learning curves, see `Curves`.
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
    others: dict[str, dict[str, Any]] = field(default_factory=dict)
    scouted: dict[str, Any] = field(default_factory=dict)
    started: dict[str, Any] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)
    tradeoff: dict[str, Any] = field(default_factory=dict)
    tuned: dict[str, Any] = field(default_factory=dict)
    data_options: dict[str, Any] = field(default_factory=dict)
    resumed: int = 0
    curves: list[dict[str, Any]] = field(default_factory=list)

    def write(self, folder: Path, supernet: Supernet, data: Data) -> None:
        """Write the record, the supernet's weights and arrays given in memory into ``folder``."""
        (folder / _RECORD).unlink(missing_ok=True)  # it must not speak of another's weights
        save_weights(supernet, folder / _SUPERNET)
        if isinstance(data, Mapping):
            arrays: dict[str, Any] = {**take_arrays(data)}  # NumPy's stubs want Any
            np.savez(folder / _ARRAYS, **arrays)
        self.save(folder)

    def save(self, folder: Path) -> None:
        """Write the record alone."""
        write_json(folder / _RECORD, {"version": _VERSION, **asdict(self)})

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether ``folder`` holds a finished search."""
        return (folder / _RECORD).is_file()

    @classmethod
    def read(cls, folder: Path) -> SearchRecord:
        """Read it back.

        Raises:
            BadBundle: there is none, it is of another version, or damaged.
        """
        if not cls.is_in(folder):
            raise BadBundle(
                f"{folder} holds no search; run 'dashzoo search DATA --out {folder}' first",
                field=_RECORD,
            )
        value = read_json(folder / _RECORD)
        if value.pop("version", None) != _VERSION:
            raise BadBundle(f"{_RECORD} is of another version; search again", field="version")
        try:
            record = cls(**value)
            record.kernel_spec()
            record.other_specs()
            record.front()
            record.settings()
            record.search_space()
            record.build_plan()
            record.recipe()
            record.architect()
            DataOptions.from_json(record.data_options)
            if record.options["method"] not in METHODS:
                raise BadSpec("no such method", field="options.method")
            if record.options.get("weights", "separate") not in get_args(Weights):
                raise BadSpec("no such weights", field="options.weights")
        except (TypeError, KeyError, ValueError) as error:  # ours are ValueErrors too
            raise BadBundle(
                f"{_RECORD} is damaged ({error}); search again", field=_RECORD
            ) from error
        return record

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            if not isinstance(getattr(self, name), get_origin(hint) or hint):
                raise TypeError(f"{name} is no {hint}")

    def kernel_spec(self) -> KernelSpec:
        """The spec the search ended in."""
        return KernelSpec.from_json(self.spec)

    def other_specs(self) -> dict[str, KernelSpec]:
        """Further proposals of the search."""
        return {name: KernelSpec.from_json(spec) for name, spec in self.others.items()}

    def front(self) -> list[KernelSpec]:
        """The specs worth having by evidence and cost, dearest first; empty if none is known."""
        return [KernelSpec.from_json(member["spec"]) for member in self.tradeoff.get("front", [])]

    def picked(self, number: int) -> SearchRecord:
        """This record with another spec of its front.

        Raises:
            BadData: there is no such member.
        """
        front = self.front()
        if not 0 <= number < len(front):
            listed = f"0 to {len(front) - 1}" if front else "none"
            raise BadData(
                f"The search has no spec number {number} to pick, but {listed}; see them with "
                "'dashzoo search … --json', or leave --pick out"
            )
        # What was tuned was tuned for other kernels, and the user has chosen.
        return replace(self, spec=front[number].to_json(), others={}, tuned={})

    def settings(self) -> dict[str, Setting]:
        """Hyperparameters of each candidate, ``searched`` and ``default``; empty if not tuned."""
        candidates = self.tuned.get("candidates", {})
        return {name: Setting(**found["setting"]) for name, found in candidates.items()}

    def search_space(self) -> SearchSpace:
        """The space it came from."""
        return SearchSpace.from_json(self.space)

    def build_plan(self) -> Network:
        """What the network is built from."""
        return Network.from_json(self.network)

    def recipe(self) -> Recipe:
        """What the supernet was trained by."""
        return Recipe(**self.options["recipe"])

    def architect(self) -> Architect | None:
        """What stepped the transforms of XD-operations; None where kernels were searched."""
        how = self._xd()
        return None if how is None else how.architect

    def _xd(self) -> XD | None:
        if self.options["method"] != "xd":
            return None
        return XD(**{entry.name: self.options[entry.name] for entry in fields(XD)})

    def task(self, folder: Path) -> Task:
        """The task that was searched.

        Raises:
            BadData: its data is gone or has changed.
        """
        options = DataOptions.from_json(self.data_options)
        if self.data == _ARRAYS:
            task = load_file(folder / _ARRAYS, seed=self.seed, options=options)
        else:
            task = load_task(self.data, seed=self.seed, options=options)
        if task.sha256 != self.data_sha256:
            raise BadData(f"The data of {self.data} has changed since the search; search again")
        return task

    @staticmethod
    def has_supernet(folder: Path) -> bool:
        """Whether the trained supernet is still there."""
        return (folder / _SUPERNET).is_file()

    def supernet(self, folder: Path, task: Task) -> Supernet:
        """The trained supernet, on the CPU."""
        network = self.build_plan()
        if "searched" in (settings := self.settings()):
            network = replace(network, args=settings["searched"].arguments(network.args))
        net = build_network(network, task)
        how = self._xd()
        if how is not None:
            supernet = build_xd(net, task.size, depth=how.xd_depth, rule=network.rule)
        else:
            supernet = build_supernet(
                net,
                self.search_space(),
                task.size,
                kind=self.options["method"],
                weights=self.options.get("weights", "separate"),
                rule=network.rule,
            )
        load_weights(supernet, folder / _SUPERNET)
        return supernet
