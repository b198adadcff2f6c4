"""One convolution on a plane of known size: all that decides how it is best computed.

Legend: h, w input plane, m outputs along an axis, k taps, d dilation, s stride, p zeros before.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from dashzoo_search.ops import XDConv

__all__ = ["PlaneConv"]

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneConv:
    """Channels, plane and kernel of a zero-padded convolution; a sequence has height 1.

    Attributes:
        ins: channels in.
        outs: channels out.
        size: of the input plane.
        out: of the output plane.
        kernel: taps along each axis.
        dilation: along each axis.
        stride: along each axis.
        before: zeros before the first sample of each axis; behind the last as many as ``out`` asks.
        groups: of channels.
    """

    ins: int
    outs: int
    size: Pair
    out: Pair
    kernel: Pair
    dilation: Pair = (1, 1)
    stride: Pair = (1, 1)
    before: Pair = (0, 0)
    groups: int = 1

    @classmethod
    def of(cls, conv: nn.Conv2d | XDConv, size: Pair, out: Pair) -> PlaneConv:
        """Read ``conv``, which was seen to map planes of ``size`` to ``out``.

        >>> PlaneConv.of(nn.Conv2d(4, 8, (1, 5), padding="same"), (1, 50), (1, 50)).before
        (0, 2)
        """
        kernel, dilation, stride = (
            _pair(v) for v in (conv.kernel_size, conv.dilation, conv.stride)
        )
        if isinstance(conv.padding, str) or type(conv).__name__ == "Conv2dSame":
            # As much as the output needs, half of it in front: torch's "same", and TensorFlow's.
            spans = [
                s * (m - 1) + d * (k - 1) + 1
                for s, m, d, k in zip(stride, out, dilation, kernel, strict=True)
            ]
            same = conv.padding != "valid"
            before = tuple(max(e - n, 0) // 2 * same for e, n in zip(spans, size, strict=True))
        else:
            before = tuple(conv.padding)
        return cls(
            ins=conv.in_channels,
            outs=conv.out_channels,
            size=size,
            out=out,
            kernel=kernel,
            dilation=dilation,
            stride=stride,
            before=_pair(before),
            groups=conv.groups,
        )

    @property
    def extent(self) -> Pair:
        """Samples from the first tap to the last along each axis."""
        return _pair(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True))

    @property
    def flat(self) -> bool:
        """Whether the plane is a sequence, of height 1 all through."""
        return self.size[0] == self.out[0] == self.kernel[0] == 1

    @property
    def depthwise(self) -> bool:
        """Whether channels are not mixed at all."""
        return self.groups == self.ins == self.outs > 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample."""
        return self.outs * (self.ins // self.groups) * math.prod(self.kernel) * math.prod(self.out)

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def _pair(values: Any) -> Pair:
    first, second = values
    return int(first), int(second)
