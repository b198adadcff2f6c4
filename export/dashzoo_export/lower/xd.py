"""What becomes of an XD-operation: a convolution if it still is one, a dense operator, or factors.

| form | what it is | when |
|---|---|---|
| `torch.nn.Conv2d` | the convolution it computes | it is one, to a tolerance |
| `DenseXD` | y = x T + bias, every sample of every channel with every other | T is small enough |
| `FactoredXD` | Real(K diag(L w) M x) + bias by one matrix an axis | otherwise |

Both others are products, sums, transpositions and reshapes of real tensors, constants computed in
double precision; padding, cropping and stride are in the matrices. An axis' matrix is written out,
with 2nN numbers, for at the sizes planes have one large product beats its butterflies' many small.

Legend: B batch, C channels in, O out, g groups, (h, w) input plane, (a, b) output plane,
N size of an axis' matrices, m outputs of an axis.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from dashzoo_export.lower.float32 import Float32
from dashzoo_export.lower.recognise import as_convolution
from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops.circulant import Circulant
from dashzoo_search.ops.kaleidoscope import Kaleidoscope
from dashzoo_search.ops.xd import XDConv

__all__ = ["DENSE_LIMIT", "DenseXD", "FactoredXD", "lower_xd"]

DENSE_LIMIT = 16_000_000  # bytes of T; what is larger costs more than its factors
MATRIX_LIMIT = 256_000_000  # bytes of an axis' matrices


def lower_xd(
    layer: XDConv, *, tolerance: float = 1e-4, dense_limit: int = DENSE_LIMIT
) -> nn.Conv2d | DenseXD | FactoredXD:
    """The form an XD-operation on planes is exported in, on its device.

    Args:
        layer: it is left as it is.
        tolerance: within which it counts as a convolution, of the largest output.
        dense_limit: bytes that a dense operator may take.

    Raises:
        UnsupportedLayer: a layer on sequences that are no planes, or too long for a matrix.

    >>> conv = nn.Conv2d(2, 3, (1, 5), padding="same")
    >>> lower_xd(XDConv.from_conv(conv, (1, 20))).kernel_size
    (1, 5)
    """
    if len(layer.size) != 2:
        raise UnsupportedLayer("XD-operations are lowered on planes; make sequences of height 1")
    exact = copy.deepcopy(layer).cpu().double().eval()
    with torch.no_grad():
        conv = as_convolution(exact, tolerance)
        if conv is not None:
            return conv.to(layer.weight.device, layer.weight.dtype)
        outs = layer.out_channels * math.prod(axis.outputs for axis in layer.axes)
        ins = layer.in_channels // layer.groups * math.prod(layer.size)
        made = DenseXD(exact) if 4 * ins * outs <= dense_limit else FactoredXD(exact)
        return made.eval().to(layer.weight.device)


class _Form(Float32):
    """An XD-operation on planes of one size, its constants float32 whatever it is cast to."""

    def __init__(self, layer: XDConv, constants: dict[str, Tensor]) -> None:
        super().__init__()
        self.size = layer.size
        self.ins, self.outs, self.groups = layer.in_channels, layer.out_channels, layer.groups
        self.out = tuple(axis.outputs for axis in layer.axes)
        bias = torch.zeros(self.outs) if layer.bias is None else layer.bias.detach()
        for name, value in {**constants, "bias": bias.view(1, -1, 1, 1)}.items():
            self.register_buffer(name, value.float().contiguous())

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[2:]) != self.size:
            raise UnsupportedLayer(
                f"This layer was lowered for planes of {self.size}, not {tuple(x.shape[2:])}; "
                "lower the network for that size"
            )
        y = self.operate(x.float())
        return (y.reshape(-1, self.outs, *self.out) + self.get_buffer("bias")).to(x.dtype)

    def operate(self, x: Tensor) -> Tensor:
        """The operation without bias, in float32, of any shape with these numbers in this order."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Channels and sizes."""
        return f"{self.ins}, {self.outs}, size={self.size}, out={self.out}, groups={self.groups}"


class DenseXD(_Form):
    """An XD-operation as one matrix: from every sample of every channel to every other.

    Args:
        layer: in double precision, on planes.

    Shape:
        ``[B, C, h, w]`` → ``[B, O, a, b]``.
    """

    operator: Tensor

    def __init__(self, layer: XDConv) -> None:
        each = layer.in_channels // layer.groups
        samples = each * math.prod(layer.size)
        answers = []
        for part in torch.split(torch.eye(samples, dtype=torch.float64), 256):
            x = part.view(-1, 1, each, *layer.size).expand(-1, layer.groups, -1, -1, -1)
            y = layer(x.flatten(1, 2))
            if layer.bias is not None:
                y = y - layer.bias[:, None, None]
            answers.append(y.reshape(len(y), layer.groups, -1))
        operator = torch.cat(answers).transpose(0, 1)
        super().__init__(layer, {"operator": operator if layer.groups > 1 else operator[0]})

    def operate(self, x: Tensor) -> Tensor:
        """One product for each group of channels."""
        if self.groups == 1:
            return x.reshape(-1, len(self.operator)) @ self.operator
        z = x.reshape(-1, self.groups, self.operator.shape[1]).transpose(0, 1)
        return (z @ self.operator).transpose(0, 1)


class FactoredXD(_Form):
    """An XD-operation as M, L w and K, real and imaginary part one after the other.

    Args:
        layer: in double precision, on planes.

    Shape:
        ``[B, C, h, w]`` → ``[B, O, a, b]``.

    Raises:
        UnsupportedLayer: planes whose matrices outgrow `MATRIX_LIMIT`.
    """

    wide_in: Tensor
    high_in: Tensor
    mixer: Tensor
    high_out: Tensor
    wide_out: Tensor

    def __init__(self, layer: XDConv) -> None:
        for axis, n in zip(layer.axes, layer.size, strict=True):
            if 8 * axis.length * max(n, axis.reach) > MATRIX_LIMIT:
                raise UnsupportedLayer(
                    f"An XD-operation on {n} samples has no exported form; shorten the samples, or "
                    "search convolutions"
                )
        self.lengths = tuple(axis.length for axis in layer.axes)
        high_in, wide_in = (
            _reading(matrix, axis, n)
            for matrix, axis, n in zip(layer.M, layer.axes, layer.size, strict=True)
        )
        high_out, wide_out = (
            _writing(matrix, axis) for matrix, axis in zip(layer.K, layer.axes, strict=True)
        )
        super().__init__(
            layer,
            {
                "wide_in": torch.cat((wide_in.real, wide_in.imag)).t(),
                "high_in": _real_block(high_in).t(),
                "mixer": _real_block(layer.spectrum().flatten(0, 1).mT).mT,
                "high_out": _real_block(high_out).t(),
                "wide_out": torch.cat((wide_out.real, -wide_out.imag), 1).t(),
            },
        )

    def operate(self, x: Tensor) -> Tensor:
        """Five products, with an axis turned to the end before each."""
        h, a = self.size[0], self.out[0]
        high, wide = self.lengths
        g, i, o = self.groups, self.ins // self.groups, self.outs // self.groups
        z = (x @ self.wide_in).reshape(-1, self.ins, h, 2, wide)
        z = z.permute(0, 1, 4, 3, 2).reshape(-1, self.ins, wide, 2 * h) @ self.high_in
        z = z.reshape(-1, g, i, wide, 2, high).permute(3, 5, 1, 0, 4, 2)
        z = z.reshape(wide * high, g, -1, 2 * i) @ self.mixer
        z = z.reshape(wide, high, g, -1, 2, o).permute(3, 2, 5, 0, 4, 1)
        z = z.reshape(-1, self.outs, wide, 2 * high) @ self.high_out
        z = z.reshape(-1, self.outs, wide, 2, a).permute(0, 1, 4, 3, 2)
        return z.reshape(-1, self.outs, a, 2 * wide) @ self.wide_out


def _reading(matrix: nn.Module, axis: Circulant, n: int) -> Tensor:
    """M with its padding, complex ``[N, n]``."""
    assert isinstance(matrix, Kaleidoscope)
    source = torch.arange(n + sum(axis.wrap)) - axis.wrap[0]
    dense = matrix.dense()
    return dense.new_zeros(axis.length, n).index_add(1, source % n, dense[:, : len(source)])


def _writing(matrix: nn.Module, axis: Circulant) -> Tensor:
    """K with its cropping and stride, complex ``[m, N]``."""
    assert isinstance(matrix, Kaleidoscope)
    return matrix.dense()[: axis.reach : axis.stride]


def _real_block(matrix: Tensor) -> Tensor:
    """``[..., r, c]`` complex → ``[..., 2r, 2c]``, the same on real parts before imaginary ones."""
    upper = torch.cat((matrix.real, -matrix.imag), -1)
    return torch.cat((upper, torch.cat((matrix.imag, matrix.real), -1)), -2)
