"""`wrn_16_1` and `wrn_16_4`, wide residual networks for images, registered with timm.

Zagoruyko & Komodakis, "Wide Residual Networks" (BMVC 2016, arXiv:1605.07146): a 3×3 convolution,
three groups of two blocks with two 3×3 convolutions each, every one of them after batch norm and
ReLU. WRN-16-1 is what DASH searches, WRN-16-4 what it retrains; all 13 convolutions are searched.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from dashzoo_search.networks.backbone import Backbone

__all__ = ["WideResNet"]

BLOCKS = 2  # a group, which makes 3·2·2 + 4 = 16 layers, as the authors count them


class WideResNet(Backbone):
    """The network behind `wrn_16_1` and `wrn_16_4`.

    Args:
        in_chans: channels of the image.
        num_classes: outputs; 0 leaves the classifier out.
        widen: the groups have 1, 2 and 4 times this many times ``width`` channels.
        width: channels of the stem; 16 in the paper.
        drop_rate: dropout before the classifier.
        dense: tell every position something; all strides are 1 then, as in DASH.
        global_pool: only ``"avg"``; timm passes it.

    Shape:
        [b, in_chans, h, w] → [b, num_classes], or [b, num_classes, h, w] where dense.
    """

    def __init__(
        self,
        in_chans: int = 3,
        num_classes: int = 10,
        widen: int = 1,
        width: int = 16,
        drop_rate: float = 0.0,
        dense: bool = False,
        global_pool: str = "avg",
    ) -> None:
        features = 4 * width * widen
        super().__init__(features, drop_rate=drop_rate, dense=dense, global_pool=global_pool)
        self.conv1 = _conv(in_chans, width)
        blocks, channels = [], width
        for group in range(3):
            for block in range(BLOCKS):
                stride = 1 if dense or group == 0 or block > 0 else 2
                blocks.append(_Block(channels, width * widen * 2**group, stride))
                channels = width * widen * 2**group
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(channels)
        self.feature_info = [
            {
                "num_chs": width * widen * 2**group,
                "reduction": 1 if dense else 2**group,
                "module": f"blocks.{BLOCKS * (group + 1) - 1}",
            }
            for group in range(3)
        ]
        self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """[b, c, h, w] → [b, num_features, h/4, w/4], or [b, num_features, h, w] where dense."""
        return F.relu(self.bn(self.blocks(self.conv1(x))))


class _Block(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = _conv(in_channels, out_channels, stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = _conv(out_channels, out_channels)
        self.shortcut = (
            None
            if in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(activated))))
        return y + (x if self.shortcut is None else self.shortcut(activated))  # type: ignore[no-any-return]


def _conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


_CFG: dict[str, Any] = {
    "num_classes": 10,
    "input_size": (3, 32, 32),
    "first_conv": "conv1",
    "classifier": "fc",
    "license": "apache-2.0",
}

default_cfgs = generate_default_cfgs({"wrn_16_1": _CFG, "wrn_16_4": _CFG})


@register_model
def wrn_16_1(pretrained: bool = False, **kwargs: Any) -> WideResNet:
    """WRN-16-1: 16, 32 and 64 channels."""
    net: WideResNet = build_model_with_cfg(WideResNet, "wrn_16_1", pretrained, **kwargs)
    return net


@register_model
def wrn_16_4(pretrained: bool = False, **kwargs: Any) -> WideResNet:
    """WRN-16-4: 64, 128 and 256 channels."""
    net: WideResNet = build_model_with_cfg(
        WideResNet, "wrn_16_4", pretrained, **{"widen": 4, **kwargs}
    )
    return net
