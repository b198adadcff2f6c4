"""The searched network: preprocessing, a timm backbone, and the kernels a spec gives it.

It is itself a timm model, ``dashzoo_searched``: its keyword arguments are plain JSON, so that the
``model_args`` of a config.json rebuild it through `timm.create_model` alone, once this module is
imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from dashzoo_search.networks.convs import apply_spec
from dashzoo_search.networks.create import create_backbone
from dashzoo_search.networks.preprocess import Preprocess
from dashzoo_search.spec import KernelSpec

__all__ = ["ARCHITECTURE", "SearchedNet"]

ARCHITECTURE = "dashzoo_searched"


class SearchedNet(nn.Module):
    """A network with searched kernels that takes raw samples.

    Args:
        backbone: its name, as `create_backbone` takes it.
        dims: 1 for sequences [b, c, l], 2 for images [b, c, h, w].
        in_chans: channels of the raw input.
        num_classes: outputs.
        kernels: a `KernelSpec` or its JSON form; None keeps the backbone's own kernels.
        backbone_args: further keyword arguments of the backbone.
        resize: side length images are interpolated to before the backbone.
        kwargs: what timm passes to any model, handed to the backbone.

    Raises:
        UnknownBackbone, BadBackbone, BadSpec: as the parts raise them.

    >>> spec = {"spec_version": 1, "dims": 1,
    ...         "layers": {"blocks.0.conv1": {"kernel": 7, "dilation": 3}}}
    >>> net = SearchedNet("wrn1d", dims=1, in_chans=1, num_classes=2, kernels=spec).eval()
    >>> net(torch.zeros(4, 1, 150)).shape
    torch.Size([4, 2])
    """

    def __init__(
        self,
        backbone: str,
        *,
        dims: int,
        in_chans: int,
        num_classes: int,
        kernels: KernelSpec | Mapping[str, Any] | None = None,
        backbone_args: Mapping[str, Any] | None = None,
        resize: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if kernels is None:
            kernels = KernelSpec(dims=dims, layers={})
        elif not isinstance(kernels, KernelSpec):
            kernels = KernelSpec.from_json(kernels)
        self.spec: KernelSpec = kernels
        self.backbone_name = backbone
        self.backbone_args = dict(backbone_args or {})
        self.dims, self.in_chans, self.num_classes = dims, in_chans, num_classes
        self.resize = resize
        self.preprocess = Preprocess(in_chans, dims, (resize, resize) if resize else None)
        self.backbone = create_backbone(
            backbone,
            dims=dims,
            in_chans=in_chans,
            num_classes=num_classes,
            args={**self.backbone_args, **kwargs},
        )
        apply_spec(self.backbone, kernels)

    @property
    def num_features(self) -> int:
        """Channels that enter the backbone's head."""
        return cast(int, self.backbone.num_features)

    @property
    def model_args(self) -> dict[str, Any]:
        """The keyword arguments, as plain JSON, that build this network again."""
        args: dict[str, Any] = {
            "backbone": self.backbone_name,
            "dims": self.dims,
            "in_chans": self.in_chans,
            "kernels": self.spec.to_json(),
        }
        if self.backbone_args:
            args["backbone_args"] = self.backbone_args
        if self.resize:
            args["resize"] = self.resize
        return args

    def example_input(self, size: tuple[int, ...], batch: int = 1) -> Tensor:
        """Zeros [batch, c, *size] on the network's device."""
        return torch.zeros(batch, self.in_chans, *size, device=self.preprocess.mean.device)

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, l] or [b, c, h, w] → [b, num_classes], raw outputs."""
        return self.backbone(self.preprocess(x))  # type: ignore[no-any-return]

    def forward_features(self, x: Tensor) -> Tensor:
        """Raw samples → the backbone's last feature map."""
        return self.backbone.forward_features(self.preprocess(x))  # type: ignore

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Feature map → outputs, or what enters the classifier."""
        return self.backbone.forward_head(x, pre_logits=pre_logits)  # type: ignore

    def get_classifier(self) -> nn.Module:
        """The backbone's classifier."""
        return self.backbone.get_classifier()  # type: ignore

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a fresh classifier of ``num_classes`` outputs in place."""
        self.num_classes = num_classes
        self.backbone.reset_classifier(num_classes, global_pool)  # type: ignore


default_cfgs = generate_default_cfgs(
    {ARCHITECTURE: {"num_classes": 2, "input_size": (1, 1, 150), "license": "apache-2.0"}}
)


def _adapt_channels(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Give the normalisation of a model with other input channels the checkpoint's average."""
    wanted = cast(SearchedNet, model).in_chans
    for name in ("preprocess.mean", "preprocess.std"):
        if name in state and len(state[name]) != wanted:
            state[name] = state[name].mean().repeat(wanted)
    return state


@register_model
def dashzoo_searched(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """A backbone with searched kernels, rebuilt from ``backbone=…, dims=…, kernels={…}``."""
    net: nn.Module = build_model_with_cfg(
        SearchedNet, ARCHITECTURE, pretrained, pretrained_filter_fn=_adapt_channels, **kwargs
    )
    return net
