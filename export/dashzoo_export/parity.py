"""Do two forms of one network compute the same?

Errors are relative to the largest output in magnitude, of all samples that are looked at:
max |a − b| / max |a|, and the mean of |a − b| / max |a|. One sample alone may have outputs close to
zero, and an error many times as large.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import ParityFailed

__all__ = ["TOLERANCES", "UNJUDGED", "Difference", "Tolerance", "compare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a form may be from what it stands for.

    Attributes:
        largest: error of any output.
        mean: error over all of them.
        agreement: share of samples, or positions, with the same largest output.
    """

    largest: float
    mean: float
    agreement: float


TOLERANCES: Mapping[str, Tolerance] = {
    "fp32": Tolerance(largest=1e-4, mean=2e-5, agreement=1.0),
    "fp16": Tolerance(largest=1e-2, mean=2e-3, agreement=0.99),
    "bf16": Tolerance(largest=5e-2, mean=1e-2, agreement=0.97),
    "int8": Tolerance(largest=0.2, mean=0.05, agreement=0.95),
}
UNJUDGED = Tolerance(largest=sys.float_info.max, mean=sys.float_info.max, agreement=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far outputs are from a reference.

    Attributes:
        max_abs: largest absolute difference.
        relative_to_max: the same, relative to the largest output.
        relative_mean: mean difference, relative to the largest output.
        agree: samples, or positions, with the same largest output, ties within the tolerance of
            float32 aside; None where outputs are no classes.
        of: how many there are; None likewise.
    """

    max_abs: float
    relative_to_max: float
    relative_mean: float
    agree: int | None
    of: int | None

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


def compare(
    reference: NDArray[np.floating[Any]],
    other: NDArray[np.floating[Any]],
    tolerance: Tolerance,
    *,
    what: str,
    classes: bool = True,
    scale: float | None = None,
) -> Difference:
    """Compare outputs [b, o, …] of two forms of a network.

    Args:
        reference, other: the outputs.
        tolerance: of the difference.
        what: the other form and its inputs, for the error message.
        classes: whether the outputs are those of classes, the largest of which counts.
        scale: the largest output, where these are some of more samples; None: of ``reference``.

    Raises:
        ParityFailed: different shapes, a value that is no number, an error above the tolerance,
            or too many other largest outputs.

    >>> one, other = np.array([[1.0, 2.0]]), np.array([[1.0, 2.00001]])
    >>> compare(one, other, TOLERANCES["fp32"], what="a copy").agree
    1
    """
    if reference.shape != other.shape:
        raise ParityFailed(f"Outputs of {what} have shape {other.shape}, not {reference.shape}")
    scale = (float(np.abs(reference).max()) if scale is None else scale) or 1.0
    errors = np.abs(reference - other)
    agree = count = 0
    if classes:
        picked = np.take_along_axis(reference, other.argmax(1)[:, None], 1)[:, 0]
        tie = 2 * TOLERANCES["fp32"].largest * scale
        same = reference.max(1) - picked <= tie
        agree, count = int(same.sum()), same.size
    found = Difference(
        max_abs=float(errors.max()),
        relative_to_max=float(errors.max()) / scale,
        relative_mean=float(errors.mean()) / scale,
        agree=agree if classes else None,
        of=count if classes else None,
    )
    # Also when an error is NaN.
    if not (found.relative_to_max <= tolerance.largest and found.relative_mean <= tolerance.mean):
        raise ParityFailed(
            f"The export differs from torch by {found.relative_to_max:.1e} of the largest output "
            f"(mean {found.relative_mean:.1e}) in {what}; the tolerance is "
            f"{tolerance.largest:.0e} (mean {tolerance.mean:.0e})"
        )
    if count - agree > math.ceil(round((1 - tolerance.agreement) * count, 6)):
        raise ParityFailed(
            f"The export picks another class than torch for {count - agree} of {count} in {what}; "
            f"the tolerance is {tolerance.agreement:.0%} alike"
        )
    return found
