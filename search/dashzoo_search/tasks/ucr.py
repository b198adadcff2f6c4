"""The UCR/UEA time-series problems that aeon and sktime bundle (extra ``tasks``).

Canonical train and test splits. Sequences of unequal length are padded at their end, with the
last value of each channel, to the longest of the training split, and longer test sequences are
cut, unless ``lengths`` says otherwise.

`PUBLISHED` quotes figures on the canonical split, accuracies or, for the one regression, root mean
squared errors: tsml-eval's result files, and the ROCKET and InceptionTime authors' own files where
marked.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.rows import Array
from dashzoo_search.tasks.kinds import Kind
from dashzoo_search.tasks.lengths import equal_lengths, ragged
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.task import Task, make_task

__all__ = ["PUBLISHED", "load_ucr", "ucr_names"]

NAMES = (
    "ACSF1",
    "ArrowHead",
    "BasicMotions",
    "Covid3Month",
    "Covid3Month_disc",
    "GunPoint",
    "ItalyPowerDemand",
    "JapaneseVowels",
    "OSULeaf",
    "PLAID",
    "PickupGestureWiimoteZ",
    "UnitTest",
)
_OF_SKTIME = frozenset({"PLAID"})
_REGRESSIONS = frozenset({"Covid3Month"})
_TSML = "tsml-eval result files, canonical split"
_AUTHORS = "the method's authors' result files, canonical split"

# ROCKET, InceptionTime, HC2, ResNet; percent, or root mean squared error.
PUBLISHED: dict[str, tuple[float | None, float | None, float | None, float | None]] = {
    "ACSF1": (88.0, 91.0, 91.0, 93.0),
    "ArrowHead": (82.3, 86.3, 86.9, 81.1),
    "BasicMotions": (100, 100, 100, 100),
    "Covid3Month": (0.0389, 0.0547, None, 0.1395),
    "GunPoint": (100, 100, 100, 99.3),
    "ItalyPowerDemand": (97.0, 96.6, 97.0, 96.5),
    "JapaneseVowels": (None, None, None, 99.2),
    "OSULeaf": (94.2, 92.1, 96.7, 97.9),
    "PLAID": (90.3, 94.4, None, 94.0),
    "PickupGestureWiimoteZ": (83.0, 76.0, 80.0, 70.4),
}
_BY_AUTHORS = {("PickupGestureWiimoteZ", m) for m in ("ROCKET", "InceptionTime", "ResNet")}


def ucr_names() -> tuple[str, ...]:
    """Names of the bundled problems, without the ``ucr/`` prefix."""
    return NAMES


def load_ucr(
    name: str,
    *,
    seed: int,
    lengths: str | None = None,
    size: tuple[int, ...] | None = None,
) -> Task:
    """Load a bundled problem.

    Args:
        name: one of `ucr_names`.
        seed: chooses the validation samples.
        lengths, size: see `DataOptions`.

    Raises:
        MissingRuntime: the package that bundles it is not installed.
        BadData: this version of the package does not bring the problem.
    """
    package = "sktime" if name in _OF_SKTIME else "aeon"
    samples, labels = {}, {}
    for part in ("train", "test"):
        samples[f"X_{part}"], labels[f"y_{part}"] = _read(name, part.upper(), package)
    if lengths is None and size is None:
        longest = max(x.shape[-1] for x in samples["X_train"])
        X: Mapping[str, Array] = {
            part: np.stack([_to_length(x, longest) for x in of]) for part, of in samples.items()
        }
    else:
        options = DataOptions.from_json({"lengths": lengths, "size": list(size or ())})
        held = {part: ragged(of) for part, of in samples.items()}
        X, _ = equal_lengths(held, options, name)
    kind: Kind = "regression" if name in _REGRESSIONS else "classification"
    return make_task(
        f"ucr/{name}",
        kind=kind,
        train=(X["X_train"], labels["y_train"]),
        test=(X["X_test"], labels["y_test"]),
        seed=seed,
        source=f"UCR/UEA archive, canonical split, as bundled with {package} {version(package)}",
        published=_published(name, kind),
    )


def _read(name: str, part: str, package: str) -> tuple[list[NDArray[Any]], NDArray[Any]]:
    try:
        from aeon.datasets import load_from_ts_file
    except ImportError as error:
        raise MissingRuntime("aeon", "tasks") from error
    found = find_spec(package)  # to import sktime would take seconds
    if found is None or not found.submodule_search_locations:
        raise MissingRuntime(package, "tasks")
    folder = Path(found.submodule_search_locations[0]) / "datasets" / "data" / name
    file = folder / f"{name}_{part}.ts"
    if not file.is_file():
        wanted = {"aeon": "aeon>=1.6,<1.7", "sktime": "sktime>=1.2"}[package]
        raise BadData(f"{package} {version(package)} does not bundle {name}; install '{wanted}'")
    X, y = load_from_ts_file(str(file))
    return list(X), y


def _published(name: str, kind: Kind) -> tuple[Mapping[str, Any], ...]:
    figures = zip(
        ("ROCKET", "InceptionTime", "HC2", "ResNet"), PUBLISHED.get(name, ()), strict=False
    )
    percent = kind == "classification"
    return tuple(
        {
            "method": method,
            "metric": "accuracy" if percent else "rmse",
            "value": value / 100 if percent else value,
            "source": _AUTHORS if (name, method) in _BY_AUTHORS else _TSML,
        }
        for method, value in figures
        if value is not None
    )


def _to_length(x: NDArray[Any], length: int) -> NDArray[Any]:
    missing = length - x.shape[-1]
    return np.pad(x, ((0, 0), (0, missing)), "edge") if missing > 0 else x[:, :length]
