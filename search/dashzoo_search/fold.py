"""From a supernet and a spec to the ordinary network that computes the same.

Folding lives on the ground floor, not with the exporter, because retraining starts from it.
"""

from __future__ import annotations

import torch

from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.ops import AggConv, PathConv
from dashzoo_search.spec import KernelSpec
from dashzoo_search.supernet import Supernet

__all__ = ["fold"]


def fold(supernet: Supernet, spec: KernelSpec) -> SearchedNet:
    """Make ``supernet`` one-hot at ``spec``, and return the network of plain dilated convolutions.

    Args:
        supernet: left with one-hot α and the folded weights in place, so that it still computes
            what the returned network does.
        spec: one choice for each of its layers.

    Returns:
        A `SearchedNet` with its own copy of every weight, in eval mode, on the same device.

    Raises:
        BadSpec: the spec does not fit the supernet.
    """
    supernet.select(spec)
    source = supernet.network
    folded = source.with_kernels(spec)
    # A layer that stands in several places has a name for each.
    everywhere = source.backbone.named_modules(remove_duplicate=False)
    layers = {n: m for n, m in everywhere if isinstance(m, AggConv | PathConv)}
    searched = tuple(f"backbone.{name}." for name in layers)
    state = {k: v for k, v in source.state_dict().items() if not k.startswith(searched)}
    for name, layer in layers.items():
        chosen = layer.selected
        assert chosen is not None  # select() has just set it
        state[f"backbone.{name}.weight"] = layer.choice_weight(chosen).detach()
        if layer.bias is not None:
            state[f"backbone.{name}.bias"] = layer.bias.detach()
    with torch.no_grad():
        folded.load_state_dict(state)
    return folded.eval()
