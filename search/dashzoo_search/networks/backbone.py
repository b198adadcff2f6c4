"""What our own families share: the part of a network that timm's users ask of any model.

A subclass gives `forward_features`; pooling, dropout and classifier are here, and so is what
becomes of them where every position is told something of its own.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Backbone"]


class Backbone(nn.Module):
    """A network on planes that ends in one linear classifier, `fc`.

    A subclass calls `reset_classifier` when its own layers are made.

    Args:
        num_features: channels of the feature map.
        drop_rate: dropout before the classifier.
        dense: classify every position, by a 1×1 convolution, instead of their mean.
        global_pool: only ``"avg"``; timm passes it.

    Shape:
        [b, in_chans, h, w] → [b, num_classes], or [b, num_classes, h, w] where dense.
    """

    fc: nn.Module

    def __init__(
        self,
        num_features: int,
        *,
        drop_rate: float = 0.0,
        dense: bool = False,
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        _require_average(global_pool)
        self.num_features = self.head_hidden_size = num_features
        self.num_classes, self.drop_rate, self.dense = 0, drop_rate, dense

    def forward_features(self, x: Tensor) -> Tensor:
        """[b, c, h, w] → [b, num_features, h', w'], with h' = h and w' = w where dense."""
        raise NotImplementedError

    def pool(self, x: Tensor) -> Tensor:
        """[b, num_features, h, w] → [b, num_features]: the mean."""
        return x.mean((-2, -1))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Feature map → outputs, or what enters the classifier."""
        x = x if self.dense else self.pool(x)
        x = F.dropout(x, self.drop_rate, self.training)
        return x if pre_logits else self.fc(x)

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] → [b, num_classes], or [b, num_classes, h, w] where dense."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The last linear layer."""
        return self.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a fresh classifier of ``num_classes`` outputs in place; 0 leaves it out."""
        _require_average(global_pool)
        self.num_classes = num_classes
        if num_classes == 0:
            self.fc = nn.Identity()
        elif self.dense:
            self.fc = nn.Conv2d(self.num_features, num_classes, 1)
        else:
            self.fc = nn.Linear(self.num_features, num_classes)


def _require_average(global_pool: str | None) -> None:
    if global_pool not in (None, "avg"):
        raise ValueError(f"global_pool can be 'avg' only, not {global_pool!r}")
