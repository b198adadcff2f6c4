"""Sequences whose label hangs on what stands far apart: three diagnostics of the receptive field.

Adding problem: Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997), with one mark in either
half. Copy memory: Arjovsky, Shah and Bengio, "Unitary Evolution Recurrent Neural Networks" (2016).
Spaced motifs are our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.generated.problem import Problem
from dashzoo_search.tasks.kinds import Kind

__all__ = ["AddingProblem", "CopyMemory", "SpacedMotifs"]

Singles = NDArray[np.float32]
Labels = NDArray[np.int64]
Rngs = Sequence[np.random.Generator]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddingProblem(Problem):
    """Inputs [n, 2, length] of values and marks, targets [n, 1], float32: the marked two's sum.

    Values are uniform on [0, 1], marks 1 at one place of either half and 0 elsewhere. Who always
    answers 1 has a mean squared error of 1/6, or .167.

    Attributes:
        length: T, usually 200 or 600.
    """

    length: int = 200

    name: ClassVar[str] = "adding"
    kind: ClassVar[Kind] = "regression"
    source: ClassVar[str] = "adding problem, two marked values of a random sequence"
    counts: ClassVar[tuple[int, int, int]] = (10000, 1000, 1000)

    def __post_init__(self) -> None:
        if self.length < 2:
            raise BadData(f"A sequence of {self.length} has no halves; give a length from 2")

    def draw(self, rngs: Rngs) -> tuple[Singles, Singles]:
        """Sequences and sums."""
        X = np.zeros((len(rngs), 2, self.length), np.float32)
        half = self.length // 2
        for x, rng in zip(X, rngs, strict=True):
            x[0] = rng.random(self.length, np.float32)
            x[1, [rng.integers(half), rng.integers(half, self.length)]] = 1
        return X, (X[:, :1] * X[:, 1:]).sum(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyMemory(Problem):
    """Inputs [n, 10, delay + 20], one-hot float32, and a label [n, delay + 20] at every place.

    Ten symbols of 1 to 8, then ``delay`` − 1 blanks (0), the cue (9) and ten blanks, during which
    the symbols are to be repeated; until then the label is 0. Who remembers nothing has a mean
    cross-entropy of 10 log 8 / (delay + 20).

    Attributes:
        delay: T, places between the first symbol's end and the first answer's begin.
    """

    delay: int = 200

    name: ClassVar[str] = "copy"
    kind: ClassVar[Kind] = "dense_labels"
    source: ClassVar[str] = "copy memory, ten random symbols to repeat after a delay"
    counts: ClassVar[tuple[int, int, int]] = (10000, 1000, 1000)

    def __post_init__(self) -> None:
        if self.delay < 1:
            raise BadData(f"A delay of {self.delay} leaves no room for the cue; give one from 1")

    def draw(self, rngs: Rngs) -> tuple[Singles, Labels]:
        """Sequences and what to answer."""
        symbols = np.stack([rng.integers(1, 9, 10) for rng in rngs])
        shown = np.zeros((len(rngs), self.delay + 20), np.int64)
        y = np.zeros_like(shown)
        shown[:, :10] = y[:, -10:] = symbols
        shown[:, -11] = 9
        return _one_hot(shown, 10), y


@dataclass(frozen=True, slots=True, kw_only=True)
class SpacedMotifs(Problem):
    """Inputs [n, 4, length], DNA one-hot as ACGT in float32, labels [n]: is the spacing the known?

    Every sequence holds each motif once. With label 1 the second begins ``distance`` after the
    first; with label 0 the second has moved 1 to ``shift`` places from there, to either side and
    cyclically within the places it can take. So wherever one motif stands, and alone, it tells
    nothing: its place is uniform whatever the label, and only a receptive field that spans both,
    ``distance`` + 7 wide, can do better than chance.

    Attributes:
        length: of a sequence.
        distance: from the first motif's first letter to the second's.
        shift: most places that the second is moved.
    """

    length: int = 200
    distance: int = 50
    shift: int = 12

    name: ClassVar[str] = "motifs"
    kind: ClassVar[Kind] = "classification"
    source: ClassVar[str] = "two DNA motifs (AP-1 and GC box) at a known or another distance"
    counts: ClassVar[tuple[int, int, int]] = (10000, 1000, 1000)
    motifs: ClassVar[tuple[str, str]] = ("TGACTCA", "GGGCGGG")

    def __post_init__(self) -> None:
        apart = len(self.motifs[0])
        if self.shift < 1 or self.distance - self.shift < apart:
            raise BadData(
                f"Motifs {self.distance} apart, moved by up to {self.shift}, would overlap; "
                f"give a shift from 1, and a distance larger by {apart}"
            )
        # The second motif moved past the last place comes in again before the first one.
        if self._places - self.distance - self.shift < apart:
            least = 2 * (self.distance + apart) + self.shift - 1
            raise BadData(
                f"Sequences of {self.length} leave the motifs too few places; "
                f"give a length from {least}"
            )

    @property
    def _places(self) -> int:
        return self.length - self.distance - len(self.motifs[1]) + 1

    def draw(self, rngs: Rngs) -> tuple[Singles, Labels]:
        """Sequences and labels."""
        first, second = (np.array(["ACGT".index(base) for base in motif]) for motif in self.motifs)
        y = np.array([rng.integers(2) for rng in rngs])
        bases = np.empty((len(rngs), self.length), np.int64)
        for i, rng in enumerate(rngs):
            begin = int(rng.integers(self._places))
            moved = 0 if y[i] else int(rng.integers(1, self.shift + 1) * rng.choice([-1, 1]))
            other = self.distance + (begin + moved) % self._places
            while True:  # until chance has not put a motif in a second place
                bases[i] = rng.integers(4, size=self.length)
                bases[i, begin : begin + len(first)] = first
                bases[i, other : other + len(second)] = second
                if _count(bases[i], first) == _count(bases[i], second) == 1:
                    break
        return _one_hot(bases, 4), y


def _one_hot(indices: Labels, kinds: int) -> Singles:
    return np.ascontiguousarray(np.eye(kinds, dtype=np.float32)[indices].swapaxes(1, 2))


def _count(bases: Labels, motif: Labels) -> int:
    windows = np.lib.stride_tricks.sliding_window_view(bases, len(motif))
    return int((windows == motif).all(1).sum())
