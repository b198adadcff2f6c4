"""What is known of a task of NAS-Bench-360 without its data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dashzoo_search.rows import Array
from dashzoo_search.space import SearchSpace
from dashzoo_search.tasks.kinds import KINDS, Kind

__all__ = ["METHODS", "Original", "Record", "Status"]

Status = Literal["not run", "regenerated"]
Read = Callable[[Path], dict[str, Array]]

METHODS = (
    "WRN", "WRN + ASHA", "DARTS-GAEA", "Auto-DL / AMBER", "Perceiver IO", "XGBoost", "expert",
    "DASH",
)  # fmt: skip
_SOURCE = "NAS-Bench-360 (Tu et al. 2022), Tables 2 and 6, three seeds, on the benchmark's data"
_UNVERIFIED = "DASH (Shen et al. 2022), quoted from memory, not verified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """Files as they are distributed, where they hold no pickles.

    Attributes:
        files: their names.
        read: gives the arrays, by the names `arrays_task` knows, of a folder with these files.
    """

    files: tuple[str, ...]
    read: Read


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A task of NAS-Bench-360.

    Attributes:
        name: after ``nb360/``.
        what: it asks, in a few words.
        kind: of problem.
        shape: of a sample, channels first.
        outputs: classes, labels or outputs.
        counts: samples of train, val and test.
        rounded: whether they are known to the thousand only.
        loss, metric, positive_weight: see `Task`.
        names: of labels or outputs; None takes those of the files, or numbers.
        space: K × D of DASH.
        batch_size: of DASH.
        license: of the data.
        obtain: where it is to be had, and what is to be made of it.
        original: files that can be read as they are distributed.
        status: ``"not run"`` here for want of data, or ``"regenerated"``.
        figures: of `METHODS`, as published (lower is better), None where there is none.
        figure: what they are: 1 − or 100 % − our metric, our metric, or `fnr`, by which nothing
            should be chosen.
    """

    name: str
    what: str
    kind: Kind
    shape: tuple[int, ...]
    outputs: int
    counts: tuple[int, int, int]
    rounded: bool = False
    loss: str
    metric: str
    positive_weight: float = 1.0
    names: tuple[str, ...] | None = None
    space: SearchSpace
    batch_size: int
    license: str
    obtain: str
    original: Original | None = None
    status: Status = "not run"
    figures: tuple[float | None, ...]
    figure: Literal["1 − metric", "100 % − metric", "metric", "false negatives, %"]

    @property
    def size(self) -> tuple[int, ...]:
        """Length, or height and width, of a sample."""
        return self.shape[1:]

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Of the labels of a sample, as `Split` has them."""
        if self.kind in ("classification", "dense_labels"):
            return self.size if KINDS[self.kind].dense else ()
        return (self.outputs, *self.size) if KINDS[self.kind].dense else (self.outputs,)

    @property
    def published(self) -> tuple[Mapping[str, Any], ...]:
        """The figures as rows of `Task`, in our metric where there is one."""
        return tuple(
            {
                "method": method,
                **self._in_our_metric(value),
                "source": _UNVERIFIED if method == "DASH" else _SOURCE,
            }
            for method, value in zip(METHODS, self.figures, strict=True)
            if value is not None
        )

    def _in_our_metric(self, value: float) -> dict[str, Any]:
        if self.figure == "false negatives, %":
            return {"metric": "fnr", "value": round(value / 100, 6)}
        ours = {"1 − metric": 1 - value, "100 % − metric": 1 - value / 100, "metric": value}
        return {"metric": self.metric, "value": round(ours[self.figure], 6)}
