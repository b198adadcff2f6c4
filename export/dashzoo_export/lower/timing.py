"""How long one convolution takes in each of its forms, in ONNX Runtime on a provider.

What is timed is a model of that one layer: on one CPU thread by process-CPU time, which other
processes hardly disturb; otherwise by wall time, on a GPU with inputs and outputs left there.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from onnx import TensorProto, helper
from onnx.numpy_helper import from_array
from torch import nn

from dashzoo_export.latency import bound
from dashzoo_export.lower.plane import PlaneConv
from dashzoo_export.providers import Provider
from dashzoo_export.session import open_session
from dashzoo_search.ops.stopwatch import fastest

__all__ = ["conv_model", "layer_model", "time_models"]

OPSET = 18


def layer_model(module: nn.Module, conv: PlaneConv) -> bytes:
    """An ONNX model of ``module`` alone, on planes of the size that ``conv`` tells."""
    x = torch.zeros(2, conv.ins, *conv.size)
    with _quiet():
        program = torch.onnx.export(
            module.eval(),
            (x,),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=["x"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None  # None only when it writes a file
    return bytes(program.model_proto.SerializeToString())


def conv_model(conv: PlaneConv) -> bytes:
    """The ONNX model of an ordinary convolution, of any weights."""
    h, w = conv.before
    after = (
        s * (m - 1) + e - n - p
        for n, m, s, e, p in zip(
            conv.size, conv.out, conv.stride, conv.extent, conv.before, strict=True
        )
    )
    shape = (conv.outs, conv.ins // conv.groups, *conv.kernel)
    weight = np.random.default_rng(0).standard_normal(shape, np.float32)
    ends = [("x", conv.ins, conv.size), ("y", conv.outs, conv.out)]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, *size])
        for name, channels, size in ends
    )
    node = helper.make_node(
        "Conv",
        ["x", "weight"],
        ["y"],
        pads=[h, w, *(max(0, a) for a in after)],
        strides=conv.stride,
        dilations=conv.dilation,
        group=conv.groups,
    )
    graph = helper.make_graph([node], "conv", [x], [y], [from_array(weight, "weight")])
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    return bytes(model.SerializeToString())


def time_models(
    models: Mapping[str, bytes],
    conv: PlaneConv,
    *,
    batch: int = 1,
    provider: Provider = "cpu",
    threads: int | None = 1,
    budget: float = 0.1,
) -> dict[str, float]:
    """Milliseconds of each model, the least over repeats that take turns.

    Args:
        models: of `layer_model`, by name.
        conv: what they compute.
        batch: samples at a time.
        provider: of ONNX Runtime.
        threads: of the CPU.
        budget: seconds for each.
    """
    x = np.random.default_rng(0).standard_normal((batch, conv.ins, *conv.size), np.float32)
    where = "cpu" if provider == "cpu" else "cuda"
    runs = {}
    for name, model in models.items():
        runs[name], _ = bound(open_session(model, provider=provider, threads=threads), x, where)
    clock = time.process_time if provider == "cpu" and threads == 1 else time.perf_counter
    found = fastest(runs, torch.device("cpu"), budget=budget, clock=clock)
    return {name: 1000 * seconds for name, seconds in found.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says about itself off the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
