"""An electrocardiogram with a label for every moment (of sktime, extra ``tasks``).

7500 values of one record of the MIT-BIH arrhythmia database, cut into stretches of 125 that do not
overlap; the last fifth of them is test, the last fifth before it validation.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.tasks.arrays import TEST_FRACTION
from dashzoo_search.tasks.splits import cut_last
from dashzoo_search.tasks.task import Task, make_task

__all__ = ["load_mitdb"]

LENGTH = 125


def load_mitdb(*, seed: int) -> Task:
    """60 stretches [1, 125] of an ECG, each moment labelled 0 or 1.

    Args:
        seed: of no effect; the splits are those of time.

    Raises:
        MissingRuntime: sktime is not installed.
        BadData: this version of sktime does not bring it.
    """
    found = find_spec("sktime")  # to import it would take seconds
    if found is None or not found.submodule_search_locations:
        raise MissingRuntime("sktime", "tasks")
    file = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "mitdb" / "mitdb.csv"
    if not file.is_file():
        raise BadData(f"sktime {version('sktime')} does not bundle mitdb; install 'sktime>=1.2'")
    table = np.loadtxt(file, delimiter=",", skiprows=1, dtype=np.float32)
    count = len(table) // LENGTH
    X = table[: count * LENGTH, 0].reshape(count, 1, LENGTH)
    y = table[: count * LENGTH, 1].reshape(count, LENGTH).astype(np.int64)
    rest, cut = cut_last(count, TEST_FRACTION)
    return make_task(
        "mitdb",
        kind="dense_labels",
        train=(X[rest], y[rest]),
        test=(X[cut], y[cut]),
        seed=seed,
        source=f"MIT-BIH arrhythmia database, a record as bundled with sktime {version('sktime')}; "
        "the last fifth is test",
        license="odc-by",
        metric="f1",
        by_time=True,
    )
