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
entries and are one block. Depth d at n = 1024 so takes 2d + 1 passes instead of 10d; up to
n = 128 all of it is one dense matrix.

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

__all__ = ["Prepared", "multiply", "pair_indices", "prepare"]

WIDEST = 4  # levels in one product: 16 × 16 blocks still run at memory speed, 32 × 32 do not
WHOLE = 7  # levels up to which all are one: one large product then beats two of many small ones


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
    return prepare([twiddle], [increasing])[0](x, rows=rows)


@dataclass(frozen=True, slots=True)
class _Phase:
    """Dense blocks ``[*others, r, r]`` on the entries that differ in the bits of one group."""

    group: int
    blocks: Tensor


@dataclass(frozen=True, slots=True)
class Prepared:
    """Butterflies of size n, multiplied out and ready to be applied."""

    phases: Sequence[_Phase]
    n: int

    def __call__(self, x: Tensor, *, rows: int | None = None) -> Tensor:
        """See `multiply`."""
        x = x.to(self.phases[0].blocks.dtype)
        return _apply(self.phases, x, self.n, self.n if rows is None else rows)


def prepare(twiddles: Sequence[Tensor], increasing: Sequence[bool]) -> list[Prepared]:
    """Multiply out the butterflies of several products of one size, in as many steps as of one.

    Args:
        twiddles: see `multiply`; depths may differ.
        increasing: direction of the first butterfly of each.
    """
    parts, ups = [], []
    for twiddle, up in zip(twiddles, increasing, strict=True):
        for butterfly in twiddle.unbind():
            # Decreasing ones are transposed increasing ones.
            parts.append(butterfly if up else butterfly.mT)
            ups.append(up)
            up = not up
    stack = torch.stack(parts)
    n = 2 * stack.shape[2]
    widths = _widths(stack.shape[1])
    merged = [_merge(stack, widths, group).unbind() for group in range(len(widths))]
    found, at = [], 0
    for twiddle in twiddles:
        phases: list[_Phase] = []
        for index in range(at, at + len(twiddle)):
            for group in range(len(widths)) if ups[index] else reversed(range(len(widths))):
                blocks = merged[group][index]
                blocks = blocks if ups[index] else blocks.mT
                if phases and phases[-1].group == group:
                    blocks = blocks @ phases.pop().blocks
                phases.append(_Phase(group, blocks))
        at += len(twiddle)
        found.append(Prepared(phases, n))
    return found


@lru_cache(maxsize=64)
def _widths(levels: int) -> tuple[int, ...]:
    """Levels of each group, from the lowest bits up, as even as can be.

    >>> _widths(7), _widths(10)
    ((7,), (3, 3, 4))
    """
    groups = 1 if levels <= WHOLE else -(-levels // WIDEST)
    return tuple((levels + g) // groups for g in range(groups))


def _merge(stack: Tensor, widths: Sequence[int], group: int) -> Tensor:
    """The product of one group's factors in each of the increasing butterflies ``[b, m, …]``.

    Returns:
        ``[b, *others, r, r]``, other groups from the top down.
    """
    low, width, many = sum(widths[:group]), widths[group], len(stack)
    blocks = None
    for a in range(width):
        # Axes: bits above the group, its bits above the level, those below, bits below the group.
        factor = stack[:, low + a].reshape(many, -1, 2 ** (width - 1 - a), 2**a, 2**low, 2, 2)
        factor = factor.permute(0, 1, 2, 4, 5, 3, 6).unsqueeze(-1)  # …, out, row, in, 1
        if blocks is None:
            blocks = factor
        else:
            halves = blocks.view(*blocks.shape[:2], -1, 2, *blocks.shape[3:])
            halves = halves.permute(0, 1, 2, 4, 5, 3, 6)  # …, row, in, column
            blocks = factor * halves.unsqueeze(4)
        blocks = blocks.flatten(6, 7).flatten(4, 5).contiguous()
    assert blocks is not None  # no group is empty
    others = [2**w for w in (*reversed(widths[group + 1 :]), *reversed(widths[:group]))]
    return blocks.reshape(many, *others, 2**width, 2**width)


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
        if blocks.dim() == 2:
            product = blocks @ z
        else:
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
