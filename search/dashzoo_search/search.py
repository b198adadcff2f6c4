"""The search: a supernet and training data in, a kernel spec out.

Three methods stand behind one call, see `dashzoo_search.methods`. A part of the training split is
held out to judge kernels by; validation and test data are not read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import torch

from dashzoo_search.errors import BadData
from dashzoo_search.methods.found import Found
from dashzoo_search.methods.mixture import Mixture, search_mixture
from dashzoo_search.methods.paths import JUDGED, Paths, search_paths
from dashzoo_search.methods.scout import Builds
from dashzoo_search.methods.xd import XD, search_xd
from dashzoo_search.supernet import Supernet
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.objective import CLASSIFY, Objective
from dashzoo_search.training.progress import OnEpoch, measured, quiet
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import Stopwatch

__all__ = ["METHODS", "Method", "SearchOptions", "SearchResult", "epochs_spent", "search_kernels"]

HELDOUT = 0.3

Method = Literal["paths", "mixture", "xd"]
METHODS: Mapping[Method, type[Paths] | type[Mixture] | type[XD]] = {
    "paths": Paths,
    "mixture": Mixture,
    "xd": XD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How to search.

    Args:
        recipe: epochs, batch size and the weights' optimiser.
        how: the method and its own options, `Paths`, `Mixture` or `XD`.
        heldout: share of the training split held out to judge kernels by; None takes 0.3, or what
            makes `JUDGED` samples where that is less.

    Raises:
        BadData: a value out of range.
    """

    recipe: Recipe
    how: Paths | Mixture | XD = field(default_factory=Paths)
    heldout: float | None = None

    def __post_init__(self) -> None:
        if self.heldout is not None and not 0 < self.heldout < 1:
            raise BadData(f"heldout must lie between 0 and 1, and is {self.heldout}")

    @property
    def method(self) -> Method:
        """The name of the method."""
        return next(name for name, kind in METHODS.items() if isinstance(self.how, kind))

    @classmethod
    def of(
        cls, recipe: Recipe, method: str = "paths", *, heldout: float | None = None, **own: Any
    ) -> SearchOptions:
        """Options by name, those of the method among them.

        Raises:
            BadData: no such method, or an option that is another method's.

        >>> recipe = Recipe(epochs=1, batch_size=1)
        >>> SearchOptions.of(recipe, "mixture", price=0.0).how.price
        0.0
        """
        if method not in METHODS:
            raise BadData(f"method must be one of {', '.join(METHODS)}, not {method!r}")
        names = {str(name): {f.name for f in fields(kind)} for name, kind in METHODS.items()}
        for option in own:
            if option in names[method]:
                continue
            others = [name for name, known in names.items() if option in known]
            if not others:
                raise BadData(f"A search has no option {option}")
            flag = "--operator" if others[0] == "xd" else "--method"
            raise BadData(
                f"{option} is an option of {flag} {others[0]}, not of {method}; leave it out"
            )
        kind = next(kind for name, kind in METHODS.items() if name == method)
        return cls(recipe=recipe, how=kind(**own), heldout=heldout)

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {
            "recipe": self.recipe.to_json(),
            "method": self.method,
            "heldout": self.heldout,
            **self.how.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult(Found):
    """What a search found, and what it took.

    Attributes:
        seconds, cpu_seconds: of the search.
    """

    seconds: float
    cpu_seconds: float


def epochs_spent(options: Mapping[str, Any]) -> int:
    """Epochs of training that a search takes in all, those of a scout's two networks included.

    Args:
        options: as `SearchOptions.to_json` gives them.

    >>> epochs_spent(SearchOptions.of(Recipe(epochs=10, batch_size=1), scout=0.5).to_json())
    20
    """
    epochs: int = options["recipe"]["epochs"]
    share = options.get("scout", 0)
    return epochs + (2 * max(1, round(share * epochs)) if share else 0)


def search_kernels(
    supernet: Supernet,
    train: Split,
    options: SearchOptions,
    *,
    seed: int,
    generator: torch.Generator,
    builds: Builds | None = None,
    objective: Objective = CLASSIFY,
    on_epoch: OnEpoch = quiet,
) -> SearchResult:
    """Train ``supernet`` in place on ``train`` and find a spec.

    Args:
        supernet: built for the method, on the device to train on.
        train: the training split; a part of it is held out, by ``seed``, or its end where samples
            are in order of time.
        options: see `SearchOptions`.
        seed: chooses the held-out part.
        generator: of every draw.
        builds: makes the networks of the scout of `Paths`; without them there is none.
        objective: what the supernet is trained on, and kernels are judged by.
        on_epoch: told after every epoch, with the metric on what kernels are judged by.

    Raises:
        TrainingFailed: ten steps in a row without a finite gradient, or out of memory.
        BadData: there is nothing to hold out.
        BadBundle: a checkpoint does not fit.
    """
    watch = Stopwatch()
    on_epoch = measured(on_epoch, objective.measure)
    how = options.how
    fitted = judge = train
    if not (isinstance(how, Mixture) and how.alpha_on == "train"):
        try:
            share = options.heldout or min(HELDOUT, JUDGED / len(train))
            fitted, judge = train.cut(share, seed=seed, array="y_train")
        except BadData as error:
            raise BadData(
                "No class has two training samples, so none can be held out to search on; give "
                "more samples, or use --method mixture --alpha-on train"
            ) from error
    if isinstance(how, Paths):
        found = search_paths(
            supernet,
            fitted,
            judge,
            options.recipe,
            how,
            builds=builds,
            objective=objective,
            generator=generator,
            on_epoch=on_epoch,
        )
    elif isinstance(how, XD):
        found = search_xd(
            supernet,
            fitted,
            judge,
            options.recipe,
            how,
            objective=objective,
            generator=generator,
            on_epoch=on_epoch,
        )
    else:
        found = search_mixture(
            supernet,
            fitted,
            judge,
            options.recipe,
            how,
            objective=objective,
            generator=generator,
            on_epoch=on_epoch,
        )
    told: dict[str, Any] = {entry.name: getattr(found, entry.name) for entry in fields(found)}
    return SearchResult(**{**told, **watch.to_json()})
