"""Do two forms of one network compute the same?

Errors are relative to the largest output in magnitude: max |a − b| / max |a|.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dashzoo_search.errors import ParityFailed

__all__ = ["TOLERANCE", "Check", "compare", "compare_with_session"]

TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison on one batch.

    Attributes:
        batch: samples.
        inputs: what they were, ``"random"`` or ``"real"``.
        max_abs: largest absolute difference.
        relative_to_max: that over the largest reference output.
        argmax_agree: every sample, or position, has the same largest output, ties within tolerance
            aside; None where outputs are no classes.
    """

    batch: int
    inputs: str
    max_abs: float
    relative_to_max: float
    argmax_agree: bool | None

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


def compare(
    reference: NDArray[np.floating[Any]],
    other: NDArray[np.floating[Any]],
    *,
    inputs: str,
    classes: bool = True,
    tolerance: float = TOLERANCE,
) -> Check:
    """Compare outputs [b, o, …] of two forms of a network.

    Args:
        reference, other: the outputs.
        inputs: what they were computed from, ``"random"`` or ``"real"``.
        classes: whether the outputs are those of classes, the largest of which counts.
        tolerance: of the error.

    Raises:
        ParityFailed: different shapes, a value that is no number, an error above ``tolerance``, or
            another largest output.

    >>> compare(np.array([[1.0, 2.0]]), np.array([[1.0, 2.00001]]), inputs="real").argmax_agree
    True
    """
    if reference.shape != other.shape:
        raise ParityFailed(f"outputs have shape {other.shape}, not {reference.shape}")
    scale = float(np.abs(reference).max()) or 1.0
    error = float(np.abs(reference - other).max())
    picked = np.take_along_axis(reference, other.argmax(1)[:, None], 1)[:, 0]
    agree = bool((reference.max(1) - picked <= 2 * tolerance * scale).all()) if classes else None
    check = Check(
        batch=len(reference),
        inputs=inputs,
        max_abs=error,
        relative_to_max=error / scale,
        argmax_agree=agree,
    )
    if not check.relative_to_max <= tolerance or agree is False:  # also when the error is NaN
        raise ParityFailed(
            f"The export differs from torch by {check.relative_to_max:.1e} of the largest output "
            f"on {inputs} inputs of batch {check.batch}; the tolerance is {tolerance:.0e}"
        )
    return check


def compare_with_session(
    net: nn.Module, session: Any, x: NDArray[np.float32], *, inputs: str, classes: bool = True
) -> Check:
    """Compare ``net`` in eval mode with an ONNX Runtime session on samples ``x`` [b, c, …]."""
    device = next(net.parameters()).device
    with torch.inference_mode():
        expected = net.eval()(torch.from_numpy(x).to(device)).cpu().numpy()
    (actual,) = session.run(None, {session.get_inputs()[0].name: x})
    return compare(expected, actual, inputs=inputs, classes=classes)
