"""The 8×8 handwritten digits that scikit-learn bundles (extra ``tasks``).

They have no official split: a fifth is test, cut once and for all with seed 0, so that runs with
different seeds are judged on the same samples.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from dashzoo_search.errors import MissingRuntime
from dashzoo_search.tasks.arrays import TEST_FRACTION
from dashzoo_search.tasks.splits import cut_fraction
from dashzoo_search.tasks.task import Task, classification_task

__all__ = ["load_digits_task"]


def load_digits_task(*, seed: int) -> Task:
    """1797 images [1, 8, 8] of ten digits.

    Args:
        seed: chooses the validation samples; the test samples are always the same.

    Raises:
        MissingRuntime: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingRuntime("scikit-learn", "tasks") from error
    images, labels = load_digits(return_X_y=True)
    X, y = images.reshape(-1, 1, 8, 8).astype(np.float32), labels.astype(np.int64)
    rest, cut = cut_fraction(y, TEST_FRACTION, seed=0)
    return classification_task(
        "digits",
        train=(X[rest], y[rest]),
        test=(X[cut], y[cut]),
        seed=seed,
        source=f"UCI optical digits, as bundled with scikit-learn {version('scikit-learn')}; "
        "test is a fifth, cut with seed 0",
        license="cc-by-4.0",
    )
