"""From a network to one ONNX model in float32: traced, stripped, checked.

Opset 18, dynamic batch, weights inside the file; other axes only where they are asked to be free. A
sequence is a plane of height 1 inside the network, so its convolutions are 4-D, which the runtimes
compute fastest; the only ops around them are one Unsqueeze and the normalisation.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import onnx
import torch
from torch import nn

from dashzoo_export.graph import check_graph, port, scopes, strip
from dashzoo_export.lower import FrequencyConv
from dashzoo_export.rewrite import global_means, plain_attention, reorder_gelus
from dashzoo_export.serving import Served
from dashzoo_export.sizes import AXES, Size
from dashzoo_search.errors import DashzooError, UnsupportedLayer
from dashzoo_search.networks.fno import SpectralConv
from dashzoo_search.networks.moments import Moments
from dashzoo_search.networks.searched import SearchedNet

__all__ = ["OPSET", "Traced", "set_metadata", "to_onnx", "trace"]

OPSET = 18
_ONE_FILE = 1_500_000_000

# In the data's own units, sums of squares, and transforms: none of it survives half precision.
_WIDE_OPS = frozenset({"BatchNormalization", "InstanceNormalization", "LayerNormalization"})
_WIDE_MODULES = (FrequencyConv, SpectralConv, Moments, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A float32 graph, and the nodes that stay float32 in its narrower forms.

    Attributes:
        model: the graph.
        wide: names of norms, of blocks in the frequency domain, and of what handles the data's own
            units.
    """

    model: onnx.ModelProto
    wide: frozenset[str]


def to_onnx(
    net: SearchedNet, *, size: Size, metadata: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """The ONNX model of ``net`` as it stands, with a dynamic batch; see `trace`.

    Args:
        net: on the CPU.
        size: of a raw sample, (l,) or (h, w).
        metadata: key → value, kept in the model.
    """
    model = trace(Served(net), size=size).model
    set_metadata(model, metadata or {})
    return model


def trace(served: Served, *, size: Size, free: Mapping[str, int] | None = None) -> Traced:
    """Write ``served`` as a graph in float32 with a dynamic batch.

    Args:
        served: on the CPU.
        size: of a raw sample, (l,) or (h, w).
        free: further axes that may vary, each with its least extent.

    Raises:
        ParityFailed: the exporter did not give opset 18, or an invalid model.
        UnsupportedLayer: an axis cannot be free.
        DashzooError: the network is too large for one file.
    """
    tensors = served.state_dict().values()
    if (total := sum(t.numel() * t.element_size() for t in tensors)) > _ONE_FILE:
        raise DashzooError(
            f"{total / 1e9:.1f} GB of weights do not fit one ONNX file of 1.5 GB; take a smaller "
            "backbone"
        )
    shape: dict[int, object] = {0: torch.export.Dim("batch")}
    for axis, least in (free or {}).items():
        number = 2 + AXES[served.network.dims].index(axis)
        shape[number] = torch.export.Dim(axis, min=least)
    with _silence(), global_means(served), plain_attention(served):
        try:
            program = torch.onnx.export(
                served.eval(),
                (served.example_input(size, batch=2),),
                dynamo=True,
                opset_version=OPSET,
                external_data=False,
                input_names=["input"],
                output_names=["output"],
                dynamic_shapes=(shape,),
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise _refusal(error, free or {}) from error
    assert program is not None  # None only when it writes a file
    model = program.model_proto
    for axis in free or {}:  # where a part of the network fixes it, the exporter says nothing
        if axis not in port(model.graph.input[0])["shape"]:
            raise UnsupportedLayer(
                f"A part of {served.network.backbone_name} is for samples of one size, so {axis} "
                "cannot be free; leave --dynamic out"
            )
    wide = frozenset(node.name for node in model.graph.node if _is_wide(node, served))
    strip(model)
    reorder_gelus(model)
    check_graph(model, OPSET)
    return Traced(model=model, wide=wide)


def set_metadata(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Let ``model`` carry ``metadata`` and nothing else; the last thing that is done to it."""
    onnx.helper.set_model_props(model, dict(metadata))


def _is_wide(node: onnx.NodeProto, served: Served) -> bool:
    if node.op_type in _WIDE_OPS:
        return True
    modules: Mapping[str, nn.Module] = dict(served.named_modules())
    return any(isinstance(modules.get(scope), _WIDE_MODULES) for scope in scopes(node))


def _refusal(error: Exception, free: Collection[str]) -> DashzooError:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    told = " ".join(str(cause).split())[:200]
    if free:
        return UnsupportedLayer(
            f"The network cannot be written with a free {' and '.join(free)} ({told}); "
            "leave --dynamic out"
        )
    return UnsupportedLayer(f"The network cannot be written to ONNX ({told}); try another backbone")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's progress lines and its warnings about itself off the user's terminal."""
    loggers = [logging.getLogger(f"torch.{name}") for name in ("onnx", "export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:  # what is wrong is told by the error itself
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
