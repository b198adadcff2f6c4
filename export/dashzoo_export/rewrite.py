"""The same computations, written as runtimes recognise them.

What torch's exporter writes is right, but hides from ONNX Runtime what it has a quick kernel for,
or adds operators on shapes, which a GPU leaves to the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
from torch import Tensor, nn

__all__ = ["global_means", "plain_attention", "reorder_gelus"]


def reorder_gelus(model: onnx.ModelProto) -> int:
    """Turn x·(½·(1 + erf(x/√2))) into (x·(1 + erf(x/√2)))·½, in place; returns how many there were.

    ONNX Runtime fuses the second order of the two products into one operator, not the first.
    """
    makers = {output: node for node in model.graph.node for output in node.output}
    halves = {
        tensor.name
        for tensor in model.graph.initializer
        if not tensor.dims and onnx.numpy_helper.to_array(tensor) == 0.5
    }

    def made_by(name: str, op_type: str) -> onnx.NodeProto | None:
        node = makers.get(name)
        return node if node is not None and node.op_type == op_type else None

    uses = [name for node in model.graph.node for name in node.input]
    uses += [value.name for value in model.graph.output]
    found = 0
    for outer in model.graph.node:
        if outer.op_type != "Mul":
            continue
        x, scaled = outer.input
        inner = made_by(scaled, "Mul")
        if inner is None or inner.input[0] not in halves or uses.count(scaled) > 1:
            continue
        half, shifted = inner.input
        added = made_by(shifted, "Add")
        if added is None or made_by(added.input[0], "Erf") is None:
            continue
        inner.input[0], inner.input[1] = x, shifted
        outer.input[0], outer.input[1] = scaled, half
        found += 1
    return found


@contextmanager
def global_means(net: nn.Module) -> Iterator[None]:
    """Let ``net`` take means over the whole plane as plain means while the block runs.

    On a plane whose channels lie innermost torch writes `nn.AdaptiveAvgPool2d` with strides,
    computed from the batch by a dozen operators on shapes.
    """
    pools = [
        (parent, name, module)
        for parent in net.modules()
        for name, module in parent.named_children()
        if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1))
    ]
    for parent, name, _ in pools:
        setattr(parent, name, _GlobalMean())
    try:
        yield
    finally:
        for parent, name, module in pools:
            setattr(parent, name, module)


@contextmanager
def plain_attention(net: nn.Module) -> Iterator[None]:
    """Let timm's attention multiply matrices one by one while the block runs.

    Torch writes its fused attention for queries of four axes only; some families have five.
    """
    fused: list[Any] = [
        module for module in net.modules() if getattr(module, "fused_attn", False) is True
    ]
    for module in fused:
        module.fused_attn = False
    try:
        yield
    finally:
        for module in fused:
            module.fused_attn = True


class _GlobalMean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] → [b, c, 1, 1]."""
        return x.mean((2, 3), keepdim=True)
