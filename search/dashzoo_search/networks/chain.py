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

__all__ = ["Chain"]


class Chain(nn.Module):
    """The network behind `chain1d` and `chain2d`.

    Args:
        in_chans: channels of the input.
        num_classes: outputs; 0 leaves the classifier out.
        depth: convolutions.
        width: channels of each.
        readout: ``"centre"`` classifies the features in the middle, ``"mean"`` their mean.
        dims: 1 for kernels (1, 3), 2 for (3, 3).
        drop_rate: dropout before the classifier.
        global_pool: only ``"avg"``; timm passes it.

    Shape:
        [b, in_chans, h, w] → [b, num_classes].
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
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        if readout not in ("centre", "mean") or depth < 1:
            raise ValueError("readout must be 'centre' or 'mean', and depth at least 1")
        self.num_classes, self.drop_rate, self.readout = num_classes, drop_rate, readout
        self.num_features = self.head_hidden_size = width
        kernel = (1, 3) if dims == 1 else (3, 3)
        channels = [in_chans, *[width] * depth]
        self.layers = nn.Sequential(
            *(_Layer(i, o, kernel) for i, o in itertools.pairwise(channels))
        )
        self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """[b, c, h, w] → [b, width, h, w]."""
        return self.layers(x)  # type: ignore[no-any-return]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """[b, width, h, w] → [b, num_classes]."""
        centre = x[..., x.shape[-2] // 2, x.shape[-1] // 2]
        x = centre if self.readout == "centre" else x.mean((-2, -1))
        x = F.dropout(x, self.drop_rate, self.training)
        return x if pre_logits else self.fc(x)

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] → [b, num_classes]."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The last linear layer."""
        return self.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a fresh classifier of ``num_classes`` outputs in place."""
        self.num_classes = num_classes
        self.fc: nn.Module = nn.Identity()
        if num_classes > 0:
            self.fc = nn.Linear(self.num_features, num_classes)


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
