"""The correlation through the frequency domain, in plain torch operations: slow, any derivative.

    y[l] = Σ_t w_t · x[l + start + o_t]   ⇔   Y[f] = W[f] · X[f]

`correlation` and `depthwise` are the same with first derivatives only. This stands in for them
under `torch.func` and where a derivative is differentiated again, and holds them in the tests.

Legend: B batch, c channels in, o channels out, g groups, i = c / g, F frequencies, R rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dashzoo_search.ops.spectrum import Plan, waves
from dashzoo_search.ops.transforms import irfftn, rfftn

__all__ = ["correlate_plainly", "slopes_plainly", "under_transform"]


def correlate_plainly(
    x: Tensor, rows: Tensor, mix: Tensor | None, bias: Tensor | None, plan: Plan, groups: int
) -> Tensor:
    """``[B, c, *size]`` → ``[B, o, *out]``; for the arguments see `correlation.correlate`."""
    if mix is None:
        mix = waves(plan.offsets, plan.length, rows.dtype, rows.device)
    half = len(rows) // 2
    flat = rows.flatten(1)
    plus, minus = flat[half + 1 :], flat[:half].flip(0)
    even, odd = torch.cat((flat[half : half + 1], plus + minus)), plus - minus
    kernel = torch.complex(mix[:, : half + 1] @ even, mix[:, half + 1 :] @ odd)
    outs, ins = rows.shape[1:]
    kernel = kernel.view(-1, groups, outs // groups, ins)
    signal = rfftn(x, plan.length)
    bins = signal.shape[2:]
    signal = signal.reshape(len(x), groups, ins, -1)
    mixed = torch.einsum("bgif,fgoi->bgof", signal, kernel).flatten(1, 2)
    y = irfftn(mixed.view(len(x), outs, *bins), plan.length, plan.start, plan.out)
    return y if bias is None else y + bias.view(-1, *(1,) * len(plan.out))


def slopes_plainly(
    inputs: tuple[Tensor, Tensor, Tensor | None, Tensor | None],
    plan: Plan,
    groups: int,
    grad: Tensor,
) -> list[Tensor | None]:
    """Gradients of x, rows, mix and bias that can be differentiated again."""
    with torch.enable_grad():
        y = correlate_plainly(*inputs, plan, groups)
    wanted = [t for t in inputs if t is not None and t.requires_grad]
    found = iter(torch.autograd.grad(y, wanted, grad, create_graph=True))
    return [next(found) if t is not None and t.requires_grad else None for t in inputs]


def under_transform() -> bool:
    """Whether `torch.func` (vmap, grad, jvp, …) is at work, which wants plain operations."""
    active = getattr(torch._C, "_are_functorch_transforms_active", None)
    return active is not None and bool(active())
