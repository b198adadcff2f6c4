"""What a convolution reads beyond the ends of its signal: zeros, or samples of the signal itself.

With a signal of n samples, tap o of output l reads x[s·l + o]; beyond the ends that is

| padding | sample j < 0 or j ≥ n |
|---|---|
| zeros, causal | 0 |
| circular | x[j mod n] |
| reflect | x bounced off its first and last sample, as often as it takes |
| replicate | the nearest end |

Offsets further out than the signal is long read what nearer ones do, so they are drawn in first
and their taps added (`confine`). That makes any extent work on any length, where torch refuses,
and keeps what is laid out (`extend`) below one signal's length on each side.

Legend: n length, m output length, s stride.
"""

from __future__ import annotations

from functools import lru_cache

import torch.nn.functional as F
from torch import Tensor

from dashzoo_search.ops.taps import Offsets, reaching

__all__ = ["PADDINGS", "Confined", "confine", "extend", "margins"]

PADDINGS = ("zeros", "circular", "reflect", "replicate", "causal")

Confined = tuple[tuple[int, ...], tuple[int, ...], Offsets]


@lru_cache(maxsize=1024)
def confine(
    offsets: Offsets,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    out: tuple[int, ...],
    padding: str,
) -> Confined:
    """Draw offsets in to where the signal is.

    Returns:
        The numbers of the offsets that count, for each of these the number of the one that
        stands for it, and the T distinct ones that do, sorted: at least one.

    >>> confine(((-9,), (-1,), (0,), (1,), (9,)), (5,), (1,), (5,), "zeros")
    ((1, 2, 3), (0, 1, 2), ((-1,), (0,), (1,)))
    >>> confine(((-9,), (-1,), (0,), (1,), (9,)), (5,), (1,), (5,), "circular")
    ((0, 1, 2, 3, 4), (2, 0, 1, 2, 0), ((-1,), (0,), (1,)))
    """
    if padding in ("zeros", "causal"):
        kept, reached = reaching(offsets, size, stride, out, (0,) * len(size))
        return kept, tuple(range(len(kept))), reached or ((0,) * len(size),)
    ends = [(n, s * (m - 1)) for n, s, m in zip(size, stride, out, strict=True)]
    drawn = [
        tuple(_draw(o, n, far, padding) for o, (n, far) in zip(offset, ends, strict=True))
        for offset in offsets
    ]
    distinct = tuple(sorted(set(drawn)))
    number = {offset: t for t, offset in enumerate(distinct)}
    return tuple(range(len(offsets))), tuple(number[offset] for offset in drawn), distinct


@lru_cache(maxsize=1024)
def margins(
    offsets: Offsets,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    out: tuple[int, ...],
    start: tuple[int, ...],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Samples read before the first and after the last along each axis; negative if not all are.

    >>> margins(((-4,), (0,), (2,)), (7,), (2,), (4,), (0,))
    ((4,), (2,))
    """
    axes = list(zip(*offsets, strict=True))
    before = tuple(-b - min(axis) for axis, b in zip(axes, start, strict=True))
    after = tuple(
        b + s * (m - 1) + max(axis) - (n - 1)
        for axis, n, s, m, b in zip(axes, size, stride, out, start, strict=True)
    )
    return before, after


def extend(x: Tensor, before: tuple[int, ...], after: tuple[int, ...], padding: str) -> Tensor:
    """Lay out the samples beyond the ends; negative numbers cut off instead (zeros only).

    Args:
        x: ``[b, c, *size]``.
        before: samples along each axis, less than n.
        after: likewise.
        padding: one of `PADDINGS`.
    """
    if not any((*before, *after)):
        return x
    pairs = list(zip(before, after, strict=True))
    flat = [pad for pair in reversed(pairs) for pad in pair]
    mode = "constant" if padding in ("zeros", "causal") else padding
    return F.pad(x, flat, mode=mode)


def _draw(o: int, n: int, far: int, padding: str) -> int:
    """The nearest offset that reads what ``o`` does, from every output up to sample ``far``."""
    if padding == "circular":
        return (o + n // 2) % n - n // 2
    if padding == "reflect":
        return (o + n - 1) % (2 * n - 2) - (n - 1) if n > 1 else 0
    return max(-far, min(o, n - 1))
