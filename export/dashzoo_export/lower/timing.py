"""How long one convolution takes in each of its forms, in ONNX Runtime on a provider.

What is timed is a model of that one layer: on one CPU thread by process-CPU time, which other
processes hardly disturb; otherwise by wall time, on a GPU with inputs and outputs left there.
"""

from __future__ import annotations

import dataclasses
import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnx.numpy_helper import from_array
from torch import nn

from dashzoo_export.latency import bound
from dashzoo_export.lower.network import Lowered
from dashzoo_export.lower.plan import Plan
from dashzoo_export.lower.plane import PlaneConv
from dashzoo_export.providers import Provider
from dashzoo_export.session import open_session
from dashzoo_search.ops.stopwatch import fastest

__all__ = ["conv_model", "layer_model", "measure", "time_models"]

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


def conv_model(conv: PlaneConv, weight: NDArray[np.float32] | None = None) -> bytes:
    """The ONNX model of an ordinary convolution; without ``weight`` of random ones."""
    h, w = conv.before
    after = (
        s * (m - 1) + e - n - p
        for n, m, s, e, p in zip(
            conv.size, conv.out, conv.stride, conv.extent, conv.before, strict=True
        )
    )
    shape = (conv.outs, conv.ins // conv.groups, *conv.kernel)
    if weight is None:
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


def measure(
    lowered: Lowered,
    *,
    provider: Provider = "cpu",
    threads: int | None = 1,
    batch: int = 1,
    budget: float = 0.05,
) -> Lowered:
    """``lowered`` with the time of every layer in its form, and as an ordinary convolution.

    Args:
        lowered: as `lower` gives it; layers alike are timed once.
        provider: of ONNX Runtime.
        threads: of the CPU.
        batch: samples at a time.
        budget: seconds for each form of a layer.
    """
    known: dict[tuple[PlaneConv, str, Plan | None], dict[str, float]] = {}
    layers = {}
    for name, layer in lowered.layers.items():
        key = (layer.conv, layer.form, layer.plan)
        if key not in known:
            models = {"conv": conv_model(layer.conv)}
            if layer.form != "conv":
                module = lowered.network.backbone.get_submodule(name)
                models[layer.form] = layer_model(module, layer.conv)
            known[key] = time_models(
                models, layer.conv, batch=batch, provider=provider, threads=threads, budget=budget
            )
        layers[name] = dataclasses.replace(layer, measured_ms=known[key])
    return dataclasses.replace(lowered, layers=layers)


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
