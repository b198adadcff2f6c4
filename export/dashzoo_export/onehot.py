"""A searched network set back into a supernet, one-hot at its choices, from what a bundle holds.

The search's own supernet is not part of a bundle. What it computed in the end is: each folded
kernel is one choice's weight of an `AggConv`, beside which stand the narrowest and the widest
choice of the spec, with random weights that must not matter.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from dashzoo_search.choice import Kernel
from dashzoo_search.networks.convs import replace_module
from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.ops import AggConv

__all__ = ["as_supernet", "one_hot"]


def as_supernet(net: SearchedNet) -> SearchedNet:
    """A copy of ``net`` in which every layer of its spec is an `AggConv` settled on its choice.

    XD-operations stay as they are: they are what their search trained.
    """
    other = copy.deepcopy(net)
    spec = {
        name: choice.on_plane()
        for name, choice in net.spec.layers.items()
        if name not in net.spec.xd
    }
    widest = sorted(spec.values(), key=lambda choice: (max(choice.extent), choice))
    for name, choice in spec.items():
        conv = other.backbone.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)  # apply_spec made it
        rivals = (choice, widest[0], widest[-1])
        replace_module(other.backbone, name, one_hot(conv, rivals))
    return other.eval()


def one_hot(conv: nn.Conv2d, choices: Sequence[Kernel]) -> AggConv:
    """An `AggConv` settled on the first of ``choices``, which has the weight of ``conv``.

    >>> conv = nn.Conv2d(2, 3, (1, 5), padding=(0, 2))
    >>> one_hot(conv, [Kernel((1, 5), (1, 1)), Kernel((1, 3), (1, 7))]).selected
    0
    """
    with torch.random.fork_rng(devices=[]):
        layer = AggConv(
            conv.in_channels,
            conv.out_channels,
            list(dict.fromkeys(choices)),
            stride=tuple(conv.stride),
            groups=conv.groups,
            bias=conv.bias is not None,
            dtype=conv.weight.dtype,
        )
    layer.set_choice_weight(0, conv.weight)
    if layer.bias is not None and conv.bias is not None:
        layer.bias.data.copy_(conv.bias)
    layer.select(0)
    return layer.eval()
