"""How far a network sees: the receptive field of its last feature map.

    r = 1 + Σ_l (e_l − 1) · j_l

over all convolutions and pooling windows l that are not on a shortcut; e_l is the extent of the
window, d(k−1)+1, and j_l the samples between neighbours of the plane it sees, the product of the
strides before it (Araujo, Norris & Sim, Distill 2019). Along the last axis, in samples as the
backbone sees them: after any resize. Exact for chains and for residual networks; where branches
run side by side they are added up, so it is an upper bound. Pooling over the whole plane, as
before a classifier or in squeeze-and-excitation, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dashzoo_search.networks.rules import SHORTCUT_NAMES

__all__ = ["receptive_field", "windows"]


def windows(backbone: nn.Module, planes: Tensor) -> dict[str, tuple[int, int]]:
    """Extent e and jump j of every window, by name of its module.

    Args:
        backbone: a network on planes.
        planes: one batch as it takes them, ``[b, c, h, w]``.
    """
    found: dict[str, tuple[int, int]] = {}
    jumps: dict[int, int] = {planes.shape[-1]: 1}
    kinds = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)

    def record(name: str) -> object:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            size, out = inputs[0].shape[-1], output.shape[-1]
            kernel, stride, dilation = (
                _last(getattr(module, key, 1)) for key in ("kernel_size", "stride", "dilation")
            )
            # A plane no window has made, such as by a layer of another kind: by its size.
            jump = jumps.setdefault(size, max(1, round(planes.shape[-1] / size)))
            jumps.setdefault(out, jump * stride)
            found[name] = (dilation * (kernel - 1) + 1, jump)

        return hook

    hooks = [
        module.register_forward_hook(record(name))  # type: ignore[arg-type]
        for name, module in backbone.named_modules()
        if isinstance(module, kinds) and not SHORTCUT_NAMES.intersection(name.split("."))
    ]
    training = backbone.training
    try:
        with torch.no_grad():
            backbone.eval()(planes)
    finally:
        backbone.train(training)
        for handle in hooks:
            handle.remove()
    return found


def receptive_field(found: Mapping[str, tuple[int, int]]) -> int:
    """The receptive field, from what `windows` found.

    >>> receptive_field({"conv1": (9, 1), "pool": (2, 1), "conv2": (5, 2)})
    18
    """
    return 1 + sum((extent - 1) * jump for extent, jump in found.values())


def _last(value: int | tuple[int, ...]) -> int:
    return value[-1] if isinstance(value, tuple) else value
