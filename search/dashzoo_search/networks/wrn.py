"""`wrn1d`, a residual network for sequences, registered with timm.

Three blocks of three convolutions (kernels 9-5-3), each with batch norm and ReLU, and a shortcut
around every block: the time-series ResNet of Wang, Yan & Oates (IJCNN 2017, arXiv:1611.06455),
with 9 in place of its even 8 so that every kernel has a centre.

A sequence is treated as a plane of height 1: inputs are [b, c, 1, l] and kernels (1, k), which
every runtime computes at least as fast as a 3-D layout. `SearchedNet` adds the axis.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from dashzoo_search.networks.backbone import Backbone

__all__ = ["ResNet1d"]

KERNELS = (9, 5, 3)


class ResNet1d(Backbone):
    """The network behind `wrn1d`.

    Args:
        in_chans: channels of the sequence.
        num_classes: outputs; 0 leaves the classifier out.
        width: channels of the first block; the other two have twice as many.
        drop_rate: dropout before the classifier.
        dense: tell every sample something.
        global_pool: only ``"avg"``; timm passes it.

    Shape:
        [b, in_chans, 1, l] → [b, num_classes], or [b, num_classes, 1, l] where dense.
    """

    def __init__(
        self,
        in_chans: int = 1,
        num_classes: int = 2,
        width: int = 32,
        drop_rate: float = 0.0,
        dense: bool = False,
        global_pool: str = "avg",
    ) -> None:
        super().__init__(2 * width, drop_rate=drop_rate, dense=dense, global_pool=global_pool)
        channels = (in_chans, width, 2 * width, 2 * width)
        self.blocks = nn.Sequential(*map(_Block, channels[:-1], channels[1:]))
        self.feature_info = [
            {"num_chs": c, "reduction": 1, "module": f"blocks.{i}"}
            for i, c in enumerate(channels[1:])
        ]
        self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """[b, c, 1, l] → [b, num_features, 1, l]."""
        return self.blocks(x)  # type: ignore[no-any-return]


class _Block(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = _conv(in_channels, out_channels, KERNELS[0])
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = _conv(out_channels, out_channels, KERNELS[1])
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv3 = _conv(out_channels, out_channels, KERNELS[2])
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Sequential()
        if in_channels != out_channels:
            self.shortcut.append(nn.Conv2d(in_channels, out_channels, 1, bias=False))
        self.shortcut.append(nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + self.shortcut(x))


def _conv(in_channels: int, out_channels: int, k: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, (1, k), padding=(0, k // 2), bias=False)


default_cfgs = generate_default_cfgs(
    {
        "wrn1d": {
            "num_classes": 2,
            "input_size": (1, 1, 150),
            "first_conv": ("blocks.0.conv1", "blocks.0.shortcut.0"),
            "classifier": "fc",
            "license": "apache-2.0",
        }
    }
)


@register_model
def wrn1d(pretrained: bool = False, **kwargs: Any) -> ResNet1d:
    """The time-series ResNet of Wang et al. (2017), width 32, for inputs [b, c, 1, l]."""
    net: ResNet1d = build_model_with_cfg(ResNet1d, "wrn1d", pretrained, **kwargs)
    return net
