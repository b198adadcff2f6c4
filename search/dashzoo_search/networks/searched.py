"""The searched network: preprocessing, a timm backbone, and the kernels a spec gives it.

It is itself a timm model, ``dashzoo_searched``: its keyword arguments are plain JSON, so that the
``model_args`` of a config.json rebuild it through `timm.create_model` alone, once this module is
imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from dashzoo_search.errors import BadBackbone
from dashzoo_search.networks.convs import apply_spec, same_kernel
from dashzoo_search.networks.create import create_backbone
from dashzoo_search.networks.features import SearchedFeatures
from dashzoo_search.networks.moments import InputNorm, Per
from dashzoo_search.networks.postprocess import Postprocess
from dashzoo_search.networks.preprocess import Preprocess
from dashzoo_search.rows import Array
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
        dense: whether there is an output for every position of a sample.
        coords: whether the backbone is given coordinates as channels, see `Preprocess`.
        input_norm: whose mean and standard deviation samples are normalised by: each channel's,
            each position's, or by ``"sample"`` those of the channels of each sample itself.
        output_norm: the same of outputs that are numbers, see `Postprocess`; None leaves them be.
        size: of a raw sample, (l,) or (h, w); only a norm by position needs it, and makes the
            network one for this size.
        kwargs: what timm passes to any model, handed to the backbone.

    Raises:
        UnknownBackbone, BadBackbone, BadSpec: as the parts raise them.
        BadBackbone: options that do not go together.

    Shape:
        [b, c, l] or [b, c, h, w] → [b, num_classes], or [b, num_classes, *size] where dense.

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
        dense: bool = False,
        coords: bool = False,
        input_norm: InputNorm = "channel",
        output_norm: Per | None = None,
        size: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if kernels is None:
            kernels = KernelSpec(dims=dims, layers={})
        elif not isinstance(kernels, KernelSpec):
            kernels = KernelSpec.from_json(kernels)
        _require_agreement(dims, resize, dense, input_norm, output_norm, size)
        self.spec: KernelSpec = kernels
        self.backbone_name = backbone
        self.backbone_args = dict(backbone_args or {})
        self.dims, self.in_chans, self.num_classes = dims, in_chans, num_classes
        self.resize, self.dense, self.coords = resize, dense, coords
        self.input_norm, self.output_norm = input_norm, output_norm
        by_position = "position" in (input_norm, output_norm)
        self.size = tuple(size) if by_position and size is not None else None
        self.preprocess = Preprocess(
            in_chans,
            dims,
            (resize, resize) if resize else None,
            size=self.size or () if input_norm == "position" else (),
            per_sample=input_norm == "sample",
            coords=coords,
        )
        self.backbone = create_backbone(
            backbone,
            dims=dims,
            in_chans=self.preprocess.out_chans,
            num_classes=num_classes,
            args={**self.backbone_args, **kwargs},
            dense=dense,
        )
        self.postprocess = self._postprocess()
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
        if self.dense:
            args["dense"] = True
        if self.coords:
            args["coords"] = True
        if self.input_norm != "channel":
            args["input_norm"] = self.input_norm
        if self.output_norm is not None:
            args["output_norm"] = self.output_norm
        if self.size is not None:
            args["size"] = list(self.size)
        return args

    def with_kernels(self, kernels: KernelSpec | None) -> SearchedNet:
        """The same network with other kernels (None: the backbone's own) and fresh weights."""
        args = {**self.model_args, "num_classes": self.num_classes, "kernels": kernels}
        return SearchedNet(**args).to(self.preprocess.mean.device)

    def adopt(self, backbone: nn.Module) -> None:
        """Take the weights of ``backbone``, the same one with kernels of its own, pretrained say.

        Layers whose kernel is another keep theirs.
        """
        modules = dict(backbone.named_modules())
        kept = tuple(
            f"{name}."
            for name in self.spec.layers
            if not same_kernel(modules[name], self.backbone.get_submodule(name))
        )
        state = {k: v for k, v in backbone.state_dict().items() if not k.startswith(kept)}
        self.backbone.load_state_dict(state, strict=False)

    def fit_norms(self, X: Array, y: Array) -> None:
        """Normalise by samples ``X`` [n, c, …] and, where outputs are scaled, targets ``y``."""
        self.preprocess.fit(X)
        if isinstance(self.postprocess, Postprocess):
            self.postprocess.fit(y)

    def example_input(self, size: tuple[int, ...], batch: int = 1) -> Tensor:
        """Zeros [batch, c, *size] on the network's device."""
        return torch.zeros(batch, self.in_chans, *size, device=self.preprocess.mean.device)

    def forward(self, x: Tensor) -> Tensor:
        """Raw samples → raw outputs."""
        return self._finish(self.backbone(self.preprocess(x)))

    def forward_features(self, x: Tensor) -> Tensor:
        """Raw samples → the backbone's last feature map, [b, c, 1, l] of sequences."""
        return self.backbone.forward_features(self.preprocess(x))  # type: ignore

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Feature map → outputs, or what enters the classifier."""
        y: Tensor = self.backbone.forward_head(x, pre_logits=pre_logits)  # type: ignore
        return y if pre_logits else self._finish(y)

    def _finish(self, y: Tensor) -> Tensor:
        """The backbone's outputs, without the axis a sequence was lent, in the data's units."""
        return self.postprocess(y.squeeze(2) if self.dense and self.dims == 1 else y)  # type: ignore[no-any-return]

    def get_classifier(self) -> nn.Module:
        """The backbone's classifier."""
        return self.backbone.get_classifier()  # type: ignore

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a fresh classifier of ``num_classes`` outputs in place."""
        self.num_classes = num_classes
        self.backbone.reset_classifier(num_classes, global_pool)  # type: ignore
        self.postprocess = self._postprocess().to(self.preprocess.mean.device)

    def _postprocess(self) -> nn.Module:
        if self.output_norm is None or self.num_classes == 0:
            return nn.Identity()
        positions = self.output_norm == "position"
        return Postprocess(self.num_classes, self.size or () if positions else ())


def _require_agreement(
    dims: int,
    resize: int | None,
    dense: bool,
    input_norm: InputNorm,
    output_norm: Per | None,
    size: Sequence[int] | None,
) -> None:
    if dense and resize:
        raise BadBackbone("Outputs for every position keep the samples' size; leave resize out")
    if output_norm == "position" and not dense:
        raise BadBackbone("Only dense outputs have positions; take the output_norm 'channel'")
    known = ("channel", "position")
    if input_norm not in (*known, "sample") or output_norm not in (*known, None):
        raise BadBackbone(
            "A norm is by 'channel' or 'position', of inputs also by 'sample'; take one of them"
        )
    if "position" in (input_norm, output_norm) and (size is None or len(size) != dims):
        raise BadBackbone("A norm by position is for samples of one size; give size")


default_cfgs = generate_default_cfgs(
    {ARCHITECTURE: {"num_classes": 2, "input_size": (1, 1, 150), "license": "apache-2.0"}}
)


def _adapt_channels(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Give norms of a model with other channels than the checkpoint's the average of its own."""
    for name, wanted in model.state_dict().items():
        norm = name.startswith(("preprocess.", "postprocess.")) and name in state
        if norm and len(state[name]) != len(wanted):
            state[name] = state[name].mean(0).expand(wanted.shape).clone()
    return state


@register_model
def dashzoo_searched(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """A backbone with searched kernels, rebuilt from ``backbone=…, dims=…, kernels={…}``.

    With ``features_only=True`` its feature maps, see `SearchedFeatures`.
    """
    net: nn.Module = build_model_with_cfg(
        SearchedNet,
        ARCHITECTURE,
        pretrained,
        pretrained_filter_fn=_adapt_channels,
        feature_cfg={"feature_cls": SearchedFeatures, "out_indices": None},
        **kwargs,
    )
    return net
