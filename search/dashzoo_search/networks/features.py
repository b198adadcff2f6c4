"""`features_only` of a searched network: raw samples in, the backbone's feature maps out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from timm.models import FeatureHookNet
from torch import Tensor, nn

from dashzoo_search.errors import BadBackbone

if TYPE_CHECKING:
    from dashzoo_search.networks.searched import SearchedNet

__all__ = ["SearchedFeatures"]


class SearchedFeatures(nn.Module):
    """The levels of a backbone, as timm's ``feature_info`` tells them, in the backbone's layout.

    Args:
        model: classifies samples; its classifier goes.
        out_indices: of the levels, negative ones from the end; None takes all.

    Attributes:
        feature_info: channels, reductions and modules of the levels, as timm has it.

    Raises:
        BadBackbone: the network is dense, or tells nothing of its levels.

    Shape:
        [b, c, l] → [[b, c_i, l_i], …], or [b, c, h, w] → [[b, c_i, h_i, w_i], …].
    """

    def __init__(self, model: SearchedNet, out_indices: Sequence[int] | None = None) -> None:
        super().__init__()
        info = getattr(model.backbone, "feature_info", None)
        if model.dense or not info:
            what = "is dense" if model.dense else "tells nothing of its levels"
            raise BadBackbone(
                f"Backbone {model.backbone_name} {what}, so features_only cannot be had; "
                "call forward_features"
            )
        levels = range(len(info))
        if out_indices is None:
            out_indices = levels
        if beyond := [i for i in out_indices if not -len(levels) <= i < len(levels)]:
            raise BadBackbone(
                f"Backbone {model.backbone_name} has no level {beyond[0]}, only "
                f"{len(levels)}; give out_indices of these"
            )
        # Of sequences, the axis they were lent.
        rows = 1 if getattr(model.backbone, "output_fmt", "NCHW") == "NHWC" else 2
        self.rows = rows if model.dims == 1 else None
        self.preprocess = model.preprocess
        try:
            self.backbone = FeatureHookNet(
                model.backbone, out_indices=tuple(levels[i] for i in out_indices), no_rewrite=True
            )
        except KeyError as error:  # a family with a class of its own for this
            raise BadBackbone(
                f"Backbone {model.backbone_name} makes no feature maps in a module of its own "
                f"({error}), so features_only cannot be had; call forward_features"
            ) from error
        self.feature_info: Any = self.backbone.feature_info

    def forward(self, x: Tensor) -> list[Tensor]:
        """Raw samples → feature maps, finest first."""
        maps: list[Tensor] = self.backbone(self.preprocess(x))
        return [y if self.rows is None else y.squeeze(self.rows) for y in maps]
