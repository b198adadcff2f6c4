"""Half-precision forms of a float32 graph, with float32 inputs and outputs.

Every operator that takes the narrow type gets it, but for the nodes it is told to leave wide:
norms, FFT blocks, and what is in the data's own units. Casts stand where the two meet.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

__all__ = ["OPSETS", "Half", "carried_in_float32", "narrowed"]

Half = Literal["fp16", "bf16"]

OPSETS: dict[Half, int] = {"fp16": 18, "bf16": 22}  # the first whose Conv takes the type
_TYPES: dict[Half, int] = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
_TORCH = {TensorProto.FLOAT16: torch.float16, TensorProto.BFLOAT16: torch.bfloat16}
_NAMES = {TensorProto.FLOAT16: "tensor(float16)", TensorProto.BFLOAT16: "tensor(bfloat16)"}


def narrowed(model: onnx.ModelProto, to: Half, *, wide: Collection[str]) -> onnx.ModelProto:
    """``model`` with half the bytes.

    Args:
        model: float32, without subgraphs; left as it is.
        to: the narrow type.
        wide: names of the nodes that stay in float32.

    Returns:
        A model of opset ``OPSETS[to]``; its inputs and outputs are float32 still.
    """
    opset = next(entry.version for entry in model.opset_import if not entry.domain)
    if opset != OPSETS[to]:
        model = onnx.version_converter.convert_version(model, OPSETS[to])
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    _Narrowing(model, _TYPES[to], frozenset(wide), OPSETS[to]).run()
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

    def __init__(self, model: onnx.ModelProto, to: int, wide: frozenset[str], opset: int) -> None:
        self.graph, self.to, self.wide, self.opset = model.graph, to, wide, opset
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
        schema = onnx.defs.get_schema(node.op_type, self.opset, node.domain)
        free = {
            constraint.type_param_str
            for constraint in schema.type_constraints
            if _NAMES[self.to] in constraint.allowed_type_strs
        }

        def fitting(names: Collection[str], formal: Collection[onnx.defs.OpSchema]) -> set[int]:
            kinds = [parameter.type_str for parameter in formal]
            return {
                i
                for i, name in enumerate(names)
                if self._floats(name) and kinds[min(i, len(kinds) - 1)] in free  # last: variadic
            }

        return fitting(node.input, schema.inputs), fitting(node.output, schema.outputs)

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
                self.weights[self.casts[key]] = _halved(self.weights[name], self.casts[key], to)
            else:
                self._cast(name, self.casts[key], to)
        return self.casts[key]

    def _cast(self, source: str, target: str, to: int) -> None:
        node = helper.make_node("Cast", [source], [target], f"cast_{len(self.nodes)}", to=to)
        self.nodes.append(node)
        self.types[target] = to


def _halved(tensor: TensorProto, name: str, to: int) -> TensorProto:
    values = torch.from_numpy(numpy_helper.to_array(tensor).copy()).to(_TORCH[to])
    raw = values.view(torch.int16).numpy().tobytes()
    return helper.make_tensor(name, to, tensor.dims, raw, raw=True)


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
