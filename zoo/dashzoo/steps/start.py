"""Where a search starts that is told of a model: at its kernels, in place of a scout.

Kernels go with layers, so they apply to any width of the same backbone. The layers are anchored at
them while every choice stays in play, so a start that was of no use is left again; and the final
choice on held-out data still decides against the backbone's default kernels. What is saved are the
scout's two trainings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from dashzoo.catalogue import Found, bundles, find
from dashzoo_cards.facts import Facts, load_facts
from dashzoo_search.errors import BadBundle, BadData
from dashzoo_search.methods.paths import Paths
from dashzoo_search.plan import Network, build_network
from dashzoo_search.search import SearchOptions, epochs_spent
from dashzoo_search.spec import KernelSpec, SearchSpace
from dashzoo_search.supernet import Supernet, build_supernet
from dashzoo_search.tasks import Task

__all__ = ["NEAREST", "Start", "starting_point"]

NEAREST = "nearest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A model's kernels, as far as this search has them.

    Attributes:
        found: the model.
        spec: its kernels, in layers and of choices that are searched here.
        of: layers that are searched.
    """

    found: Found
    spec: KernelSpec
    of: int

    def given_to(self, how: object, *, said: Mapping[str, Any]) -> Paths:
        """The options of a search that starts here.

        Args:
            how: the options it had.
            said: those the user gave, by name.

        Raises:
            BadData: it has no scout to spare, or the user wants one.
        """
        if not isinstance(how, Paths):
            raise BadData("Only --method paths can start from a model; leave --start-from out")
        if said.get("scout"):
            raise BadData("--start-from takes the place of the scout; leave --scout out")
        return replace(how, scout=0.0, start=self.spec)

    def to_json(self, options: SearchOptions) -> dict[str, Any]:
        """What the record says: the model, layers that start from it, epochs that were saved."""
        usual = SearchOptions.of(options.recipe)
        return {
            "model": str(self.found),
            "layers": len(self.spec.layers),
            "of": self.of,
            "saved_epochs": epochs_spent(usual.to_json()) - epochs_spent(options.to_json()),
        }


def starting_point(
    name: str | PathLike[str], task: Task, network: Network, space: SearchSpace
) -> Start:
    """Find the model to start from.

    Args:
        name: as `find` takes it, or `NEAREST` for the model of the shelf that fits and is nearest:
            of the same kind of problem before others, then by the sizes of samples, then channels.
        task, network, space: of the search.

    Raises:
        BadData: its samples have other dims, its backbone is another or of another depth, or none
            of its kernels is searched here; for `NEAREST`, that goes for the whole shelf.
        BadBundle: it is damaged.
        UnknownModel, NotFetched, HubFailed: see `find`.
    """
    net = build_network(network, task)
    supernet = build_supernet(net, space, task.size, kind="paths", rule=network.rule)
    if name != NEAREST:
        found = find(name)
        return _fitting(found, load_facts(found.folder, files=False), task, network, supernet)
    for found, facts in sorted(_shelved(), key=lambda both: _distance(both[1], task)):
        try:
            return _fitting(found, facts, task, network, supernet)
        except BadData:
            continue
    raise BadData(
        f"No model of the shelf has kernels for {network.backbone} on {_samples(task.dims)}; leave "
        "--start-from out, or see 'dashzoo list'"
    )


def _shelved() -> Sequence[tuple[Found, Facts]]:
    found = []
    for folder in bundles():
        try:
            facts = load_facts(folder, files=False)
        except BadBundle:  # `dashzoo list` tells of it
            continue
        found.append((Found(name=folder.name, where="shelf", folder=Path(folder)), facts))
    return found


def _distance(facts: Facts, task: Task) -> tuple[float, ...]:
    if facts.task.dims != task.dims:
        return (math.inf,)
    sizes = zip(facts.task.size, task.size, strict=True)
    return (
        float(facts.task.kind != task.kind),
        sum(abs(math.log(theirs / ours)) for theirs, ours in sizes),
        abs(math.log(facts.task.channels / task.channels)),
    )


def _fitting(found: Found, facts: Facts, task: Task, network: Network, supernet: Supernet) -> Start:
    if facts.task.dims != task.dims:
        raise BadData(
            f"{found}, is of {_samples(facts.task.dims)}, and these are {_samples(task.dims)}; "
            "start from another model"
        )
    if facts.backbone != network.backbone:
        raise BadData(
            f"{found}, has the backbone {facts.backbone}, and this search {network.backbone}; add "
            f"--backbone {facts.backbone}, or start from another model"
        )
    kernels = facts.kernels.layers
    if absent := sorted(set(kernels) - set(supernet.layers) - set(supernet.kept)):
        raise BadData(
            f"{found}, has a layer {absent[0]}, and this {network.backbone} has none; give it the "
            "same --backbone-arg but for the width, or start from another model"
        )
    here = {
        layer: choice
        for layer, choice in kernels.items()
        if layer in supernet.layers and choice in supernet.choices(layer)
    }
    if not here:
        raise BadData(
            f"{found}, has no kernel that is searched here; give other --kernels and --dilations, "
            "or start from another model"
        )
    return Start(found=found, spec=KernelSpec(dims=task.dims, layers=here), of=len(supernet.layers))


def _samples(dims: int) -> str:
    return "sequences" if dims == 1 else "images"
