"""`fno1d` and `fno2d`, Fourier neural operators, registered with timm.

Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations" (ICLR 2021,
arXiv:2010.08895): lift to `width` channels, then four times

    x ← GELU(SpectralConv(x) + W x),

with W a 1×1 convolution, then project. A spectral convolution multiplies the lowest frequencies
by weights and drops the others: a circular convolution with a kernel as large as the plane. There
is no kernel size in it to search; the networks stand beside searched ones, as a comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from dashzoo_search.networks.backbone import Backbone

__all__ = ["FourierOperator", "SpectralConv"]

PROJECTION = 128  # channels before the last layer, as the authors have them


class FourierOperator(Backbone):
    """The network behind `fno1d` and `fno2d`.

    Args:
        in_chans: channels of the field; the authors give it coordinates too.
        num_classes: outputs; 0 leaves the classifier out.
        width: channels of every layer.
        modes: frequencies kept along each axis, of either sign.
        depth: layers.
        dims: 1 for sequences, which are planes of height 1; 2 for fields.
        drop_rate: dropout before the classifier.
        dense: tell every position something.
        global_pool: only ``"avg"``; timm passes it.

    Shape:
        [b, in_chans, h, w] → [b, num_classes], or [b, num_classes, h, w] where dense.
    """

    def __init__(
        self,
        in_chans: int = 1,
        num_classes: int = 1,
        width: int = 32,
        modes: int = 12,
        depth: int = 4,
        dims: int = 2,
        drop_rate: float = 0.0,
        dense: bool = False,
        global_pool: str = "avg",
    ) -> None:
        super().__init__(PROJECTION, drop_rate=drop_rate, dense=dense, global_pool=global_pool)
        if depth < 1 or modes < 1:
            raise ValueError("depth and modes must be at least 1")
        self.lift = nn.Conv2d(in_chans, width, 1)
        self.layers = nn.ModuleList(_Layer(width, modes, dims) for _ in range(depth))
        self.project = nn.Conv2d(width, PROJECTION, 1)
        self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """[b, c, h, w] → [b, 128, h, w]."""
        x = self.lift(x)
        for layer in self.layers:
            x = F.gelu(layer(x))
        return F.gelu(self.project(x))


class SpectralConv(nn.Module):
    """Multiplies the lowest frequencies of a plane by complex matrices, and drops the others.

    The few frequencies that are kept come from products with cosines and sines, in float32: on
    planes of common sizes faster than an FFT that computes all of them, and ONNX has it. A plane
    too small to have as many frequencies uses the weights of those it has.

    Args:
        in_channels, out_channels: as of a convolution.
        modes: frequencies along the last axis, from 0 up, and along the other, of either sign.
        dims: 1 if the plane has height 1, of which only frequency 0 is there.

    Shape:
        [b, in_channels, h, w] → [b, out_channels, h, w].
    """

    def __init__(self, in_channels: int, out_channels: int, modes: int, dims: int) -> None:
        super().__init__()
        self.rows = (1, 0) if dims == 1 else (modes, modes)  # from 0 up, and below 0
        # Real and imaginary part are the last axis: optimisers, AMP and safetensors take no less.
        shape = (in_channels, out_channels, sum(self.rows), modes, 2)
        self.weight = nn.Parameter(torch.rand(shape) / (in_channels * out_channels))

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        up, down = min(self.rows[0], h - h // 2), min(self.rows[1], h // 2)
        columns = min(self.weight.shape[3], w // 2 + 1)
        weight = self.weight[..., :columns, :]
        if up + down < sum(self.rows):
            weight = torch.cat([weight[:, :, :up], weight[:, :, sum(self.rows) - down :]], 2)
        with torch.autocast(x.device.type, enabled=False):
            wide = x.to(torch.promote_types(x.dtype, torch.float32))
            cos_h, sin_h = _waves(wide, h, [*range(up), *range(-down, 0)])
            cos_w, sin_w = _waves(wide, w, range(columns))
            real, imag = wide @ cos_w.mT, -(wide @ sin_w.mT)
            real, imag = _multiply(torch.matmul, (cos_h, -sin_h), (real, imag))
            real, imag = _multiply(_mix, weight.unbind(-1), (real, imag))
            real, imag = _multiply(torch.matmul, (cos_h.mT, sin_h.mT), (real, imag))
            # Column c stands for −c as well, but where they are the same frequency.
            twice = [1.0 if 2 * c in (0, w) else 2.0 for c in range(columns)]
            scale = torch.tensor(twice, dtype=wide.dtype, device=x.device) / (h * w)
            return ((real * scale) @ cos_w - (imag * scale) @ sin_w).to(x.dtype)


def _waves(like: Tensor, length: int, frequencies: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Cosine and sine of 2π f t / length, [f, t]; the phase is reduced in integers, to be exact."""
    turns = torch.outer(
        torch.tensor(frequencies, device=like.device), torch.arange(length, device=like.device)
    )
    angle = (turns % length).double() * (2 * math.pi / length)
    return angle.cos().to(like.dtype), angle.sin().to(like.dtype)


def _multiply(
    product: Callable[[Tensor, Tensor], Tensor],
    a: Sequence[Tensor],
    b: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:
    """Real and imaginary part of the complex ``product`` of a and b."""
    (p, q), (r, s) = a, b
    return product(p, r) - product(q, s), product(p, s) + product(q, r)


def _mix(weight: Tensor, spectrum: Tensor) -> Tensor:
    """[i, o, y, x], [b, i, y, x] → [b, o, y, x], each frequency by its own matrix."""
    return torch.einsum("ioyx,biyx->boyx", weight, spectrum)


class _Layer(nn.Module):
    def __init__(self, width: int, modes: int, dims: int) -> None:
        super().__init__()
        self.spectral = SpectralConv(width, width, modes, dims)
        self.skip = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.spectral(x) + self.skip(x)  # type: ignore[no-any-return]


_CFG: dict[str, Any] = {
    "num_classes": 1,
    "first_conv": "lift",
    "classifier": "fc",
    "license": "apache-2.0",
}

default_cfgs = generate_default_cfgs(
    {
        "fno1d": {**_CFG, "input_size": (1, 1, 256)},
        "fno2d": {**_CFG, "input_size": (1, 85, 85)},
    }
)


@register_model
def fno1d(pretrained: bool = False, **kwargs: Any) -> FourierOperator:
    """An FNO of four layers, width 32 and 16 modes, for inputs [b, c, 1, l]."""
    net: FourierOperator = build_model_with_cfg(
        FourierOperator, "fno1d", pretrained, dims=1, **{"modes": 16, **kwargs}
    )
    return net


@register_model
def fno2d(pretrained: bool = False, **kwargs: Any) -> FourierOperator:
    """An FNO of four layers, width 32 and 12 modes, for inputs [b, c, h, w]."""
    net: FourierOperator = build_model_with_cfg(
        FourierOperator, "fno2d", pretrained, dims=2, **kwargs
    )
    return net
