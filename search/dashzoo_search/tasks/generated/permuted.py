"""Images read in another order: pixel by pixel, or with rows and columns in bit-reversed order."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData

__all__ = ["bit_reversal", "sequential"]

Scalar = TypeVar("Scalar", bound=np.generic)


def bit_reversal(X: NDArray[Scalar]) -> NDArray[Scalar]:
    """Images [n, c, h, w] with rows and columns permuted; done twice, it undoes itself.

    Raises:
        BadData: X is no batch of images, or a side is no power of two.

    >>> bit_reversal(np.arange(8)[None, None, None]).ravel()
    array([0, 4, 2, 6, 1, 5, 3, 7])
    """
    _check_images(X)
    rows, columns = (_reversed_bits(side) for side in X.shape[2:])
    return X[:, :, rows][..., columns]


def sequential(X: NDArray[Scalar]) -> NDArray[Scalar]:
    """Images [n, c, h, w] as sequences [n, c, h·w], row after row.

    Raises:
        BadData: X is no batch of images.

    >>> sequential(np.zeros((5, 3, 8, 8))).shape
    (5, 3, 64)
    """
    _check_images(X)
    return X.reshape(*X.shape[:2], -1)


def _check_images(X: NDArray[Any]) -> None:
    if X.ndim != 4:
        raise BadData(f"The samples have shape {list(X.shape)}; give images [n, c, h, w]")


def _reversed_bits(side: int) -> NDArray[np.intp]:
    if side < 1 or side & (side - 1):
        raise BadData(
            f"A side of {side} pixels is no power of two, so its bits cannot be reversed; "
            "resize or pad the images first"
        )
    order = np.zeros(1, np.intp)
    while len(order) < side:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order
