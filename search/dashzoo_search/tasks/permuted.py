"""Named tasks of images in another order, with the splits of the task they are made of.

``digits/permuted`` and ``textures/permuted`` have rows and columns in bit-reversed order, so that
what was near is far; ``digits/sequential`` is read pixel by pixel. The digits are 8×8: figures of
permuted or sequential MNIST (28×28) are of another problem.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.rows import whole
from dashzoo_search.tasks.digits import load_digits_task
from dashzoo_search.tasks.generated import bit_reversal, sequential
from dashzoo_search.tasks.pictures import load_textures
from dashzoo_search.tasks.task import Task, classification_task

__all__ = ["PERMUTED", "load_permuted"]

Change = Callable[[NDArray[Any]], NDArray[Any]]

_BITS = "rows and columns in bit-reversed order"

PERMUTED: Mapping[str, tuple[Callable[..., Task], Change, str]] = {
    "digits/permuted": (load_digits_task, bit_reversal, _BITS),
    "digits/sequential": (load_digits_task, sequential, "read row after row"),
    "textures/permuted": (load_textures, bit_reversal, _BITS),
}


def load_permuted(name: str, *, seed: int) -> Task:
    """A task of images in another order.

    Args:
        name: one of `PERMUTED`.
        seed: of the task it is made of.

    Raises:
        MissingRuntime: the package that bundles the images is not installed.
    """
    load, change, how = PERMUTED[name]
    task = load(seed=seed)
    names = np.array(task.classes)
    parts = {"train": task.train, "val": task.val, "test": task.test.open()}
    return classification_task(
        name,
        **{part: (change(whole(of.X)), names[whole(of.y)]) for part, of in parts.items()},
        seed=seed,
        source=f"{task.source}; {how}",
        license=task.license,
    )
