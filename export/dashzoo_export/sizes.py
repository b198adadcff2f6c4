"""Which axes of an export are free, and how small a sample may be."""

from __future__ import annotations

from collections.abc import Sequence

from dashzoo_search.errors import BadBackbone, BadData, UnsupportedLayer
from dashzoo_search.networks.convs import trace_sizes
from dashzoo_search.networks.fno import SpectralConv
from dashzoo_search.networks.searched import SearchedNet

__all__ = ["AXES", "Size", "require_free", "shortest"]

Size = tuple[int, ...]

AXES = {1: ("length",), 2: ("height", "width")}


def require_free(net: SearchedNet, axes: Sequence[str]) -> None:
    """Refuse free ``axes`` of a network that has a part for one size.

    Raises:
        BadData: samples have no such axis.
        UnsupportedLayer: naming the part.
    """
    known = AXES[net.dims]
    for axis in axes:
        if axis not in known:
            raise BadData(
                f"These samples have no {axis}; give --dynamic {' or '.join(known)}, or none"
            )
    if axes and net.resize:
        raise UnsupportedLayer(
            f"The network resizes images to {net.resize}×{net.resize}, a fixed part of the graph; "
            "leave --dynamic out"
        )
    if axes and any(isinstance(layer, SpectralConv) for layer in net.backbone.modules()):
        raise UnsupportedLayer(
            "The network has spectral convolutions, whose transforms are for samples of one size; "
            "leave --dynamic out"
        )
    if axes and net.spec.xd:
        raise UnsupportedLayer(
            "The network has XD-operations, whose transforms are for samples of one size; leave "
            "--dynamic out"
        )
    if axes and net.size is not None:
        raise UnsupportedLayer(
            "The network normalises every position by its own moments, so it takes samples of "
            f"{list(net.size)} only; leave --dynamic out"
        )


def shortest(net: SearchedNet, size: Size, axis: str) -> int:
    """The least extent of ``axis`` at which no searched kernel reaches past the plane it sees.

    A tap at an offset of at least the plane's size only ever reads padding: below this, the
    network would no longer see what it was trained to see.

    Raises:
        UnsupportedLayer: samples of ``size`` are smaller than that already.
    """
    at = AXES[net.dims].index(axis)
    low, high = 0, size[at]  # the first is too small, the second is not
    if not _fits(net, size, at):
        raise UnsupportedLayer(
            f"Kernels reach past samples of {list(size)}, so no shorter ones can be told from "
            "padding; leave --dynamic out, or search smaller kernels"
        )
    while high - low > 1:
        middle = (low + high) // 2
        if _fits(net, (*size[:at], middle, *size[at + 1 :]), at):
            high = middle
        else:
            low = middle
    return high


def _fits(net: SearchedNet, size: Size, at: int) -> bool:
    try:
        seen = trace_sizes(net.backbone, net.preprocess(net.example_input(size, batch=2)))
    except BadBackbone:
        return False
    return all(
        choice.padding[at] < seen[name][0][-net.dims :][at]
        for name, choice in net.spec.layers.items()
    )
