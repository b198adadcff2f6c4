"""Which layer it was, when loss or gradients stop being numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["faulty_layer"]


def faulty_layer(network: nn.Module, forward: Callable[[], object]) -> str:
    """Say where the numbers end: the first layer whose output, or else gradient, is not finite.

    Outputs are looked at in the order they are computed; gradients from the loss backwards, the
    order in which the fault spreads.

    Args:
        network: with the gradients of the bad step in place.
        forward: repeats the bad forward pass.

    Returns:
        Such as ``"the output of layer blocks.0.conv1"``.
    """
    found: list[str] = []

    def watch(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if not found and isinstance(output, Tensor) and not torch.isfinite(output).all():
                found.append(name)

        return hook

    hooks = [module.register_forward_hook(watch(name)) for name, module in network.named_modules()]
    try:
        with torch.no_grad():
            forward()
    finally:
        for hook in hooks:
            hook.remove()
    if found:
        return f"the output of layer {_short(found[0])}"
    for name, parameter in reversed(list(network.named_parameters())):
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            return f"the gradient of layer {_short(name.rpartition('.')[0])}"
    return "the loss itself"


def _short(name: str) -> str:
    """The name as a kernel spec has it: from the backbone on."""
    return name.removeprefix("network.").removeprefix("backbone.") or "input"
