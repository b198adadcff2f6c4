"""Half-precision forms of a float32 graph, with float32 inputs and outputs.

Every operator that takes the narrow type gets it, but for the nodes it is told to leave wide:
norms, FFT blocks, and what is in the data's own units. Casts stand where the two meet.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

__all__ = ["HALVES", "carried_in_float32", "narrowed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Half:
    """A narrow type, and the first opset from 18 whose convolution takes it."""

    type: int
    name: str
    torch: torch.dtype
    opset: int


HALVES = {
    "fp16": _Half(type=TensorProto.FLOAT16, name="tensor(float16)", torch=torch.float16, opset=18),
    "bf16": _Half(
        type=TensorProto.BFLOAT16, name="tensor(bfloat16)", torch=torch.bfloat16, opset=22
    ),
}


def narrowed(model: onnx.ModelProto, to: str, *, wide: Collection[str]) -> onnx.ModelProto:
    """``model`` with half the bytes.

    Args:
        model: float32, without subgraphs; left as it is.
        to: the narrow type, one of `HALVES`.
        wide: names of the nodes that stay in float32.

    Returns:
        A model of opset ``HALVES[to].opset``; its inputs and outputs are float32 still.
    """
    opset = next(entry.version for entry in model.opset_import if not entry.domain)
    half = HALVES[to]
    if opset != half.opset:
        model = onnx.version_converter.convert_version(model, half.opset)
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    _Narrowing(model, half, frozenset(wide)).run()
    return model


def carried_in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model``, in bfloat16, for a provider without it: the same weights, the same roundings.

    Every operator computes in float32, and what it gives is rounded to bfloat16; hardware that
    has the type accumulates in float32 too.
    """
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    graph = model.graph
    types = _types(graph)
    nodes: list[onnx.NodeProto] = []

    def cast(source: str, target: str, to: int) -> None:
        nodes.append(helper.make_node("Cast", [source], [target], f"carry_{len(nodes)}", to=to))

    for node in graph.node:
        if node.op_type == "Cast":
            nodes.append(node)
            continue
        for i, name in enumerate(node.input):
            if types.get(name) == TensorProto.BFLOAT16:
                node.input[i] = f"{name}/{len(nodes)}"
                cast(name, node.input[i], TensorProto.FLOAT)
        nodes.append(node)
        for i, name in enumerate(node.output):
            if types.get(name) == TensorProto.BFLOAT16:
                node.output[i] = f"{name}/exact"
                cast(node.output[i], name, TensorProto.BFLOAT16)
    _replace(graph, nodes)
    return model


class _Narrowing:
    """One pass over a graph, in its order."""

    def __init__(self, model: onnx.ModelProto, half: _Half, wide: frozenset[str]) -> None:
        self.graph, self.half, self.to, self.wide = model.graph, half, half.type, wide
        self.types = _types(self.graph)
        self.weights = {tensor.name: tensor for tensor in self.graph.initializer}
        self.nodes: list[onnx.NodeProto] = []
        self.casts: dict[tuple[str, int], str] = {}

    def run(self) -> None:
        outputs = {value.name for value in self.graph.output}
        for node in self.graph.node:
            self._place(node, outputs)
        used = {name for node in self.nodes for name in node.input} | outputs
        kept = [tensor for name, tensor in self.weights.items() if name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
        _replace(self.graph, self.nodes)

    def _place(self, node: onnx.NodeProto, outputs: Collection[str]) -> None:
        inputs, results = self._takes(node)
        narrow = bool(inputs) and node.op_type != "Cast" and node.name not in self.wide
        narrow = narrow and all(
            i in results for i, name in enumerate(node.output) if self._floats(name)
        )
        for i, name in enumerate(node.input):
            if self._floats(name):
                node.input[i] = self._as(name, self.to if narrow and i in inputs else None)
        self.nodes.append(node)
        for i, name in enumerate(node.output):
            if narrow and self._floats(name):
                self.types[name] = self.to
                if name in outputs:
                    node.output[i] = f"{name}/narrow"
                    self.types[node.output[i]] = self.to
                    self._cast(node.output[i], name, TensorProto.FLOAT)
                    self.types[name] = TensorProto.FLOAT

    def _takes(self, node: onnx.NodeProto) -> tuple[set[int], set[int]]:
        """Which float inputs and outputs of ``node`` may have the narrow type."""
        schema = onnx.defs.get_schema(node.op_type, self.half.opset, node.domain)
        free = {
            constraint.type_param_str
            for constraint in schema.type_constraints
            if self.half.name in constraint.allowed_type_strs
        }

        def fitting(names: Collection[str], kinds: list[str]) -> set[int]:
            return {
                i
                for i, name in enumerate(names)
                if self._floats(name) and kinds[min(i, len(kinds) - 1)] in free  # last: variadic
            }

        return (
            fitting(node.input, [parameter.type_str for parameter in schema.inputs]),
            fitting(node.output, [parameter.type_str for parameter in schema.outputs]),
        )

    def _floats(self, name: str) -> bool:
        return self.types.get(name) in (TensorProto.FLOAT, self.to)

    def _as(self, name: str, to: int | None) -> str:
        """The name under which ``name`` is there in type ``to``; None is float32."""
        to = TensorProto.FLOAT if to is None else to
        if self.types[name] == to:
            return name
        key = (name, to)
        if key not in self.casts:
            self.casts[key] = f"{name}/{'wide' if to == TensorProto.FLOAT else 'narrow'}"
            if name in self.weights:
                self.weights[self.casts[key]] = _halved(
                    self.weights[name], self.casts[key], self.half
                )
            else:
                self._cast(name, self.casts[key], to)
        return self.casts[key]

    def _cast(self, source: str, target: str, to: int) -> None:
        node = helper.make_node("Cast", [source], [target], f"cast_{len(self.nodes)}", to=to)
        self.nodes.append(node)
        self.types[target] = to


def _halved(tensor: TensorProto, name: str, half: _Half) -> TensorProto:
    values = torch.from_numpy(numpy_helper.to_array(tensor).copy()).to(half.torch)
    raw = values.view(torch.int16).numpy().tobytes()
    return helper.make_tensor(name, half.type, tensor.dims, raw, raw=True)


def _types(graph: onnx.GraphProto) -> dict[str, int]:
    """Element type of every tensor in ``graph``."""
    known = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input)}
    known |= {v.name: v.type.tensor_type.elem_type for v in graph.output}
    return known | {tensor.name: tensor.data_type for tensor in graph.initializer}


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
    del graph.value_info[:]  # of the types they had before
