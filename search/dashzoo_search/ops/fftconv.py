"""`FFTConv`: torch's convolution layers, computed in the frequency domain."""

from __future__ import annotations

from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.conv import _ConvNd

from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops.functional import Sizes, fft_conv, sizes_of

__all__ = ["FFTConv"]


class FFTConv(_ConvNd):
    """`torch.nn.Conv1d`, ``Conv2d`` or ``Conv3d`` through `fft_conv`: for large dense kernels.

    Parameters have the names and shapes of torch's layers, so state dicts go either way.

    Args:
        in_channels: c.
        out_channels: o.
        kernel_size: one integer an axis, which tells the axes, 1 to 3.
        stride: one integer, or one an axis.
        padding: samples on each side, one integer or one an axis, ``"same"`` or ``"valid"``.
        dilation: one integer, or one an axis.
        groups: of channels.
        bias: whether to add one number per output channel.
        padding_mode: ``"zeros"``, ``"circular"``, ``"reflect"`` or ``"replicate"``.
        kwargs: ``device`` and ``dtype`` of the parameters.

    Raises:
        UnsupportedLayer: more than three axes.
        ValueError: what torch's layers refuse too.

    Shape:
        ``[b, c, *size]`` or ``[c, *size]`` → ``[b, o, *out]`` or ``[o, *out]``.

    >>> import torch
    >>> conv = torch.nn.Conv2d(3, 8, 31, padding="same")
    >>> x = torch.randn(2, 3, 40, 40)
    >>> bool((FFTConv.from_conv(conv)(x) - conv(x)).abs().max() < 1e-4)
    True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        stride: Sizes = 1,
        padding: Sizes | Literal["same", "valid"] = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        **kwargs: Any,
    ) -> None:
        dims = len(kernel_size)
        if not 1 <= dims <= 3:
            raise UnsupportedLayer(f"A convolution over {dims} axes is unsupported; use 1, 2 or 3")
        super().__init__(
            in_channels,
            out_channels,
            tuple(kernel_size),
            sizes_of(stride, dims),
            padding if isinstance(padding, str) else sizes_of(padding, dims),
            sizes_of(dilation, dims),
            False,  # transposed
            (0,) * dims,
            groups,
            bias,
            padding_mode,
            **kwargs,
        )

    @classmethod
    def from_conv(cls, conv: _ConvNd) -> FFTConv:
        """The same layer, sharing its parameters.

        Raises:
            UnsupportedLayer: a transposed convolution.
        """
        if conv.transposed:
            raise UnsupportedLayer(f"A {type(conv).__name__} is unsupported; use an ordinary one")
        made = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,  # type: ignore[arg-type]
            conv.dilation,
            conv.groups,
            conv.bias is not None,
            conv.padding_mode,
            device="meta",
        )
        made.weight, made.bias = conv.weight, conv.bias
        return made.train(conv.training)

    def forward(self, input: Tensor) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return fft_conv(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )
