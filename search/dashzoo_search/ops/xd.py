"""XD-operations: a convolution whose Fourier transforms are learned.

    y_o = Real(K Σ_i diag(L w_oi) M x_i) + bias_o

Where M = F, L = F and K = F⁻¹ this is a convolution; here all three are `Kaleidoscope`s, shared by
all channels, one an axis and their Kronecker product in two dimensions. Roberts et al., "Rethinking
Neural Operations for Diverse Tasks" (NeurIPS 2021, arXiv:2103.15798).

The spectrum lies in bit-reversed order on all sides, so one butterfly a matrix is a convolution. At
depth 3 two more, identities at the start, can permute what goes in and out: there M, L and K reach
every matrix they reach with the spectrum in natural order.

Sizes are padded with zeros at the end, along each axis, to a power of two N that holds all that the
convolution reads: at least n + p, or n itself if padding is circular and n a power of two; see
`circulant`.

Promises: at the start the convolution to 1e-5 (float32), any kernel, dilation, stride and groups,
zero or circular padding, 1-D and 2-D. Weights and architecture are separate parameters. Not
covered: inputs of another size than it was made for, other paddings.

The spectrum of a learned transform has no symmetry: channels are mixed at N frequencies an axis,
where a convolution by FFT mixes them at N / 2 + 1 of the last one.

Legend: b batch, c channels in, o channels out, g groups, k taps, n input and m output samples of an
axis, N its matrices' size, s stride.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops.circulant import Circulant
from dashzoo_search.ops.functional import Sizes, sizes_of
from dashzoo_search.ops.kaleidoscope import Columns, Kaleidoscope, each_axis, prepared
from dashzoo_search.ops.taps import index_tensor

__all__ = ["XDConv"]


class XDConv(nn.Module):
    """A convolution on signals of one size, with learnable transforms.

    Args:
        in_channels: c.
        out_channels: o.
        kernel_size: taps, one integer an axis, which tells the axes, 1 or 2.
        size: of the input, one integer an axis.
        stride: one integer, or one an axis.
        padding: samples on each side, one integer or one an axis, ``"same"`` or ``"valid"``.
        dilation: one integer, or one an axis.
        groups: of channels.
        bias: whether to add one number per output channel.
        padding_mode: ``"zeros"`` or ``"circular"``.
        depth: butterflies in each of K, L and M, 1 to 4.
        length: N along each axis, powers of two; None: the least that holds the convolution.
        device: of the parameters.
        dtype: of the parameters.

    Attributes:
        weight: ``[o, c / groups, *kernel_size]``, as torch's layers have it.
        bias: ``[o]`` or None.
        K, L, M: a `Kaleidoscope` an axis, of output, kernel and input.

    Raises:
        UnsupportedLayer: other axes, padding or depth; a length that is no power of two or too
            short.
        ValueError: what torch's layers refuse too.

    Shape:
        ``[b, c, *size]`` → ``[b, o, *out]``; a sequence may be a plane of height 1.

    >>> conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
    >>> layer, x = XDConv.from_conv(conv, (20, 30)), torch.randn(2, 3, 20, 30)
    >>> bool((layer(x) - conv(x)).abs().max() < 1e-5)
    True
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int],
        size: Sequence[int],
        *,
        stride: Sizes = 1,
        padding: Sizes | Literal["same", "valid"] = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        depth: int = 1,
        length: Sequence[int] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        dims = len(kernel_size)
        if dims not in (1, 2) or len(size) != dims:
            raise UnsupportedLayer(
                f"An XD-operation over {dims} axes on {len(size)} is unsupported; use 1 or 2"
            )
        if padding_mode not in ("zeros", "circular"):
            raise UnsupportedLayer(
                f"An XD-operation cannot express padding {padding_mode}; use zeros or circular"
            )
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"{in_channels} → {out_channels} channels do not divide by {groups}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.size = tuple(kernel_size), tuple(size)
        self.stride, self.dilation = sizes_of(stride, dims), sizes_of(dilation, dims)
        self.padding = padding if isinstance(padding, str) else sizes_of(padding, dims)
        self.padding_mode, self.depth = padding_mode, depth
        self.axes = tuple(
            Circulant.of(
                size[axis],
                taps=kernel_size[axis],
                dilation=self.dilation[axis],
                stride=self.stride[axis],
                padding=padding if isinstance(padding, str) else self.padding[axis],
                circular=padding_mode == "circular",
                length=None if length is None else length[axis],
            )
            for axis in range(dims)
        )
        made: dict[str, Any] = {"device": device, "dtype": dtype}

        def matrices(*, increasing: bool) -> nn.ModuleList:
            return nn.ModuleList(
                Kaleidoscope(axis.length, depth, increasing=increasing, **made)
                for axis in self.axes
            )

        self.K, self.L, self.M = (matrices(increasing=up) for up in (True, False, False))
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = nn.Parameter(torch.empty(shape, **made))
        self.register_parameter(
            "bias", nn.Parameter(torch.empty(out_channels, **made)) if bias else None
        )
        self.reset_parameters()

    @classmethod
    def from_conv(
        cls,
        conv: _ConvNd,
        size: Sequence[int],
        *,
        depth: int = 1,
        length: Sequence[int] | None = None,
    ) -> XDConv:
        """The XD-operation that starts as ``conv`` on inputs of ``size``, with its own weights.

        Raises:
            UnsupportedLayer: a transposed convolution, or what the class refuses.
        """
        if conv.transposed:
            raise UnsupportedLayer(f"A {type(conv).__name__} is unsupported; use an ordinary one")
        made = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            size,
            stride=conv.stride,
            padding=conv.padding,  # type: ignore[arg-type]
            dilation=conv.dilation,
            groups=conv.groups,
            bias=conv.bias is not None,
            padding_mode=conv.padding_mode,
            depth=depth,
            length=length,
            device=conv.weight.device,
            dtype=conv.weight.dtype,
        )
        with torch.no_grad():
            made.weight.copy_(conv.weight)
            if made.bias is not None and conv.bias is not None:
                made.bias.copy_(conv.bias)
        return made.train(conv.training)

    def reset_parameters(self) -> None:
        """Draw weights as torch's layers do, and become a convolution."""
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        if self.bias is not None:
            bound = self.weight[0].numel() ** -0.5
            nn.init.uniform_(self.bias, -bound, bound)
        self.reset_architecture()

    def reset_architecture(self) -> None:
        """Set K, L and M to Fourier transforms, of which K and M are unitary."""
        for k in self._each(self.K):
            k.set_fourier(inverse=True, norm="ortho", reversed_spectrum=True)
        for matrix in self._each(self.L):
            matrix.set_fourier(reversed_spectrum=True)
        for m in self._each(self.M):
            m.set_fourier(norm="ortho", reversed_spectrum=True)

    def architecture(self) -> Iterator[nn.Parameter]:
        """The twiddles of K, L and M, but of axes of one sample, which have none."""
        return (
            matrix.twiddle
            for side in (self.K, self.L, self.M)
            for matrix in self._each(side)
            if matrix.levels
        )

    def weights(self) -> Iterator[nn.Parameter]:
        """Weight and bias, as of the convolution."""
        return (p for p in (self.weight, self.bias) if p is not None)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, c, *size]`` to ``[b, o, *out]``.

        Raises:
            UnsupportedLayer: an input of another size.
            ValueError: other axes or channels.
        """
        if x.dim() != len(self.size) + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"expected [b, {self.in_channels}, {len(self.size)} axes], got {tuple(x.shape)}"
            )
        if x.shape[2:] != self.size:
            mine, theirs = ("×".join(map(str, size)) for size in (self.size, x.shape[2:]))
            raise UnsupportedLayer(
                f"This XD-operation is for inputs of {mine}, not {theirs}; build it for that size"
            )
        with torch.autocast(x.device.type, enabled=False):
            return self._compute(x.to(self.weight.dtype)).to(x.dtype)

    def spectrum(self) -> Tensor:
        """L w, complex ``[*N, g, c / g, o / g]``, its axes from the last to the first."""
        return self._spectrum(prepared(list(self._each(self.L))))

    def _spectrum(self, matrices: Sequence[Columns]) -> Tensor:
        split = self.weight.unflatten(0, (self.groups, -1))  # type: ignore[no-untyped-call]
        taps = split.permute(*range(3, split.dim()), 0, 2, 1)
        products = [
            partial(torch.matmul, self._columns(matrix, axis))
            for axis, matrix in zip(self.axes, matrices, strict=True)
        ]
        return each_axis(taps.to(self.weight.dtype.to_complex()), products)

    @staticmethod
    def _each(matrices: nn.ModuleList) -> Iterator[Kaleidoscope]:
        return (matrix for matrix in matrices if isinstance(matrix, Kaleidoscope))

    def _columns(self, matrix: Columns, axis: Circulant) -> Tensor:
        """Of L only the columns that taps stand at, ``[N, k]``."""
        like = self.weight
        places = index_tensor(axis.places, like.device)
        eye = torch.eye(axis.length, dtype=like.dtype.to_complex(), device=like.device)
        return matrix(eye[:, places])

    def _compute(self, x: Tensor) -> Tensor:
        batch = len(x)
        wraps = [samples for axis in reversed(self.axes) for samples in axis.wrap]
        if any(wraps):
            x = F.pad(x, wraps, mode="circular")
        # Samples first, so that every product runs along whole rows of batch and channels.
        z = x.flatten(0, 1).flatten(1).t().contiguous().view(*x.shape[2:], -1)
        sides = prepared([m for side in (self.K, self.L, self.M) for m in self._each(side)])
        dims = len(self.axes)
        z = each_axis(z.to(self.weight.dtype.to_complex()), sides[2 * dims :])
        z = self._mix(
            z.view(*z.shape[:-1], batch, self.in_channels), self._spectrum(sides[dims : 2 * dims])
        )
        back = [
            partial(k, rows=axis.reach, stride=axis.stride)
            for axis, k in zip(self.axes, sides[:dims], strict=True)
        ]
        y = each_axis(z, back[::-1]).real
        y = y.flatten(0, -2).t().reshape(batch, self.out_channels, *(a.outputs for a in self.axes))
        return y if self.bias is None else y + self.bias.view(-1, *[1] * len(self.axes))

    def _mix(self, z: Tensor, spectrum: Tensor) -> Tensor:
        """``[*N, b, c]`` and ``[*N, g, i, p]`` → ``[*N, b·o]``, at each frequency on its own."""
        g, i, p = spectrum.shape[-3:]
        lead = z.shape[:-2]
        if i == p == 1:
            return (z * spectrum.flatten(-3).unsqueeze(-2)).flatten(-2)
        z = z.reshape(-1, z.shape[-2], g, i).transpose(1, 2)
        mixed = z @ spectrum.reshape(-1, g, i, p)
        return mixed.transpose(1, 2).reshape(*lead, -1)

    def extra_repr(self) -> str:
        """Channels, kernel, settings and sizes."""
        names = ("kernel_size", "size", "stride", "padding", "dilation", "groups", "depth")
        parts = [f"{self.in_channels}, {self.out_channels}", f"bias={self.bias is not None}"]
        parts += [f"{n}={getattr(self, n)}" for n in (*names, "padding_mode")]
        return ", ".join(parts)
