"""`tcn`, a temporal convolutional network, registered with timm.

Residual blocks of two dilated convolutions, the dilation doubling from block to block: Bai, Kolter
& Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence
Modeling" (2018, arXiv:1803.01271), with batch norm in place of their weight norm.

A causal one sees no sample after the one it tells something of. Its convolutions are padded on the
left only, so they are not centred and a search leaves them alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from dashzoo_search.networks.backbone import Backbone

__all__ = ["CausalConv", "TemporalConvNet"]

MakeConv = Callable[[int, int, int, int], nn.Conv2d]


class TemporalConvNet(Backbone):
    """The network behind `tcn`.

    Its receptive field is 1 + 2 (k − 1) (2^depth − 1) samples.

    Args:
        in_chans: channels of the sequence.
        num_classes: outputs; 0 leaves the classifier out.
        width: channels of every block.
        depth: blocks.
        kernel: taps of every convolution, an odd number.
        causal: whether it sees the past alone; the classifier then reads the last sample's
            features instead of the mean.
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
        depth: int = 6,
        kernel: int = 3,
        causal: bool = False,
        drop_rate: float = 0.0,
        dense: bool = False,
        global_pool: str = "avg",
    ) -> None:
        super().__init__(width, drop_rate=drop_rate, dense=dense, global_pool=global_pool)
        if depth < 1 or kernel < 1 or kernel % 2 == 0:
            raise ValueError("depth must be at least 1, and kernel an odd number")
        self.causal = causal
        conv: MakeConv = CausalConv if causal else _centred
        self.blocks = nn.Sequential(
            *(
                _Block(width if level else in_chans, width, kernel, 2**level, conv)
                for level in range(depth)
            )
        )
        self.feature_info = [
            {"num_chs": width, "reduction": 1, "module": f"blocks.{i}"} for i in range(depth)
        ]
        self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """[b, c, 1, l] → [b, width, 1, l]."""
        return self.blocks(x)  # type: ignore[no-any-return]

    def pool(self, x: Tensor) -> Tensor:
        """[b, width, 1, l] → [b, width]: the last sample's where causal, else the mean."""
        return x[..., 0, -1] if self.causal else super().pool(x)


class CausalConv(nn.Conv2d):
    """A (1, k) convolution whose output at t sees t, t − d, …, t − d(k−1)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, dilation: int) -> None:
        super().__init__(in_channels, out_channels, (1, kernel), dilation=(1, dilation), bias=False)
        self.past = dilation * (kernel - 1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (self.past, 0)))


def _centred(in_channels: int, out_channels: int, kernel: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(
        in_channels,
        out_channels,
        (1, kernel),
        padding=(0, dilation * (kernel // 2)),
        dilation=(1, dilation),
        bias=False,
    )


class _Block(nn.Module):
    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, dilation: int, conv: MakeConv
    ) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, out_channels, kernel, dilation)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv(out_channels, out_channels, kernel, dilation)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = (
            None if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


default_cfgs = generate_default_cfgs(
    {
        "tcn": {
            "num_classes": 2,
            "input_size": (1, 1, 256),
            "first_conv": ("blocks.0.conv1", "blocks.0.shortcut"),
            "classifier": "fc",
            "license": "apache-2.0",
        }
    }
)


@register_model
def tcn(pretrained: bool = False, **kwargs: Any) -> TemporalConvNet:
    """A TCN of six blocks, width 32, for inputs [b, c, 1, l]; it sees 253 samples."""
    net: TemporalConvNet = build_model_with_cfg(TemporalConvNet, "tcn", pretrained, **kwargs)
    return net
