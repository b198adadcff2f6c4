"""Make a backbone by name: any 2-D CNN timm knows, or one of our own, for images or sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
from torch import nn

from dashzoo_search.errors import BadBackbone, UnknownBackbone
from dashzoo_search.networks import chain as chain  # registers chain1d and chain2d
from dashzoo_search.networks import fno as fno  # registers fno1d and fno2d
from dashzoo_search.networks import tcn as tcn  # registers tcn
from dashzoo_search.networks import wide_resnet as wide_resnet  # registers wrn_16_1 and wrn_16_4
from dashzoo_search.networks import wrn as wrn  # registers wrn1d
from dashzoo_search.networks.decoder import add_decoder

__all__ = ["SEQUENCE_BACKBONES", "create_backbone", "default_backbone"]

SEQUENCE_BACKBONES = ("wrn1d", "chain1d", "tcn", "fno1d")
_OWN = (*SEQUENCE_BACKBONES, "chain2d", "fno2d", "wrn_16_1", "wrn_16_4")


# What timm's factory takes beside a model's own arguments. A config.json may come off a hub, and
# some of these would fetch or load other files.
_NOT_ARGUMENTS = frozenset(
    {
        "cache_dir",
        "checkpoint_path",
        "dense",
        "exportable",
        "features_only",
        "in_chans",
        "no_jit",
        "num_classes",
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "pretrained_strict",
        "scriptable",
    }
)


def default_backbone(dims: int, *, dense: bool = False) -> str:
    """What is used when the user names none.

    `wrn1d` for sequences; for images resnet18, or `wrn_16_1` where every position is told
    something.
    """
    if dims == 1:
        return "wrn1d"
    return "wrn_16_1" if dense else "resnet18"


def create_backbone(
    name: str,
    *,
    dims: int,
    in_chans: int,
    num_classes: int,
    args: Mapping[str, Any] | None = None,
    dense: bool = False,
) -> nn.Module:
    """A randomly initialised backbone that classifies.

    A dense one has an output for every position: our own drop their strides, as DASH does, and any
    other gets the decoder of `add_decoder`.

    Args:
        name: a name `timm.list_models` lists; for sequences one of `SEQUENCE_BACKBONES`.
        dims: 1 for a backbone on (1, l) planes, 2 for images.
        in_chans: channels of the input.
        num_classes: outputs.
        args: further keyword arguments of that timm model, such as ``{"width": 16}``.
        dense: whether every position is told something, rather than the sample.

    Returns:
        A module [b, c, h, w] → [b, num_classes], or [b, num_classes, h, w] where dense.

    Raises:
        UnknownBackbone: no such name for these dims.
        BadBackbone: timm refuses the arguments, or the backbone has no feature maps to decode.

    >>> net = create_backbone("wrn1d", dims=1, in_chans=1, num_classes=3, args={"width": 8})
    >>> sum(p.numel() for p in net.parameters())
    8643
    """
    known = SEQUENCE_BACKBONES if dims == 1 else _image_backbones()
    if name not in known:
        if dims == 1:
            raise UnknownBackbone(
                name, known, hint=f"For sequences take one of: {', '.join(known)}."
            )
        if name in SEQUENCE_BACKBONES:
            raise UnknownBackbone(name, known, hint=f"{name} is for sequences [n, c, l] only.")
        raise UnknownBackbone(name, known, hint="timm.list_models() lists the image backbones.")
    if refused := sorted(_NOT_ARGUMENTS & set(args or {})):
        raise BadBackbone(f"{refused[0]} is no argument of backbone {name}; leave it out")
    more = dict(args or {})
    if dense and name not in _OWN:
        return add_decoder(name, in_chans=in_chans, num_classes=num_classes, args=more)
    if dense:
        more["dense"] = True
    try:
        net: nn.Module = timm.create_model(
            name, pretrained=False, in_chans=in_chans, num_classes=num_classes, **more
        )
    except Exception as error:  # timm raises whatever the family's constructor raises
        raise BadBackbone(f"Backbone {name} refuses {dict(args or {})}: {error}") from error
    return net


def _image_backbones() -> tuple[str, ...]:
    own = (*SEQUENCE_BACKBONES, "dashzoo_searched")
    return tuple(name for name in timm.list_models() if name not in own)
