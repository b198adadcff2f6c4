"""How a convolution is laid out for constant transform matrices: lengths, steps, tiles.

    y[l] = Σ_j w[j] · x[s·l + o_j],  o_j = d·j − p    ⇔    Y[f] = X[f] · Σ_j w[j] e^{2πi f o_j / N}

Three plans, each of one or two products with a matrix on either side (`matmul`):

- *dense*: one matrix takes a sequence to its N/2 + 1 frequencies;
- *two-step*: N = N₁·N₂, t = t₁·N₂ + t₂, f = f₁ + N₁·f₂ (the Monarch factorisation): along t₁ first,
  whose input is real, so that f₁ ≤ N₁/2 is enough; then along t₂, by a matrix for each f₁ that
  holds the twiddles too. The spectrum stays in the order (f₁, f₂);
- *separable*: a plane, along its height first, then along its width.

N is n + max|o|, just long enough to keep wanted outputs from meeting the other end. *Tiles* cut the
output (overlap-save): segments that overlap by the kernel's extent join the batch.

Legend: r samples in a segment, m outputs of one, N transform length, T tiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from dashzoo_export.lower.plane import PlaneConv

__all__ = ["SPECTRUM_LIMIT", "Axis", "Plan", "plans", "spectrum_bytes", "whole"]

Pair = tuple[int, int]

SPECTRUM_LIMIT = 64_000_000  # bytes
LONGEST_DENSE = 2048  # samples; two matrices of 16 MB
SECOND_STEPS = (8, 16, 24, 32, 48, 64, 96, 128)
TILES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a segment.

    Attributes:
        samples: r.
        outputs: m.
        stride: from output to output.
        first: offset of the first tap from the segment's first sample.
        length: N.
        tiles: T segments the axis is cut into.
    """

    samples: int
    outputs: int
    stride: int
    first: int
    length: int
    tiles: int = 1

    @property
    def reach(self) -> int:
        """Samples from the first output's to the last's."""
        return self.stride * (self.outputs - 1) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A layout.

    Attributes:
        height: the plane's first axis, of length 1 for a sequence.
        width: its second.
        factors: N₁ and N₂ of the two-step plan, None for the others.
    """

    height: Axis
    width: Axis
    factors: Pair | None = None

    @property
    def flat(self) -> bool:
        """Whether only the width is transformed."""
        return self.height.length == 1

    @property
    def tiles(self) -> int:
        """Segments in all."""
        return self.height.tiles * self.width.tiles

    @property
    def grid(self) -> Pair:
        """Frequencies that are kept along the first and the second step."""
        if self.factors is not None:
            return self.factors[0] // 2 + 1, self.factors[1]
        if self.flat:
            return self.width.length // 2 + 1, 1
        return self.height.length // 2 + 1, self.width.length

    @property
    def frequencies(self) -> int:
        """Of a segment."""
        return math.prod(self.grid)

    @property
    def rows_in(self) -> Pair:
        """Samples of a segment along the first and the second step."""
        if self.factors is not None:
            return -(-self.width.samples // self.factors[1]), self.factors[1]
        if self.flat:
            return self.width.samples, 1
        return self.height.samples, self.width.samples

    @property
    def rows_out(self) -> Pair:
        """What comes back along the first and the second step; two-step knows no strides."""
        if self.factors is not None:
            return -(-self.width.reach // self.factors[1]), self.factors[1]
        if self.flat:
            return self.width.outputs, 1
        return self.height.outputs, self.width.outputs

    def __str__(self) -> str:
        """Such as ``two-step 64×32, 4 tiles``."""
        lengths, kind = (self.height.length, self.width.length), "separable"
        if self.factors is not None:
            lengths, kind = self.factors, "two-step"
        told = "×".join(map(str, lengths))
        if self.flat and self.factors is None:
            told, kind = str(self.width.length), "dense"
        return f"{kind} {told}" + (f", {self.tiles} tiles" if self.tiles > 1 else "")


def plans(conv: PlaneConv) -> Iterator[Plan]:
    """Every layout worth a thought whose spectrum stays below `SPECTRUM_LIMIT`.

    >>> row = PlaneConv(ins=1, outs=1, size=(1, 50), out=(1, 50), kernel=(1, 11), before=(0, 5))
    >>> [str(plan) for plan in plans(row)][:2]
    ['dense 55', 'dense 35, 2 tiles']
    """
    return (p for p in _laid_out(conv) if spectrum_bytes(conv, p) <= SPECTRUM_LIMIT)


def whole(conv: PlaneConv) -> Plan:
    """One segment, no factors: dense for a sequence, separable for a plane."""
    return next(_laid_out(conv, longest=math.inf))


def spectrum_bytes(conv: PlaneConv, plan: Plan) -> int:
    """Of the kernel's spectrum, real and imaginary part in float32."""
    return 8 * plan.frequencies * conv.outs * (conv.ins // conv.groups)


def _laid_out(conv: PlaneConv, longest: float = LONGEST_DENSE) -> Iterator[Plan]:
    widths = list(_axes(conv, 1))
    if not conv.flat:
        for height in _axes(conv, 0):
            yield from (Plan(height=height, width=width) for width in widths)
        return
    still = Axis(samples=1, outputs=1, stride=1, first=0, length=1)
    for width in widths:
        if width.length <= longest:
            yield Plan(height=still, width=width)
        for second in SECOND_STEPS:
            first = -(-width.length // second)
            if second <= first:
                yield Plan(height=still, width=width, factors=(first, second))


def _axes(conv: PlaneConv, axis: int) -> Iterator[Axis]:
    """One axis whole, and cut into tiles no shorter than half the kernel."""
    n, out, stride = conv.size[axis], conv.out[axis], conv.stride[axis]
    span, before = conv.extent[axis] - 1, conv.before[axis]
    for tiles in TILES:
        outputs = -(-out // tiles)
        if tiles > 1 and (stride * outputs * 2 < span or outputs < 8):
            return
        if (tiles - 1) * outputs >= out:
            continue  # the last one would be empty
        reach = stride * (outputs - 1) + 1
        # A tile is read from the padded signal and holds all its outputs need.
        samples, first = (n, -before) if tiles == 1 else (reach + span, 0)
        yield Axis(
            samples=samples,
            outputs=outputs,
            stride=stride,
            first=first,
            length=max(samples - min(first, 0), reach + first + span),
            tiles=tiles,
        )
