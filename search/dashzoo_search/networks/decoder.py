"""Dense prediction on any timm CNN: its feature maps, brought to the input's resolution and added.

    y = head(up(ReLU(BN(conv3×3(Σ_l up(conv1×1(f_l)))))))

over the levels f_l of the backbone, `up` bilinear: the head of Panoptic FPN (Kirillov et al. 2019)
without its stages. Convolutions, additions and resizing are all it takes, so it exports to ONNX as
it stands.

A search leaves the decoder's kernels alone: what an output has to see is the backbone's business,
and a kernel on features of mixed resolutions has no size in samples of the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dashzoo_search.errors import BadBackbone
from dashzoo_search.networks.backbone import Backbone

__all__ = ["Decoded", "Decoder", "add_decoder"]

WIDTH = 64
PROBE = (192, 256)  # a plane to try encoders on; not square, so that transposed axes are seen


def add_decoder(name: str, *, in_chans: int, num_classes: int, args: Mapping[str, Any]) -> Decoded:
    """The timm model ``name`` without its classifier, and a decoder on its feature maps.

    Raises:
        BadBackbone: timm refuses the arguments, or the model has no feature maps, or only for
            planes of one size.
    """
    try:
        encoder = _encoder(name, in_chans, args)
    except Exception as error:  # timm raises whatever the family's constructor raises
        raise BadBackbone(f"Backbone {name} refuses {dict(args)}: {error}") from error
    try:
        channels = _feature_channels(encoder, in_chans)
    except Exception as error:  # the same of its forward pass
        raise BadBackbone(
            f"Backbone {name} gives no feature maps of planes of any size, which an output at "
            f"every position needs ({error}); take another, such as wrn_16_1 or resnet18"
        ) from error
    return Decoded(encoder, channels, num_classes, drop_rate=args.get("drop_rate", 0.0))


class Decoded(Backbone):
    """An encoder and its decoder.

    Args:
        encoder: a module [b, c, h, w] → its feature maps, finest first.
        channels: of each of them.
        num_classes: outputs; 0 leaves the last layer out.
        drop_rate: dropout before the last layer.

    Shape:
        [b, c, h, w] → [b, num_classes, h, w].
    """

    def __init__(
        self,
        encoder: nn.Module,
        channels: Sequence[int],
        num_classes: int,
        *,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__(WIDTH, drop_rate=drop_rate, dense=True)
        self.encoder = encoder
        self.decoder = Decoder(channels, WIDTH)
        self.reset_classifier(num_classes)
        convs = (name for name, m in self.named_modules() if isinstance(m, nn.Conv2d))
        self.pretrained_cfg = {"first_conv": next(convs), "classifier": "fc"}

    def forward_features(self, x: Tensor) -> Tensor:
        """[b, c, h, w] → [b, num_features, h, w]."""
        return _resize(self.decoder(self.encoder(x)), x.shape[-2:])


class Decoder(nn.Module):
    """Feature maps [b, c_l, h_l, w_l], finest first → one [b, width, h_0, w_0]."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        first, *others = (level(x) for level, x in zip(self.levels, features, strict=True))
        for level in others:
            first = first + _resize(level, first.shape[-2:])
        return F.relu(self.bn(self.conv(first)))


class _LastFeatures(nn.Module):
    """A model whose only feature map is its last."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.model.forward_features(x)]  # type: ignore[operator]


def _encoder(name: str, in_chans: int, args: Mapping[str, Any]) -> nn.Module:
    try:
        net: nn.Module = timm.create_model(name, features_only=True, in_chans=in_chans, **args)
    except (AttributeError, RuntimeError, TypeError):  # a model that does not tell its levels
        return _LastFeatures(timm.create_model(name, in_chans=in_chans, num_classes=0, **args))
    return net


def _feature_channels(encoder: nn.Module, in_chans: int) -> list[int]:
    """Channels of each feature map, finest first; nothing is computed to know them.

    Raises:
        ValueError: a feature map is no plane, or not in the order [b, c, h, w].
    """
    state = {
        name: tensor.to("meta")
        for name, tensor in chain(encoder.named_parameters(), encoder.named_buffers())
    }
    training = encoder.training
    plane = torch.empty(2, in_chans, *PROBE, device="meta")
    try:
        features = torch.func.functional_call(encoder.eval(), state, (plane,))
    finally:
        encoder.train(training)
    for feature in features:
        if not _is_plane(feature.shape):
            raise ValueError(f"one of shape {list(feature.shape)} for {list(plane.shape)}")
    return [feature.shape[1] for feature in features]


def _is_plane(shape: Sequence[int]) -> bool:
    if len(shape) != 4:
        return False
    h, w = shape[2:]
    # Padding may take or add a position at either end.
    return h <= PROBE[0] and abs(w - h * PROBE[1] / PROBE[0]) <= 3


def _resize(x: Tensor, size: Sequence[int]) -> Tensor:
    if x.shape[-2:] == torch.Size(size):
        return x
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)
