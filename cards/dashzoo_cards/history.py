"""How a network came to be: the parts of `results.json` about search, recipe and machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from dashzoo_cards.fields import Fields

__all__ = ["Provenance", "Recipe", "Search"]


_SETTINGS: dict[str, dict[str, type]] = {
    "paths": {"explore": float, "confidence": float, "sparsity": float},
    "mixture": {"alpha_on": str, "rule": str, "price": float},
    "xd": {"arch_optimizer": str, "arch_lr": float},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How the kernels were searched.

    ``settings`` are those of the method that have a place on the card, ``believed`` says whether
    the search started from what a scout had seen (None without one), ``started`` names the model
    it started from, if it did from one's kernels, ``alpha`` holds
    (epoch, layer → weight or chance of each choice).
    """

    epochs: int
    seconds: float
    cpu_seconds: float
    method: str
    settings: Mapping[str, str | float]
    believed: bool | None
    started: str | None
    alpha: tuple[tuple[int, Mapping[str, tuple[float, ...]]], ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From ``results.json:search``; raises BadBundle."""
        method = fields.one_of("method", tuple(_SETTINGS))
        scouted = fields.inside("scouted") if fields.values.get("scouted") else Fields("", {}, "")
        started = fields.inside("started") if fields.values.get("started") else Fields("", {}, "")
        has_history = fields.values.get("alpha") is not None
        return cls(
            epochs=fields.integer("epochs"),
            seconds=fields.number("seconds", low=0),
            cpu_seconds=fields.number("cpu_seconds", low=0),
            method=method,
            settings={
                name: fields.text(name) if kind is str else fields.number(name)
                for name, kind in _SETTINGS[method].items()
            },
            believed=scouted.values.get("believed") is True if scouted.values else None,
            started=started.text("model") if started.values else None,
            alpha=tuple(map(_read_alpha, fields.each("alpha"))) if has_history else (),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the network was trained once its kernels were fixed."""

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    init: str

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From ``results.json:recipe``; raises BadBundle."""
        return cls(
            epochs=fields.integer("epochs"),
            batch_size=fields.integer("batch_size", low=1),
            lr=fields.number("lr"),
            weight_decay=fields.number("weight_decay"),
            init=fields.text("init"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Versions and machine of the run."""

    dashzoo: str
    git_commit: str | None
    python: str
    torch: str
    timm: str
    numpy: str
    device: str
    threads: int
    platform: str
    created: str

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From ``results.json:provenance``; raises BadBundle."""
        texts = ("dashzoo", "python", "torch", "timm", "numpy", "device", "platform", "created")
        values: dict[str, Any] = {name: fields.text(name) for name in texts}
        return cls(
            git_commit=fields.text_or_null("git_commit"),
            threads=fields.integer("threads", low=1),
            **values,
        )


def _read_alpha(fields: Fields) -> tuple[int, dict[str, tuple[float, ...]]]:
    layers = fields.inside("layers")
    weights: dict[str, tuple[float, ...]] = {}
    for name, value in layers.values.items():
        numbers = value if isinstance(value, list) else [None]
        row = Fields(fields.file, dict(_by_position(numbers)), f"{layers.path}.{name}")
        weights[name] = tuple(row.number(index, low=0, high=1) for index in row.values)
        if abs(sum(weights[name]) - 1) > 0.02:
            layers.fail(name, "mixture weights that add up to 1")
    return fields.integer("epoch"), weights


def _by_position(items: list[Any]) -> list[tuple[str, Any]]:
    return [(str(index), item) for index, item in enumerate(items)]
