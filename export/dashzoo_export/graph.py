"""What an exported graph is made of: its operators, its ports, and what must not stay in it."""

from __future__ import annotations

import ast
from typing import Any

import onnx

from dashzoo_search.errors import ParityFailed

__all__ = ["PORTABLE", "check_graph", "op_types", "port", "scopes", "strip"]

# What the CPU and CUDA providers of ONNX Runtime and TensorRT's parser all have at opset 18, of
# onnxruntime's docs/OperatorKernels.md and onnx-tensorrt's docs/operators.md.
PORTABLE = frozenset(
    """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant
    ConstantOfShape Conv ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div Einsum Elu
    Equal Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gemm GlobalAveragePool
    GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish Identity InstanceNormalization
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max MaxPool Min Mul Neg Not
    Or PRelu Pad Pow QuantizeLinear Range ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round Selu Shape Sigmoid Sign Sin Size
    Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh Tile Transpose
    Unsqueeze Where Xor
    """.split()  # noqa: SIM905  a list of as many quotes reads worse
)

_SCOPES = "pkg.torch.onnx.name_scopes"


def op_types(model: onnx.ModelProto) -> list[str]:
    """Names of the operators in ``model``, sorted; one of another domain with it in front."""
    return sorted({f"{n.domain}.{n.op_type}".lstrip(".") for n in model.graph.node})


def scopes(node: onnx.NodeProto) -> tuple[str, ...]:
    """Qualified names of the modules ``node`` came from, outermost first, until `strip`."""
    for entry in node.metadata_props:
        if entry.key == _SCOPES:
            return tuple(ast.literal_eval(entry.value))
    return ()


def strip(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes about this machine: stack traces and local paths."""
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.doc_string = ""
    del graph.metadata_props[:]
    for part in (graph.node, graph.value_info, graph.input, graph.output, graph.initializer):
        for item in part:
            item.doc_string = ""
            del item.metadata_props[:]


def check_graph(model: onnx.ModelProto, opset: int) -> None:
    """Hold ``model`` against ONNX's own rules.

    Raises:
        ParityFailed: another opset, or an invalid graph.
    """
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets.get("") != opset:
        raise ParityFailed(f"The exporter gave opset {opsets}, not {opset}")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ParityFailed(f"The exported model is invalid: {error}") from error


def port(value: onnx.ValueInfoProto) -> dict[str, Any]:
    """Name, shape with free axes by name, and dtype of an input or output."""
    tensor = value.type.tensor_type
    return {
        "name": value.name,
        "shape": [d.dim_param or d.dim_value for d in tensor.shape.dim],
        "dtype": onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name,
    }
