"""`Kaleidoscope`: a learnable square matrix, and the transforms among its settings.

A chain of butterflies in turns of direction (`butterfly`), with complex twiddles held as real
parameters. What is set exactly:

| matrix | butterflies |
|---|---|
| identity | any |
| Hadamard, natural order | any |
| Fourier transform to a bit-reversed spectrum | a decreasing one |
| Fourier transform from a bit-reversed spectrum | an increasing one |
| bit reversal | 2 |
| Fourier transform, natural order | 3: one, and a bit reversal |

A spectrum needs no order to be multiplied point by point, so a convolution takes one butterfly a
matrix. From one on, `bit_reversed` puts the spectrum in natural order.

The factor of level s of the decreasing Fourier transform (Cooley and Tukey, by frequency) decides
bit t = m − 1 − s of the frequency, b, from bit s of the time, a, and the bits r below:

    T_s[b, a] = exp(−2πi · step · 2^t · b · (a 2^s + r) / n)

With a ``step`` other than 1 it is the spectrum at every step-th frequency, modulo n: the transform
of a signal with step − 1 zeros between its samples. Bit reversal swaps bit s for bit m − 1 − s by
three exclusive ors, x ^= y, y ^= x, x ^= y, two in one butterfly and one in the next.

Legend: n size, m = log₂ n levels, d depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops.butterfly import Prepared, pair_indices, prepare
from dashzoo_search.xd_choice import DEEPEST

__all__ = ["Columns", "Kaleidoscope", "bit_reversed", "each_axis", "prepared"]

Norm = Literal["backward", "ortho", "forward"]


class Kaleidoscope(nn.Module):
    """A learnable n × n complex matrix, a product of butterflies; the identity at the start.

    Args:
        size: n, a power of two.
        depth: butterflies, 1 to 4.
        increasing: direction of the one that is applied first; the next ones take turns.
        device: of the parameter.
        dtype: of the parameter, real.

    Attributes:
        twiddle: ``[d, m, n / 2, 2, 2, 2]``: butterfly in order, level from bit 0 up, pair, row and
            column of its block, real and imaginary part.

    Raises:
        UnsupportedLayer: a size that is no power of two, a depth out of range.

    Shape:
        ``[..., n]``, real or complex → complex ``[..., n]``.

    >>> matrix = Kaleidoscope(8, depth=3)
    >>> matrix.set_fourier()
    >>> x = torch.randn(5, 8)
    >>> bool((matrix(x) - torch.fft.fft(x)).abs().max() < 1e-5)
    True
    """

    twiddle: nn.Parameter

    def __init__(
        self,
        size: int,
        depth: int = 1,
        *,
        increasing: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if size < 1 or size & (size - 1):
            raise UnsupportedLayer(
                f"A butterfly matrix of size {size} is unsupported; take a power of two"
            )
        if not 1 <= depth <= DEEPEST:
            raise UnsupportedLayer(
                f"A kaleidoscope of {depth} butterflies is unsupported; take 1 to {DEEPEST}"
            )
        self.size, self.depth, self.increasing = size, depth, increasing
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        shape = (depth, size.bit_length() - 1, size // 2, 2, 2, 2)
        # Of size 1 there is nothing to learn, and no gradient to wait for.
        self.twiddle = nn.Parameter(torch.empty(shape, **made), requires_grad=size > 1)
        self.set_identity()

    @property
    def levels(self) -> int:
        """m, the number of factors of one butterfly."""
        return self.size.bit_length() - 1

    def set_identity(self) -> None:
        """Become the identity."""
        self._write({})

    def set_hadamard(self) -> None:
        """Become the Hadamard matrix in natural order, of entries ±1."""
        block = torch.tensor([[1, 1], [1, -1]], dtype=torch.complex128)
        self._write({0: block.expand(self.levels, self.size // 2, 2, 2)})

    def set_bit_reversal(self) -> None:
        """Become the permutation that reverses the bits of every index.

        Raises:
            UnsupportedLayer: less than two butterflies.
        """
        if self.depth < 2 and self.levels > 1:
            raise UnsupportedLayer("Bit reversal takes two butterflies; make it of depth 2 or more")
        self._write(self._reversal(0) if self.levels > 1 else {})

    def set_fourier(
        self,
        *,
        inverse: bool = False,
        norm: Norm = "backward",
        step: int = 1,
        reversed_spectrum: bool = False,
    ) -> None:
        """Become the discrete Fourier transform, or its inverse.

        Args:
            inverse: from spectrum to signal.
            norm: as in `torch.fft`.
            step: between frequencies; see above.
            reversed_spectrum: the spectrum lies in bit-reversed order, for which one butterfly is
                enough: a decreasing one, or for the inverse an increasing one.

        Raises:
            UnsupportedLayer: natural order of less than three butterflies, or no butterfly of the
                direction it takes.
        """
        scale = {"backward": float(inverse), "ortho": 0.5, "forward": float(not inverse)}[norm]
        # Every factor has its share of the scale, so that all twiddles are of one size.
        factors = _fourier(self.size, step, inverse) / 2**scale
        if inverse:
            factors = factors.mT
        if self.levels < 2 or reversed_spectrum:
            self._write({self._directed(inverse): factors})
        elif self.depth < 3:
            raise UnsupportedLayer(
                "A Fourier transform in natural order takes three butterflies; make it of depth 3, "
                "or let the spectrum be bit-reversed"
            )
        elif self.increasing:
            self._write({**self._reversal(0), 2: factors if inverse else factors.mT})
        else:
            self._write({**self._reversal(1), 0: factors.mT if inverse else factors})

    def forward(self, x: Tensor) -> Tensor:
        y = self.columns(x.reshape(-1, x.shape[-1]).t())
        return y.t().reshape(x.shape)

    def columns(self, x: Tensor, *, rows: int | None = None, stride: int = 1) -> Tensor:
        """Multiply the columns of ``x [k, v]``, of which entries k … n − 1 are zero.

        Args:
            x: real or complex.
            rows: of the product that are wanted, the first ones; None: all n.
            stride: between those of them that are kept.
        """
        return prepared([self])[0](x, rows=rows, stride=stride)

    def dense(self) -> Tensor:
        """The matrix, complex ``[n, n]``."""
        eye = torch.eye(self.size, dtype=self.twiddle.dtype, device=self.twiddle.device)
        return self.columns(eye)

    def extra_repr(self) -> str:
        """Size, depth and direction."""
        return f"{self.size}, depth={self.depth}, increasing={self.increasing}"

    def _is_increasing(self, butterfly: int) -> bool:
        return self.increasing == (butterfly % 2 == 0)

    def _directed(self, increasing: bool) -> int:
        """The butterfly next to the spectrum: the first increasing one, or the last decreasing."""
        found = [b for b in range(self.depth) if self._is_increasing(b) == increasing]
        if not found and self.levels > 1:
            raise UnsupportedLayer(
                f"An {'in' if increasing else 'de'}creasing butterfly is needed and there is none; "
                "make it of depth 2 or of the other direction"
            )
        return 0 if not found else found[0 if increasing else -1]

    def _reversal(self, at: int) -> dict[int, Tensor]:
        """Bit reversal by butterflies ``at`` and the next."""
        swap = torch.tensor([[0, 1], [1, 0]], dtype=torch.complex128)
        swapped = {}
        for half in (at, at + 1):
            factors = _identity(self.size)
            for s in range(self.levels):
                other = self.levels - 1 - s
                # Of a pair of bits, the one that comes first in ``at`` has a second turn after.
                again = s < other if self._is_increasing(at) else s > other
                if s != other and (half == at or again):
                    taken = (pair_indices(self.size, s) >> other & 1).bool()
                    factors[s, taken] = swap
            swapped[half] = factors
        return swapped

    def _write(self, butterflies: dict[int, Tensor]) -> None:
        """Set butterflies to complex ``[m, n / 2, 2, 2]``, and the others to the identity."""
        every = [butterflies.get(b, _identity(self.size)) for b in range(self.depth)]
        with torch.no_grad():
            self.twiddle.copy_(torch.view_as_real(torch.stack(every)))


@dataclass(frozen=True, slots=True)
class Columns:
    """A matrix ready to be multiplied; None is the only one of size 1."""

    butterflies: Prepared | None

    def __call__(self, x: Tensor, *, rows: int | None = None, stride: int = 1) -> Tensor:
        """See `Kaleidoscope.columns`."""
        if self.butterflies is None:
            return x.to(x.dtype.to_complex())
        return self.butterflies(x, rows=rows)[::stride]


def prepared(matrices: Sequence[Kaleidoscope]) -> list[Columns]:
    """Multiply out the butterflies of ``matrices``, those of one size together."""
    made: dict[int, Prepared] = {}
    for size in {matrix.size for matrix in matrices} - {1}:
        alike = [index for index, matrix in enumerate(matrices) if matrix.size == size]
        found = prepare(
            [torch.view_as_complex(matrices[index].twiddle) for index in alike],
            [matrices[index].increasing for index in alike],
        )
        made |= dict(zip(alike, found, strict=True))
    return [Columns(made.get(index)) for index in range(len(matrices))]


def bit_reversed(size: int) -> Tensor:
    """``[n]``, every index with its bits in reversed order.

    >>> bit_reversed(8).tolist()
    [0, 4, 2, 6, 1, 5, 3, 7]
    """
    index, found = torch.arange(size), torch.zeros(size, dtype=torch.int64)
    for _ in range(size.bit_length() - 1):
        found, index = found << 1 | index & 1, index >> 1
    return found


def _identity(size: int) -> Tensor:
    levels = size.bit_length() - 1
    return torch.eye(2, dtype=torch.complex128).repeat(levels, size // 2, 1, 1)


def _fourier(size: int, step: int, inverse: bool) -> Tensor:
    """Factors of the decreasing transform, complex ``[m, n / 2, 2, 2]`` in double precision."""
    factors = _identity(size)
    levels, bit = len(factors), torch.arange(2)
    for s in range(levels):
        below = pair_indices(size, s) % 2**s
        time = below[:, None, None] + (bit << s)
        # Whole turns are dropped in integers, so the angle is exact to the last bit.
        turns = (step << (levels - 1 - s)) * bit[:, None] * time % size
        angle = turns.double() * (2 * math.pi / size) * (1 if inverse else -1)
        factors[s] = torch.polar(torch.ones_like(angle), angle)
    return factors


def each_axis(z: Tensor, matrices: Sequence[Callable[[Tensor], Tensor]]) -> Tensor:
    """Multiply each leading axis of ``[*axes, ...]`` by its matrix, leaving them in reverse."""
    for axis, times in enumerate(matrices):
        z = z.movedim(axis, 0)
        y = times(z.reshape(len(z), -1))
        z = y.view(-1, *z.shape[1:])
    return z
