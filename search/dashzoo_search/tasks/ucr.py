"""The UCR/UEA time-series classification problems that aeon bundles (extra ``tasks``).

Canonical train and test splits. Sequences of unequal length are padded at their end, with the
last value of each channel, to the longest of the training split; longer test sequences are cut.

`PUBLISHED` quotes accuracies on the canonical split: tsml-eval's result files, and the ROCKET
and InceptionTime authors' own files where marked.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.tasks.task import Task, classification_task

__all__ = ["PUBLISHED", "load_ucr", "ucr_names"]

NAMES = (
    "ACSF1",
    "ArrowHead",
    "BasicMotions",
    "Covid3Month_disc",
    "GunPoint",
    "ItalyPowerDemand",
    "JapaneseVowels",
    "OSULeaf",
    "PickupGestureWiimoteZ",
    "UnitTest",
)
_TSML = "tsml-eval result files, canonical split"
_AUTHORS = "the method's authors' result files, canonical split"

# ROCKET, InceptionTime, HC2, ResNet; percent.
PUBLISHED: dict[str, tuple[float | None, float | None, float | None, float | None]] = {
    "ACSF1": (88.0, 91.0, 91.0, 93.0),
    "ArrowHead": (82.3, 86.3, 86.9, 81.1),
    "BasicMotions": (100, 100, 100, 100),
    "GunPoint": (100, 100, 100, 99.3),
    "ItalyPowerDemand": (97.0, 96.6, 97.0, 96.5),
    "JapaneseVowels": (None, None, None, 99.2),
    "OSULeaf": (94.2, 92.1, 96.7, 97.9),
    "PickupGestureWiimoteZ": (83.0, 76.0, 80.0, 70.4),
}
_BY_AUTHORS = {("PickupGestureWiimoteZ", m) for m in ("ROCKET", "InceptionTime", "ResNet")}


def ucr_names() -> tuple[str, ...]:
    """Names of the bundled problems, without the ``ucr/`` prefix."""
    return NAMES


def load_ucr(name: str, *, seed: int) -> Task:
    """Load a bundled problem.

    Args:
        name: one of `ucr_names`.
        seed: chooses the validation samples.

    Raises:
        MissingRuntime: aeon is not installed.
        BadData: this version of aeon no longer brings the problem.
    """
    try:
        import aeon.datasets
    except ImportError as error:
        raise MissingRuntime("aeon", "tasks") from error
    folder = Path(aeon.datasets.__file__).parent / "data" / name
    parts = {}
    for part in ("TRAIN", "TEST"):
        file = folder / f"{name}_{part}.ts"
        if not file.is_file():
            raise BadData(
                f"aeon {version('aeon')} does not bundle {name}; install 'aeon>=1.6,<1.7'"
            )
        parts[part] = aeon.datasets.load_from_ts_file(str(file))
    train, test = ((_equal_lengths(X), y) for X, y in parts.values())
    test = (_to_length(test[0], train[0].shape[2]), test[1])
    return classification_task(
        f"ucr/{name}",
        train=train,
        test=test,
        seed=seed,
        source=f"UCR/UEA archive, canonical split, as bundled with aeon {version('aeon')}",
        published=tuple(
            {
                "method": method,
                "metric": "accuracy",
                "value": value / 100,
                "source": _AUTHORS if (name, method) in _BY_AUTHORS else _TSML,
            }
            for method, value in zip(
                ("ROCKET", "InceptionTime", "HC2", "ResNet"), PUBLISHED.get(name, ()), strict=False
            )
            if value is not None
        ),
    )


def _equal_lengths(X: NDArray[Any] | list[NDArray[Any]]) -> NDArray[Any]:
    longest = max(x.shape[-1] for x in X)
    return np.concatenate([_to_length(x[None], longest) for x in X])


def _to_length(X: NDArray[Any], length: int) -> NDArray[Any]:
    missing = length - X.shape[-1]
    return np.pad(X, ((0, 0), (0, 0), (0, missing)), "edge") if missing > 0 else X[..., :length]
