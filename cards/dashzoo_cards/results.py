"""What `results.json` says, as frozen records; each knows how to read itself.

`history` holds the rest of that file, how the network came to be. Units: seconds are wall
time, ``cpu_seconds`` process time; shares are fractions of 1; ``macs`` are
multiply-accumulates for one example.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from dashzoo_cards.fields import Fields
from dashzoo_search.errors import BadSpec
from dashzoo_search.measure import Measure
from dashzoo_search.spec import Choice, XDChoice

__all__ = [
    "KINDS",
    "Fit",
    "Layer",
    "Objective",
    "Outcome",
    "Published",
    "Score",
    "Selection",
    "Task",
]

PROPOSALS = ("searched", "uniform", "scouted", "growing", "shrinking")
KINDS = ("classification", "multilabel", "regression", "dense_regression", "dense_labels")
_STARTS = ("searched", "scratch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The data: its name, shape, classes, split sizes, origin, licence and hash."""

    name: str
    kind: str
    dims: int
    channels: int
    size: tuple[int, ...]
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    source: str
    license: str
    sha256: str

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From ``results.json:task``; raises BadBundle."""
        dims = fields.one_of("dims", (1, 2))
        counts = fields.inside("counts")
        return cls(
            name=fields.text("name"),
            kind=fields.one_of("kind", KINDS),
            dims=dims,
            channels=fields.integer("channels", low=1),
            size=fields.integers("size", length=dims),
            classes=fields.texts("classes"),
            counts={split: counts.integer(split, low=1) for split in ("train", "val", "test")},
            source=fields.text("source"),
            license=fields.text("license"),
            sha256=fields.sha256("sha256"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One searched convolution beside the one the backbone has by default.

    ``xd`` says how it became an XD-operation, None where its kernel was searched.
    """

    name: str
    choice: Choice
    default_kernel: tuple[int, ...]
    default_dilation: tuple[int, ...]
    in_channels: int
    out_channels: int
    groups: int
    stride: tuple[int, ...]
    size: tuple[int, ...]
    parameters: int
    macs: int
    default_parameters: int
    default_macs: int
    xd: XDChoice | None = None

    @property
    def own(self) -> Choice:
        """The default kernel and dilation as a choice; raises BadSpec where it is none."""
        return Choice(self.default_kernel, self.default_dilation)

    @classmethod
    def read(cls, fields: Fields, dims: int) -> Self:
        """From one item of ``results.json:layers``; raises BadBundle."""
        kernel = fields.integers("kernel", length=dims)
        dilation = fields.integers("dilation", length=dims)
        try:
            choice = Choice(kernel, dilation)
        except BadSpec as error:
            fields.fail(error.field or "kernel", f"a kernel dashzoo knows ({error})")
        return cls(
            name=fields.text("name"),
            choice=choice,
            default_kernel=fields.integers("default_kernel", length=dims),
            default_dilation=fields.integers("default_dilation", length=dims),
            in_channels=fields.integer("in_channels", low=1),
            out_channels=fields.integer("out_channels", low=1),
            groups=fields.integer("groups", low=1),
            stride=fields.integers("stride", length=dims),
            size=fields.integers("size", length=dims),
            parameters=fields.integer("parameters"),
            macs=fields.integer("macs"),
            default_parameters=fields.integer("default_parameters"),
            default_macs=fields.integer("default_macs"),
            xd=_read_xd(fields),
        )


def _read_xd(fields: Fields) -> XDChoice | None:
    if fields.values.get("xd") is None:
        return None
    told = fields.inside("xd")
    depth, size = told.integer("depth", low=1), told.integers("size", length=2)
    try:
        return XDChoice(depth, size)
    except BadSpec as error:
        fields.fail("xd", f"an XD-operation dashzoo knows ({error})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What the networks were trained on and judged by."""

    loss: str
    metric: Measure

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From ``results.json:objective``; raises BadBundle."""
        metric = fields.inside("metric")
        measure = Measure(
            name=metric.text("name"),
            larger_is_better=metric.flag("larger_is_better"),
            low=metric.number_or_null("low"),
            high=metric.number_or_null("high"),
            percent=metric.flag("percent"),
        )
        return cls(loss=fields.text("loss"), metric=measure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The metric's value, and the loss, on one split."""

    value: float
    loss: float

    @classmethod
    def read(cls, fields: Fields, metric: Measure) -> Self:
        """From ``val`` or ``test`` of a network's metrics; raises BadBundle."""
        fields.one_of("metric", (metric.name,))
        low = -math.inf if metric.low is None else metric.low
        high = math.inf if metric.high is None else metric.high
        return cls(value=fields.number("value", low=low, high=high), loss=fields.number("loss"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One training: its scores and what it took."""

    val: Score
    test: Score
    epochs: int
    seconds: float

    @classmethod
    def read(cls, fields: Fields, metric: Measure) -> Self:
        """From one of a network's ``inits``; raises BadBundle."""
        return cls(
            val=Score.read(fields.inside("val"), metric),
            test=Score.read(fields.inside("test"), metric),
            epochs=fields.integer("epochs"),
            seconds=fields.number("seconds", low=0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One trained network: its scores, size and what its training took.

    ``judged_epochs`` are those of the shorter training that ``val`` is of, where the network itself
    was fitted to the validation split too, else 0. ``init`` is what it started from, None where
    that was not recorded, and ``inits`` every training of it by start, where there was more than
    one.
    """

    val: Score
    test: Score
    parameters: int
    macs: int
    best_epoch: int
    epochs: int
    judged_epochs: int
    seconds: float
    cpu_seconds: float
    init: str | None
    inits: Mapping[str, Fit]

    @property
    def spent(self) -> tuple[int, float]:
        """Epochs and seconds of all its trainings."""
        fits = self.inits.values()
        if not fits:
            return self.epochs, self.seconds
        return sum(fit.epochs for fit in fits), sum(fit.seconds for fit in fits)

    @classmethod
    def read(cls, fields: Fields, metric: Measure) -> Self:
        """From ``results.json:metrics.searched`` or ``.default``; raises BadBundle."""
        told = "init" in fields.values or "inits" in fields.values
        inits = fields.inside("inits") if fields.values.get("inits") else Fields("", {})
        return cls(
            init=fields.one_of("init", _STARTS) if told else None,
            inits={
                start: Fit.read(inits.inside(start), metric) for start in _STARTS if inits.values
            },
            val=Score.read(fields.inside("val"), metric),
            test=Score.read(fields.inside("test"), metric),
            parameters=fields.integer("parameters"),
            macs=fields.integer("macs"),
            best_epoch=fields.integer("best_epoch"),
            epochs=fields.integer("epochs"),
            judged_epochs=fields.integer("judged_epochs"),
            seconds=fields.number("seconds", low=0),
            cpu_seconds=fields.number("cpu_seconds", low=0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How it was decided which of the two networks to ship.

    ``proposal`` is ``"uniform"`` where the searched network has one kernel for all layers,
    ``"scouted"`` where it has those a scout named and the search did not end in, ``"growing"`` or
    ``"shrinking"`` where its dilations are in order of depth.
    """

    shipped: str
    how: str
    proposal: str
    samples: int
    searched: Score
    default: Score
    seconds: float
    cpu_seconds: float

    @classmethod
    def read(cls, fields: Fields, metric: Measure) -> Self:
        """From ``results.json:selection``; raises BadBundle."""
        scores = fields.inside("scores")
        return cls(
            shipped=fields.one_of("shipped", ("searched", "default")),
            how=fields.text("how"),
            proposal=fields.one_of("proposal", PROPOSALS),
            samples=fields.integer("samples", low=1),
            searched=Score.read(scores.inside("searched"), metric),
            default=Score.read(scores.inside("default"), metric),
            seconds=fields.number("seconds", low=0),
            cpu_seconds=fields.number("cpu_seconds", low=0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A figure somebody else published on the same task."""

    method: str
    metric: str
    value: float
    source: str

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From one item of ``results.json:published``; raises BadBundle."""
        return cls(
            method=fields.text("method"),
            metric=fields.text("metric"),
            value=fields.number("value"),
            source=fields.text("source"),
        )
