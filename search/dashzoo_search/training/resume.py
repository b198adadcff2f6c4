"""Exact resume: a stage killed at any moment goes on from its last checkpoint, bit for bit.

A *stage* is a loop over epochs with parts that have state (`state`). Around the loop stand two
calls, and they are all a loop has to know, whatever its algorithm:

    stage = Stage("train", {"network": net, "step": stepper, "batches": generator}, on_epoch)
    for epoch in stage.epochs(recipe.epochs):       # restores; then the epochs still to do
        ...
        stage.tell(loss, value)

A stage that was finished has no epochs left, so it runs through at once. Where checkpoints go is
told by the `Journal` that is active; without one, a stage keeps nothing. The journal is ambient
because stages lie deep: below cross-validation, or a search of several candidates.

Promised: after a resume on the same machine, with as many threads and processes, the same bits
as without the stop. Not promised: the same bits across machines, or on a GPU whose kernels add in
no fixed order.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dashzoo_search.errors import BadBundle
from dashzoo_search.training import world
from dashzoo_search.training.checkpoint import Checkpoints
from dashzoo_search.training.progress import Mixtures, OnEpoch, Progress
from dashzoo_search.training.runtime import Stopwatch, credit
from dashzoo_search.training.state import Part, Randomness, give, take
from dashzoo_search.training.tree import Tree

__all__ = ["Journal", "Stage", "current_journal"]

EVERY = 5.0
LAST = 1.0
COST = 1 / 60
DISK = 60e6

_active: ContextVar[Journal | None] = ContextVar("journal", default=None)


class Journal:
    """Where the stages of one command keep their checkpoints.

    Args:
        folder: of this command alone.
        fingerprint: of everything that decides the results; a checkpoint with another is refused.
        every: least seconds of work between two checkpoints; None takes 5, or more where writing
            one would cost over a sixtieth of the work.
        resumed: how often the command was started again so far.
    """

    def __init__(
        self, folder: Path, *, fingerprint: str, every: float | None = None, resumed: int = 0
    ) -> None:
        self.folder, self.fingerprint = folder, fingerprint
        self.every, self.resumed = every, resumed
        self._used: Counter[str] = Counter()

    def open_stage(self, name: str) -> Checkpoints:
        """The checkpoints of the next stage called ``name``; the order of stages is their key."""
        self._used[name] += 1
        slug = "".join(c if c.isalnum() else "-" for c in name)
        return Checkpoints(self.folder / f"{slug}-{self._used[name]}")

    def room(self, name: str) -> Journal:
        """A journal below this one, for stages that are counted by themselves."""
        return Journal(
            self.folder / name,
            fingerprint=self.fingerprint,
            every=self.every,
            resumed=self.resumed,
        )

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Let the stages in the block keep their checkpoints here."""
        token = _active.set(self)
        try:
            yield
        finally:
            _active.reset(token)


def current_journal() -> Journal | None:
    """The journal that is active."""
    return _active.get()


class Stage:
    """A loop over epochs that can be killed and started again.

    Args:
        name: what progress is reported as.
        parts: everything with state that the loop changes, by name; restored in this order, so a
            part that changes the shape of others comes before them.
        on_epoch: told after every epoch, and again of those done before a resume.
        device: whose generator is kept beside those of the CPU.
    """

    def __init__(
        self,
        name: str,
        parts: Mapping[str, Part],
        on_epoch: OnEpoch,
        device: torch.device,
    ) -> None:
        self._name, self._parts, self._on_epoch = name, dict(parts), on_epoch
        self._randomness = Randomness(device)
        self._journal = current_journal()
        self._checkpoints = self._journal.open_stage(name) if self._journal else None
        self._watch = Stopwatch()
        self._told: list[list[float]] = []
        self._epoch = self._epochs = 0
        self._saved_at = time.perf_counter()
        self._cost: float | None = None

    def epochs(self, count: int) -> Iterator[int]:
        """The epochs still to do, from 1; a checkpoint follows each, when it is time for one.

        Raises:
            BadBundle: a checkpoint does not fit what it is to be loaded into.
        """
        self._epochs = count
        self._restore()
        for epoch in range(self._epoch + 1, count + 1):
            yield epoch
            self._epoch = epoch
            self._save(last=epoch == count)

    def tell(
        self,
        loss: float,
        value: float,
        *,
        rate: float | None = None,
        mixtures: Mixtures | None = None,
    ) -> None:
        """Report an epoch: its mean loss, the metric's value, and what else `Progress` has."""
        self._told.append([loss, value])
        progress = Progress(self._name, len(self._told), self._epochs, loss, value)
        self._on_epoch(replace(progress, rate=rate, mixtures=mixtures))

    def _save(self, *, last: bool) -> None:
        if self._journal is None or self._checkpoints is None:
            return
        if not world.from_first(self._due(self._journal.every, last=last)):
            return
        started = time.perf_counter()
        randomness = world.gather(self._randomness.state_dict())
        if world.is_first():
            tree = {
                "fingerprint": self._journal.fingerprint,
                "epoch": self._epoch,
                "spent": [self._watch.seconds, self._watch.cpu_seconds],
                "told": self._told,
                "parts": {name: take(part) for name, part in self._parts.items()},
                "randomness": randomness,
            }
            self._checkpoints.save(self._epoch, tree)
        self._saved_at = time.perf_counter()
        self._cost = self._saved_at - started

    def _due(self, every: float | None, *, last: bool) -> bool:
        worked = time.perf_counter() - self._saved_at
        least = (LAST if last else EVERY) if every is None else every
        if worked < least:
            return False
        if every is not None:
            return True
        if self._cost is None:  # nothing measured yet: what a slow disk would take
            self._cost = sum(_bytes(take(part)) for part in self._parts.values()) / DISK
        return worked * COST >= self._cost

    def _restore(self) -> None:
        tree = None
        if self._checkpoints is not None and world.is_first():
            tree = self._checkpoints.load()
        tree = world.from_first(tree)
        if tree is None or self._journal is None or self._checkpoints is None:
            self._start_alike()
            return
        try:
            self._load(tree, self._journal.fingerprint)
        except BadBundle as error:
            raise BadBundle(
                f"The checkpoint in {self._checkpoints.folder} does not fit ({error}); "
                "add --fresh to start over, or delete that folder",
                field=error.field,
            ) from error
        for epoch, (loss, value) in enumerate(self._told, start=1):
            self._on_epoch(Progress(self._name, epoch, self._epochs, loss, value, again=True))
        self._saved_at = time.perf_counter()

    def _load(self, tree: Tree, fingerprint: str) -> None:
        wanted = {"fingerprint", "epoch", "spent", "told", "parts", "randomness"}
        for key in sorted(set(tree) ^ wanted):
            raise BadBundle(f"{key} is {'unexpected' if key in tree else 'missing'}", field=key)
        if tree["fingerprint"] != fingerprint:
            raise BadBundle("it is of another run", field="fingerprint")
        epoch, spent, told = tree["epoch"], tree["spent"], tree["told"]
        if type(epoch) is not int or not 0 < epoch <= self._epochs:
            raise BadBundle(f"epoch {epoch!r:.40} is none of {self._epochs}", field="epoch")
        if not _pairs([spent]) or not all(0 <= s < math.inf for s in spent):
            raise BadBundle("spent is no pair of seconds", field="spent")
        if not _pairs(told) or len(told) != epoch:
            raise BadBundle(f"told does not hold {epoch} epochs", field="told")
        parts, randomness = tree["parts"], tree["randomness"]
        if not isinstance(parts, dict) or not isinstance(randomness, list) or not randomness:
            raise BadBundle("parts or randomness is missing", field="parts")
        for name in sorted(set(parts) ^ set(self._parts)):
            state = "unexpected" if name in parts else "missing"
            raise BadBundle(f"part {name} is {state}", field=name)
        for name, part in self._parts.items():
            give(part, parts[name], name)
        give(self._randomness, randomness[world.rank() % len(randomness)], "randomness")
        self._epoch, self._told = epoch, [list(pair) for pair in told]
        credit(*spent)

    def _start_alike(self) -> None:
        for part in self._parts.values():
            if isinstance(part, nn.Module):
                world.copy_from_first(list(part.state_dict().values()))


def _pairs(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(type(x) in (int, float) for x in pair)
        for pair in value
    )


def _bytes(tree: Any) -> int:
    if isinstance(tree, Tensor):
        return tree.numel() * tree.element_size()
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return sum(_bytes(value) for value in inner)
