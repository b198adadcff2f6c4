"""`chain1d` and `chain2d`, plain chains of convolutions, registered with timm.

Each layer is a 3-tap convolution, batch norm and ReLU at full resolution, with no shortcut; the
classifier reads the features at the centre, or their mean. Small enough to see through: the
networks planted kernels are looked for in.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from dashzoo_search.networks.backbone import Backbone

__all__ = ["Chain"]


class Chain(Backbone):
    """The network behind `chain1d` and `chain2d`.

    Args:
        in_chans: channels of the input.
        num_classes: outputs; 0 leaves the classifier out.
        depth: convolutions.
        width: channels of each.
        readout: ``"centre"`` classifies the features in the middle, ``"mean"`` their mean.
        dims: 1 for kernels (1, 3), 2 for (3, 3).
        drop_rate: dropout before the classifier.
        dense: tell every position something, whatever the readout.
        global_pool: only ``"avg"``; timm passes it.

    Shape:
        [b, in_chans, h, w] → [b, num_classes], or [b, num_classes, h, w] where dense.
    """

    def __init__(
        self,
        in_chans: int = 1,
        num_classes: int = 2,
        depth: int = 2,
        width: int = 16,
        readout: str = "centre",
        dims: int = 1,
        drop_rate: float = 0.0,
        dense: bool = False,
        global_pool: str = "avg",
    ) -> None:
        super().__init__(width, drop_rate=drop_rate, dense=dense, global_pool=global_pool)
        if readout not in ("centre", "mean") or depth < 1:
            raise ValueError("readout must be 'centre' or 'mean', and depth at least 1")
        self.readout = readout
        kernel = (1, 3) if dims == 1 else (3, 3)
        channels = [in_chans, *[width] * depth]
        self.layers = nn.Sequential(
            *(_Layer(i, o, kernel) for i, o in itertools.pairwise(channels))
        )
        self.feature_info = [
            {"num_chs": width, "reduction": 1, "module": f"layers.{i}"} for i in range(depth)
        ]
        self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """[b, c, h, w] → [b, width, h, w]."""
        return self.layers(x)  # type: ignore[no-any-return]

    def pool(self, x: Tensor) -> Tensor:
        """[b, width, h, w] → [b, width]: the centre's, or the mean."""
        if self.readout == "mean":
            return super().pool(x)
        return x[..., x.shape[-2] // 2, x.shape[-1] // 2]


class _Layer(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


_CFG: dict[str, Any] = {
    "num_classes": 2,
    "first_conv": "layers.0.conv",
    "classifier": "fc",
    "license": "apache-2.0",
}

default_cfgs = generate_default_cfgs(
    {
        "chain1d": {**_CFG, "input_size": (1, 1, 64)},
        "chain2d": {**_CFG, "input_size": (1, 32, 32)},
    }
)


@register_model
def chain1d(pretrained: bool = False, **kwargs: Any) -> Chain:
    """A chain of (1, 3) convolutions, for inputs [b, c, 1, l]."""
    net: Chain = build_model_with_cfg(Chain, "chain1d", pretrained, dims=1, **kwargs)
    return net


@register_model
def chain2d(pretrained: bool = False, **kwargs: Any) -> Chain:
    """A chain of (3, 3) convolutions, for inputs [b, c, h, w]."""
    net: Chain = build_model_with_cfg(Chain, "chain2d", pretrained, dims=2, **kwargs)
    return net
