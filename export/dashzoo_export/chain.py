"""A network on its way to ONNX: folded, lowered, served, and proved."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import onnx
from numpy.typing import NDArray

from dashzoo_export.certificate import (
    Form,
    Samples,
    certify_layers,
    certify_network,
    random_samples,
    torch_forms,
)
from dashzoo_export.lower import Lowered, lower
from dashzoo_export.parity import TOLERANCES
from dashzoo_export.precision import carried_in_float32
from dashzoo_export.request import Request
from dashzoo_export.serving import Served
from dashzoo_export.session import open_session
from dashzoo_export.sizes import Size, require_free, shortest
from dashzoo_search.errors import BadBundle, BadData
from dashzoo_search.networks.fno import SpectralConv
from dashzoo_search.networks.searched import SearchedNet

__all__ = ["Chain", "certify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A network on its way to ONNX.

    Attributes:
        net: as it was folded.
        lowered: as it is exported.
        size: of a sample of the network's.
        free: axes that may vary, each with its least extent.
        request: what was asked for.
    """

    net: SearchedNet
    lowered: Lowered
    size: Size
    free: Mapping[str, int]
    request: Request

    @classmethod
    def of(cls, net: SearchedNet, size: Size, request: Request) -> Chain:
        """Lower ``net`` as requested.

        Raises:
            UnsupportedLayer, BadData: it cannot be, or not so.
        """
        free: dict[str, int] = {}
        if request.pad:
            if request.dynamic or net.dims != 1 or net.in_chans < 2:
                raise BadData(
                    "Only sequences with a channel that tells where they are real are padded, and "
                    "to one length; leave --pad or --dynamic out"
                )
            free = {"length": 1}
        else:
            require_free(net, request.dynamic)
            free = {axis: shortest(net, size, axis) for axis in request.dynamic}
        lowered = lower(
            net,
            size,
            lowering=request.lowering,
            costs=request.costs,
            dynamic=bool(request.dynamic),
        )
        return cls(net=net, lowered=lowered, size=size, free=free, request=request)

    @property
    def served(self) -> Served:
        """The folded network, as its users call it."""
        return self._serve(self.net)

    @property
    def lowered_as_served(self) -> Served:
        """The lowered network, likewise."""
        return self._serve(self.lowered.network)

    def in_integers(self) -> Chain:
        """The chain of the int8 file: where forms were ours to choose, ordinary convolutions.

        Integer kernels are for those; a transform would stay in float32 between them.
        """
        if self.request.lowering != "auto" or {x.form for x in self.lowered.layers.values()} <= {
            "conv"
        }:
            return self
        return Chain.of(self.net, self.size, dataclasses.replace(self.request, lowering="conv"))

    def _serve(self, net: SearchedNet) -> Served:
        pad = self.size[0] if self.request.pad else None
        return Served(net, pad=pad, outputs=self.request.outputs)


def certify(
    chain: Chain, models: Mapping[str, bytes], *, real: Samples | None, classes: bool
) -> dict[str, Any]:
    """Prove that ``models`` compute what ``chain.net`` does; see `certificate`.

    Args:
        chain: the network.
        models: ONNX files, by precision.
        real: samples [n, c, …] of the network's size; None where there are none.
        classes: see `compare`.

    Raises:
        ParityFailed: they do not.
        BadBundle: one does not load.
    """
    served, lowered = chain.served, chain.lowered_as_served
    if real is not None and chain.request.pad:
        real = real[:, :-1]
    forms, computed = torch_forms(served, lowered), {}
    for precision, data in models.items():
        run, computed[precision] = _runner(precision, data)
        forms.append(
            Form(
                name=precision,
                tolerance=TOLERANCES[precision],
                run=run,
                calibrated=precision == "int8",
            )
        )
    names = [
        *(name for name in chain.lowered.layers if name in chain.net.spec.layers),
        *(name for name in chain.lowered.fixed if name not in chain.net.spec.layers),
        *(n for n, layer in chain.net.backbone.named_modules() if isinstance(layer, SpectralConv)),
    ]
    x = real if real is not None and len(real) else random_samples(served, chain.size, 3)
    return {
        "reference": "torch, float64",
        "tolerances": {name: dataclasses.asdict(TOLERANCES[name]) for name in models},
        "computed": computed,
        "layers": certify_layers(served, lowered, names, x[:3]),
        "network": certify_network(
            served, forms, size=chain.size, free=chain.free, real=real, classes=classes
        ),
    }


def _runner(precision: str, data: bytes) -> tuple[Callable[[Samples], NDArray[Any]], str]:
    """What runs a model, and in words how."""
    how = "as it is"
    try:
        session = open_session(data)
    except BadBundle:
        if precision != "bf16":
            raise
        # The provider has no bfloat16 kernels; the file's weights and roundings can be held all
        # the same.
        session = open_session(carried_in_float32(onnx.load_from_string(data)).SerializeToString())
        how = (
            "operator by operator in float32, rounded to bfloat16 in between: the provider has no "
            "bfloat16"
        )
    return partial(_run, session), how


def _run(session: Any, x: Samples) -> NDArray[Any]:
    (y,) = session.run(None, {"input": x})
    found: NDArray[Any] = y
    return found
