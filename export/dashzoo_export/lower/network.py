"""Lower a network: give each of its convolutions the form it is exported in."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from dashzoo_export.lower.aggregated import as_conv
from dashzoo_export.lower.cost import LoweringCosts, choose
from dashzoo_export.lower.dft_op import DFTOpConv
from dashzoo_export.lower.matmul import DFTMatmulConv
from dashzoo_export.lower.plane import PlaneConv
from dashzoo_export.lower.record import LoweredLayer
from dashzoo_export.lower.table import lowering_costs
from dashzoo_export.lower.xd import DenseXD, lower_xd
from dashzoo_export.providers import Provider
from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.networks.convs import replace_module, trace_sizes
from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.ops import AggConv, PathConv, XDConv
from dashzoo_search.ops.fftconv import FFTConv

__all__ = ["FORMS", "Lowered", "Lowering", "build", "lower"]

FORMS = ("conv", "dft_matmul", "dft_op")
Lowering = Literal["auto", "conv", "dft_matmul", "dft_op"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """A network as it is exported.

    Attributes:
        network: a copy whose convolutions have their forms, in eval mode.
        layers: what each convolution became, by qualified name in the backbone.
    """

    network: SearchedNet
    layers: Mapping[str, LoweredLayer]

    @property
    def fixed(self) -> tuple[str, ...]:
        """Names of the layers that take inputs of one size only."""
        return tuple(name for name, layer in self.layers.items() if layer.form != "conv")


def lower(
    net: SearchedNet,
    size: tuple[int, ...],
    *,
    lowering: Lowering = "auto",
    costs: LoweringCosts | None = None,
    provider: Provider = "cpu",
    batch: int = 1,
    dynamic: bool = False,
) -> Lowered:
    """Copy ``net`` and give its convolutions the form they are exported in.

    Aggregated and sampled layers become the one convolution they are, as do XD-operations that are
    one; any other has a form of its own, whatever ``lowering`` is. Convolutions by Fourier
    transform are `FrequencyConv`s, whose constants stay float32 whatever the copy is cast to.

    Args:
        net: any, on any device; it is left as it is.
        size: of a raw sample, (l,) or (h, w).
        lowering: ``"auto"``, the cheapest by the cost model for each layer, or one form for every
            convolution with more than one tap.
        costs: constants of the cost model; None: those of ``provider``, see `lowering_costs`.
        provider: of ONNX Runtime, on which the network is to run.
        batch: samples at a time that costs are reckoned for.
        dynamic: whether lengths are to stay free, so that every layer must be ``conv``.

    Raises:
        BadCosts: ``DASHZOO_COSTS`` names no table of costs.
        UnsupportedLayer: a layer that has no form, or not the one wanted, with the reason.
        BadBackbone: samples of a size the network does not take.
    """
    if lowering not in ("auto", *FORMS):
        raise ValueError(f"lowering must be auto or one of {', '.join(FORMS)}, not {lowering!r}")
    if dynamic and lowering in FORMS[1:]:
        raise UnsupportedLayer(
            f"{lowering} needs samples of one size; take the lowering conv, or a fixed size"
        )
    costs = costs or lowering_costs(provider)
    network = copy.deepcopy(net).eval()
    layers = {}
    for name, layer in list(network.backbone.named_modules()):
        if isinstance(layer, XDConv):
            form = lower_xd(layer)
            replace_module(network.backbone, name, form)
            if not isinstance(form, nn.Conv2d):
                layers[name] = _record(layer, dense=isinstance(form, DenseXD))
        elif isinstance(layer, AggConv | PathConv | FFTConv):
            replace_module(network.backbone, name, as_conv(layer))
    sizes = trace_sizes(network.backbone, network.preprocess(network.example_input(size)))
    wanted = "conv" if dynamic else lowering
    for name, (plane, out) in sizes.items():
        conv = network.backbone.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)  # trace_sizes names no others
        shape = PlaneConv.of(conv, (plane[0], plane[1]), (out[0], out[1]))
        module, layers[name] = _lower_layer(name, conv, shape, wanted, costs, batch)
        replace_module(network.backbone, name, module)
    return Lowered(network=network, layers=layers)


def _record(layer: XDConv, *, dense: bool) -> LoweredLayer:
    (h, w), (a, b) = layer.size, (axis.outputs for axis in layer.axes)
    why = "no convolution any more, and small enough" if dense else "no convolution any more"
    shape = PlaneConv.of(layer, (h, w), (a, b))
    return LoweredLayer(form="xd_dense" if dense else "xd_factors", reason=why, conv=shape)


def _lower_layer(
    name: str, conv: nn.Conv2d, shape: PlaneConv, wanted: str, costs: LoweringCosts, batch: int
) -> tuple[nn.Module, LoweredLayer]:
    choice = choose(shape, wanted, costs, batch=batch, only_direct=_only_direct(conv))
    if wanted not in ("auto", choice.form) and max(conv.kernel_size) > 1:
        raise UnsupportedLayer(
            f"{name} has no form {wanted}: {choice.reason}; take the lowering auto or conv"
        )
    return build(conv, choice), choice


def build(conv: nn.Conv2d, layer: LoweredLayer) -> nn.Module:
    """``conv`` in the form that was decided; itself if that is ``conv``."""
    if layer.form == "dft_matmul":
        assert layer.plan is not None  # as `choose` gives it
        return DFTMatmulConv(conv.weight, conv.bias, layer.conv, layer.plan)
    if layer.form == "dft_op":
        return DFTOpConv(conv.weight, conv.bias, layer.conv)
    return conv


def _only_direct(conv: nn.Conv2d) -> str:
    """Why a convolution can only be an ordinary one; empty if it need not be."""
    kind = type(conv)
    plain = kind.forward is nn.Conv2d.forward and kind._conv_forward is nn.Conv2d._conv_forward
    if conv.kernel_size == (1, 1):
        return "one tap"
    if conv.padding_mode != "zeros":
        return f"padding {conv.padding_mode}"
    if not plain and kind is not Conv2dSame:
        return f"a {kind.__name__} computes something of its own"
    return ""
