"""The numbers a training step computes with: float32, or 16 bits where they are enough.

Parameters, gradients, optimiser and α stay float32 whatever the precision; 16 bits are used by
what autocast gives them (convolutions, matrix products) in forward pass and loss. Scores are
always taken in float32, because that is what is shipped. ``fp32`` means IEEE float32: TF32, which
keeps 10 of 23 bits, is off.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch

from dashzoo_search.errors import BadData

__all__ = ["Precision", "autocast", "resolve_precision", "scaler"]

Precision = Literal["fp32", "bf16", "fp16"]

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(name: str, device: torch.device) -> Precision:
    """``"auto"`` takes bf16 on a GPU that has it and fp32 elsewhere; turns TF32 off.

    Raises:
        BadData: no such precision, or fp16 on a device other than a GPU.

    >>> resolve_precision("auto", torch.device("cpu"))
    'fp32'
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
    if name == "auto":
        able = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16" if able else "fp32"
    if name not in get_args(Precision):
        known = ", ".join(("auto", *get_args(Precision)))
        raise BadData(f"--precision must be one of {known}, not {name!r}")
    if name == "fp16" and device.type == "cpu":
        raise BadData("fp16 needs a GPU; take --precision bf16 or fp32")
    return name  # type: ignore[return-value]


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The context of a forward pass and its loss."""
    return torch.autocast(device.type, dtype=_DTYPES.get(precision), enabled=precision != "fp32")


def scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Keeps fp16 gradients from vanishing; does nothing in the other precisions."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
