"""Butterfly matrices times many vectors: 4 n log₂ n numbers stand for an n × n matrix.

A butterfly of size n = 2^m has m factors. The factor of level s pairs entries whose indices differ
in bit s alone and multiplies each pair by a 2×2 block of its own:

    [y_i, y_j] = T_s[p] [x_i, x_j]      j = i + 2^s,  i = q·2^(s+1) + r,  p = q·2^s + r

An *increasing* butterfly applies level 0 first, a *decreasing* one level m − 1; each is the
transpose of the other, with the blocks transposed. Dao et al., "Kaleidoscope: An Efficient,
Learnable Representation For All Structured Linear Maps" (ICLR 2020, arXiv:2012.14966), chain them
in turns.

One factor at a time is bound by memory: every level reads and writes all vectors for 2 complex
multiply-adds a number. So up to `WIDEST` neighbouring levels are first multiplied out into dense
blocks of 2^width, no larger than the product needs: of an increasing butterfly

    [[T₀₀ A, T₀₁ B], [T₁₀ A, T₁₁ B]]    from A and B, what the lower levels did to either half,

and applied by one batched product. Where the direction turns, the two neighbours act on the same
entries and are one block. Depth d at n = 1024 so takes 2d + 1 passes instead of 10d.

Promises: any power of two, any depth, real or complex vectors, derivatives of any order.

Legend: n size, m = log₂ n levels, d depth, v vectors, r = 2^width entries of a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["multiply", "pair_indices"]

WIDEST = 4  # levels in one product: 16 × 16 blocks still run at memory speed, 32 × 32 do not


def pair_indices(size: int, level: int) -> Tensor:
    """``[n / 2]``, the first index i of every pair p of a level.

    >>> pair_indices(8, 1).tolist()
    [0, 1, 4, 5]
    """
    pair = torch.arange(size // 2)
    return pair + (pair >> level << level)


def multiply(
    twiddle: Tensor,
    x: Tensor,
    *,
    increasing: bool = True,
    rows: int | None = None,
) -> Tensor:
    """Multiply the columns of ``x`` by butterflies, one after the other, in turns of direction.

    Args:
        twiddle: complex ``[d, m, n / 2, 2, 2]``, the factors' blocks by level, not by order.
        x: ``[k, v]``, real or complex, of which entries k … n − 1 are zero.
        increasing: direction of the first butterfly.
        rows: of the product that are wanted, the first ones; None: all n.

    Returns:
        Complex ``[rows, v]``.

    >>> hadamard = torch.tensor([[1, 1], [1, -1]], dtype=torch.complex64).expand(1, 2, 2, 2, 2)
    >>> multiply(hadamard, torch.eye(4))[1].real.tolist()
    [1.0, -1.0, 1.0, -1.0]
    """
    n = 2 * twiddle.shape[2]
    rows = n if rows is None else rows
    return _apply(_phases(twiddle, increasing), x.to(twiddle.dtype), n, rows)


@dataclass(frozen=True, slots=True)
class _Phase:
    """Dense blocks ``[*others, r, r]`` on the entries that differ in the bits of one group."""

    group: int
    blocks: Tensor


@lru_cache(maxsize=64)
def _widths(levels: int) -> tuple[int, ...]:
    """Levels of each group, from the lowest bits up, as even as can be.

    >>> _widths(10)
    (3, 3, 4)
    """
    groups = max(1, -(-levels // WIDEST))
    return tuple((levels + g) // groups for g in range(groups))


def _phases(twiddle: Tensor, increasing: bool) -> list[_Phase]:
    """All factors, multiplied out group by group, in the order they are applied."""
    widths = _widths(twiddle.shape[1])
    phases: list[_Phase] = []
    for butterfly in twiddle:
        groups = range(len(widths)) if increasing else reversed(range(len(widths)))
        for group in groups:
            blocks = _merge(butterfly, widths, group, increasing)
            if phases and phases[-1].group == group:
                blocks = blocks @ phases.pop().blocks
            phases.append(_Phase(group, blocks))
        increasing = not increasing
    return phases


def _merge(butterfly: Tensor, widths: Sequence[int], group: int, increasing: bool) -> Tensor:
    """The product of one group's factors, ``[*others, r, r]``, other groups from the top down."""
    if not increasing:
        return _merge(butterfly.mT, widths, group, True).mT
    low, width = sum(widths[:group]), widths[group]
    blocks = None
    for a in range(width):
        # Axes: bits above the group, its bits above the level, those below, bits below the group.
        factor = butterfly[low + a].view(-1, 2 ** (width - 1 - a), 2**a, 2**low, 2, 2)
        factor = factor.permute(0, 1, 3, 4, 2, 5).unsqueeze(-1)  # …, out, row, in, 1
        if blocks is None:
            blocks = factor
        else:
            halves = blocks.view(len(blocks), -1, 2, *blocks.shape[2:])
            halves = halves.permute(0, 1, 3, 4, 2, 5)  # …, row, in, column
            blocks = factor * halves.unsqueeze(3)
        blocks = blocks.flatten(5, 6).flatten(3, 4).contiguous()
    assert blocks is not None  # no group is empty
    others = [2**w for w in (*reversed(widths[group + 1 :]), *reversed(widths[:group]))]
    return blocks.reshape(*others, 2**width, 2**width)


def _apply(phases: Sequence[_Phase], x: Tensor, n: int, rows: int) -> Tensor:
    """Run ``x [k, v]`` through the phases; groups that nothing is left of are cut off."""
    order = list(reversed(range(phases[0].blocks.dim() - 1)))
    top = order[0]
    sizes = {phase.group: phase.blocks.shape[-1] for phase in phases}
    tail = n // sizes[top]
    first = -(-len(x) // tail) if phases[0].group == top else sizes[top]
    if len(x) < first * tail:
        x = F.pad(x, (0, 0, 0, first * tail - len(x)))
    z = x.reshape(first, *(sizes[g] for g in order[1:]), -1)
    for number, phase in enumerate(phases, 1):
        at = order.index(phase.group)
        order.pop(at)
        natural = sorted(order, reverse=True)
        blocks = phase.blocks.permute(*(natural.index(g) for g in order), -2, -1)
        if z.shape[at] < blocks.shape[-1]:
            blocks = blocks[..., : z.shape[at]]
        if number == len(phases) and phase.group == top:
            blocks = blocks[..., : -(-rows // tail), :]
        # The group's axis moves next to the vectors; if it was the first, nothing is copied.
        z = z.movedim(at, -2)
        lead = z.shape[:-2]
        product = cast(Tensor, _Product.apply(_stacked(blocks), _stacked(z)))
        z = product.view(*lead, blocks.shape[-2], -1)
        order.append(phase.group)
    z = z.permute(*(order.index(g) for g in sorted(order, reverse=True)), -1)
    z = z.reshape(-1, z.shape[-1])
    return z if len(z) == rows else z[:rows]  # a slice of all would still be copied backward


def _stacked(matrices: Tensor) -> Tensor:
    """``[…, r, v]`` → ``[number, r, v]``, copied only where the axes do not merge."""
    return matrices.reshape(-1, *matrices.shape[-2:])


class _Product(torch.autograd.Function):
    """A batched complex product. Torch's own conjugates a transposed view, many times slower."""

    generate_vmap_rule = True

    @staticmethod
    def forward(blocks: Tensor, z: Tensor) -> Tensor:
        return torch.bmm(blocks, z)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None]:
        blocks, z = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        return (
            torch.bmm(slope, z.conj_physical().mT) if wanted[0] else None,
            torch.bmm(blocks.conj_physical().mT, slope) if wanted[1] else None,
        )
