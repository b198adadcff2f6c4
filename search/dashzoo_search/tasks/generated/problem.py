"""A problem whose data is drawn from first principles, and `generate`, which draws it.

Every sample has a random stream of its own, told by seed, split and place: samples do not depend
on how many are drawn, nor on how many processes draw them. What a PDE solver computes may differ in
its last digits from one machine to another, and with it the hash.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import repeat
from multiprocessing import get_context
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.generated import cache
from dashzoo_search.tasks.kinds import Kind

__all__ = ["Generated", "Problem", "generate"]

PARTS = ("train", "val", "test")
CHUNK = 16  # samples that a process draws at a time

Pair = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem(ABC):
    """A frozen dataclass of what defines a problem; subclasses draw samples of it.

    Attributes:
        name: of its cached files.
        kind: of the task it makes.
        source: one sentence on where the data comes from.
        counts: samples of train, val and test that are usual.
        version: raised when the same fields come to draw other samples.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    source: ClassVar[str]
    counts: ClassVar[tuple[int, int, int]]
    version: ClassVar[int] = 1

    @abstractmethod
    def draw(self, rngs: Sequence[np.random.Generator]) -> Pair:
        """Inputs [n, c, …] and targets [n, …], a sample a generator, each from it alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """Inputs and targets in three splits.

    Attributes:
        train, val, test: pairs of inputs [n, c, …] and targets [n, …].
        source: one sentence on where the data comes from.
        sha256: of all arrays.
        license: of the data.
    """

    train: Pair
    val: Pair
    test: Pair
    source: str
    sha256: str
    license: str = "cc0-1.0"


def generate(
    problem: Problem,
    counts: tuple[int, int, int] | None = None,
    *,
    seed: int = 0,
    jobs: int = 1,
) -> Generated:
    """Draw a problem's three splits, or read them where they were drawn before.

    Args:
        problem: what to draw.
        counts: samples of train, val and test; by default the problem's own.
        seed: of the samples.
        jobs: processes; more than one start afresh, so a script needs its
            ``if __name__ == "__main__"``.

    Raises:
        BadData: a count, the seed or ``jobs`` is out of range.
    """
    counts = counts or problem.counts
    if len(counts) != len(PARTS) or min(counts) < 1:
        raise BadData(f"The counts are {counts}; give at least one sample each, (train, val, test)")
    if seed < 0 or jobs < 1:
        raise BadData(f"Seed {seed} or {jobs} jobs cannot be; give a seed from 0, jobs from 1")
    path = (
        cache.cache_folder()
        / "generated"
        / f"{problem.name}-{_key(problem, counts, seed)}.safetensors"
    )
    arrays = cache.read(path)
    if arrays is None:
        arrays = _draw(problem, counts, seed, jobs)
        cache.write(path, arrays)
    train, val, test = ((arrays[f"X_{part}"], arrays[f"y_{part}"]) for part in PARTS)
    return Generated(
        train=train,
        val=val,
        test=test,
        source=f"{problem.source}; seed {seed}",
        sha256=cache.digest(arrays),
    )


def _key(problem: Problem, counts: Sequence[int], seed: int) -> str:
    what = [problem.name, problem.version, asdict(problem), list(counts), seed]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def _draw(problem: Problem, counts: Sequence[int], seed: int, jobs: int) -> dict[str, NDArray[Any]]:
    chunks = [
        (seed, part, start, min(start + CHUNK, count))
        for part, count in enumerate(counts)
        for start in range(0, count, CHUNK)
    ]
    with _mapping(min(jobs, len(chunks))) as mapped:
        drawn = list(mapped(_draw_chunk, repeat(problem), chunks))
    arrays: dict[str, NDArray[Any]] = {}
    for part, name in enumerate(PARTS):
        pairs = [pair for chunk, pair in zip(chunks, drawn, strict=True) if chunk[1] == part]
        X, y = (np.concatenate(list(both)) for both in zip(*pairs, strict=True))
        arrays |= {f"X_{name}": X, f"y_{name}": y}
    return arrays


def _draw_chunk(problem: Problem, chunk: tuple[int, int, int, int]) -> Pair:
    seed, part, start, stop = chunk
    return problem.draw([np.random.default_rng([seed, part, i]) for i in range(start, stop)])


@contextmanager
def _mapping(jobs: int) -> Iterator[Any]:
    """``map``, or that of ``jobs`` processes, spawned: a fork of threads may hang."""
    if jobs == 1:
        yield map
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield pool.map
