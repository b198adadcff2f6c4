"""Batch norm whose moments are those of the global batch, on any device.

torch's SyncBatchNorm runs on GPUs only, and knows nothing of the batch norms backbones bring
along. All of them call ``torch.nn.functional.batch_norm``, so that one function is replaced, in
training mode, within a block:

    μ = Σ_processes Σ x / n,    σ² = Σ_processes Σ (x − μ)² / n,    n over all processes,

where each Σ_processes is an all-reduce that gradients pass through.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dashzoo_search.training import world

__all__ = ["batch_norm", "shared_statistics"]

_SIGNATURE = inspect.signature(F.batch_norm)


def shared_statistics() -> contextlib.AbstractContextManager[object]:
    """In the block, batch norm in training mode takes its moments over all processes."""
    return _Shared() if world.size() > 1 else contextlib.nullcontext()


class _Shared(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm:
            bound = _SIGNATURE.bind(*args, **kwargs)
            bound.apply_defaults()
            if bound.arguments["training"]:
                return batch_norm(**bound.arguments)
        return func(*args, **kwargs)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,  # noqa: ARG001  torch's signature
    momentum: float,
    eps: float,
) -> Tensor:
    """As `torch.nn.functional.batch_norm` in training mode, over the batches of all processes."""
    x = input if input.dtype in (torch.float32, torch.float64) else input.float()
    axes = (0, *range(2, x.ndim))
    shape = (1, -1, *(1,) * (x.ndim - 2))
    here = torch.tensor([x.numel() / x.shape[1]], dtype=x.dtype, device=x.device)
    summed = _sum(torch.cat([x.sum(axes), here]))
    total = summed[-1].detach()
    mean = summed[:-1] / total
    centred = x - mean.view(shape)
    variance = _sum(centred.square().sum(axes)) / total
    with torch.no_grad():
        if running_mean is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        if running_var is not None:
            unbiased = variance * (total / (total - 1).clamp(min=1))
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    y = centred * (variance + eps).rsqrt().view(shape)
    if weight is not None:
        y = y * weight.view(shape)
    if bias is not None:
        y = y + bias.view(shape)
    return y.to(input.dtype)


def _sum(x: Tensor) -> Tensor:
    summed: Tensor = _Sum.apply(x)
    return summed


class _Sum(torch.autograd.Function):
    """Sum over the processes; the loss is one too, so its gradient is as well."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        y = x.clone(memory_format=torch.contiguous_format)
        world.add_up([y])
        return y

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> Tensor:
        y = grads[0].clone(memory_format=torch.contiguous_format)
        world.add_up([y])
        return y
