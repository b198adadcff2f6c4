"""Make a backbone by name: any CNN timm knows, or one of our own, for images or sequences."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
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
from dashzoo_search.networks.planar import make_planar

__all__ = ["SEQUENCE_BACKBONES", "create_backbone", "default_backbone"]

SEQUENCE_BACKBONES = ("wrn1d", "chain1d", "tcn", "fno1d")
_TWINS = {"chain2d": "chain1d", "fno2d": "fno1d"}  # of our own for images, for sequences
_OWN = (*SEQUENCE_BACKBONES, *_TWINS, "wrn_16_1", "wrn_16_4")


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
    pretrained: bool | str | PathLike[str] = False,
) -> nn.Module:
    """A backbone that classifies, randomly initialised unless it is to be pretrained.

    For sequences, those for images are made one-dimensional, see `make_planar`. A dense one has an
    output for every position: our own drop their strides, as DASH does, and any other gets the
    decoder of `add_decoder`.

    Args:
        name: a name `timm.list_models` lists, or one of ours.
        dims: 1 for a backbone on (1, l) planes, 2 for images.
        in_chans: channels of the input.
        num_classes: outputs.
        args: further keyword arguments of that timm model, such as ``{"width": 16}``.
        dense: whether every position is told something, rather than the sample.
        pretrained: whether to start from timm's weights, or a file of such weights.

    Returns:
        A module [b, c, h, w] → [b, num_classes], or [b, num_classes, h, w] where dense.

    Raises:
        UnknownBackbone: no such name for these dims.
        BadBackbone: timm refuses the arguments or has no weights; the backbone has no feature maps
            to decode, or cannot be made one-dimensional.

    >>> net = create_backbone("wrn1d", dims=1, in_chans=1, num_classes=3, args={"width": 8})
    >>> sum(p.numel() for p in net.parameters())
    8643
    """
    _require_known(name, dims)
    if refused := sorted(_NOT_ARGUMENTS & set(args or {})):
        raise BadBackbone(f"{refused[0]} is no argument of backbone {name}; leave it out")
    more = {**dict(args or {}), **_weights(pretrained)}
    try:
        if dense and name not in _OWN:
            net: nn.Module = add_decoder(
                name, in_chans=in_chans, num_classes=num_classes, args=more
            )
        else:
            if dense:
                more["dense"] = True
            net = timm.create_model(name, in_chans=in_chans, num_classes=num_classes, **more)
    except BadBackbone:
        raise
    except Exception as error:  # timm raises whatever the family's constructor raises
        what = "has no such weights" if pretrained else f"refuses {dict(args or {})}"
        raise BadBackbone(f"Backbone {name} {what}: {error}") from error
    if dims == 1 and name not in SEQUENCE_BACKBONES:
        make_planar(net, name=name, in_chans=in_chans)
    return net


def _require_known(name: str, dims: int) -> None:
    images = _image_backbones()
    if dims == 2 and name in SEQUENCE_BACKBONES:
        raise UnknownBackbone(name, images, hint=f"{name} is for sequences [n, c, l] only.")
    if dims == 1 and name in _TWINS:
        raise UnknownBackbone(name, SEQUENCE_BACKBONES, hint=f"For sequences take {_TWINS[name]}.")
    known = images if dims == 2 else (*SEQUENCE_BACKBONES, *images)
    if name not in known:
        ours = f"{', '.join(SEQUENCE_BACKBONES)} are for sequences; " if dims == 1 else ""
        raise UnknownBackbone(name, known, hint=f"{ours}timm.list_models() lists all others.")


def _weights(pretrained: bool | str | PathLike[str]) -> dict[str, Any]:
    """What timm's factory is told."""
    if isinstance(pretrained, bool):
        return {"pretrained": True} if pretrained else {}
    return {"pretrained": True, "pretrained_cfg_overlay": {"file": fspath(pretrained)}}


def _image_backbones() -> tuple[str, ...]:
    own = (*SEQUENCE_BACKBONES, "dashzoo_searched")
    return tuple(name for name in timm.list_models() if name not in own)
