"""Live curves: every epoch of a run as TensorBoard event files, while it goes on.

    with live_curves("runs/live") as on_epoch:
        dashzoo.run("ucr/GunPoint", "runs/gunpoint", on_epoch=on_epoch)

and ``tensorboard --logdir runs/live`` beside it. Each stage is a run of its own there, with

| scalar | after each epoch |
|---|---|
| loss | mean training loss |
| score/<metric> | on held-out data |
| learning_rate | of the next step |
| alpha_entropy/<layer> | −Σ p ln p over the layer's choices, in nats; searches only |

A run that was resumed goes on in the same curves, if it is given the same folder.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.training.progress import OnEpoch, Progress

__all__ = ["live_curves"]


@contextlib.contextmanager
def live_curves(folder: str | PathLike[str]) -> Iterator[OnEpoch]:
    """What is told after every epoch goes into event files in ``folder``.

    Raises:
        MissingRuntime: tensorboard is not installed.
        BadData: the folder cannot be written into.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingRuntime("tensorboard", "live") from error
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / ".writable").touch()
        (path / ".writable").unlink()
    except OSError as error:
        raise BadData(
            f"{path} is no folder we can write into; give another --tensorboard"
        ) from error
    live = _Live(path, SummaryWriter)
    try:
        yield live
    finally:
        live.close()


class _Live:
    """One writer at a time: stages follow each other."""

    def __init__(self, folder: Path, writer: Any) -> None:
        self._folder, self._open_writer = folder, writer
        self._stage, self._last = "", 0
        self._writer: Any = None
        self._used: Counter[str] = Counter()
        self._skips = False

    def __call__(self, progress: Progress) -> None:
        if progress.stage != self._stage or progress.epoch <= self._last:
            self._begin(progress)
        self._last = progress.epoch
        if progress.again and self._skips:
            return
        if self._writer is None:
            self._writer = self._open_writer(str(self._run), purge_step=progress.epoch)
        for tag, value in _scalars(progress).items():
            self._writer.add_scalar(tag, value, progress.epoch)
        self._writer.flush()  # who looks wants this epoch, not the one of two minutes ago

    def close(self) -> None:
        """End the files."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _begin(self, progress: Progress) -> None:
        self.close()
        self._stage, self._last = progress.stage, 0
        slug = re.sub(r"\W+", "-", progress.stage).strip("-")
        self._used[slug] += 1
        count = self._used[slug]
        self._run = self._folder / (slug if count == 1 else f"{slug}-{count}")
        # What was written before the stop has rates and entropies too, which nobody kept.
        self._skips = any(self._run.glob("events.*"))


def _scalars(progress: Progress) -> dict[str, float]:
    told = {"loss": progress.loss, f"score/{progress.metric.name}": progress.value}
    if progress.rate is not None:
        told["learning_rate"] = progress.rate
    if progress.mixtures is not None:
        for layer, shares in progress.mixtures().items():
            told[f"alpha_entropy/{layer}"] = -sum(p * math.log(p) for p in shares if p > 0)
    return told
