"""The bill: what every choice of every layer costs, and what the rest of the network does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dashzoo_search.budget.limits import Resource
from dashzoo_search.budget.receptive import receptive_field, windows
from dashzoo_search.choice import Choice
from dashzoo_search.errors import BadBudget
from dashzoo_search.networks.convs import ConvLayer, conv_layers
from dashzoo_search.ops.latency import ConvShape, LatencyTable
from dashzoo_search.plan import count_macs
from dashzoo_search.spec import KernelSpec
from dashzoo_search.supernet import Supernet

__all__ = ["CostSheet", "cost_sheet"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostSheet:
    """Costs of a network as sums over its layers.

    Attributes:
        resources: R of them, the columns.
        choices: of each layer.
        costs: of those, ``[choices, R]``.
        fixed: of everything a search leaves alone, ``[R]``.
        own: the index of the backbone's own kernel in each layer.
    """

    resources: tuple[Resource, ...]
    choices: Mapping[str, tuple[Choice, ...]]
    costs: Mapping[str, Floats]
    fixed: Floats
    own: Mapping[str, int]

    def total(self, picks: Mapping[str, int]) -> Floats:
        """What the network with these choices costs, ``[R]``."""
        total = self.fixed.copy()
        for name, costs in self.costs.items():
            total += costs[picks[name]]
        return total

    def least(self) -> Floats:
        """The least any network costs, each resource by itself, ``[R]``."""
        return self.fixed + sum((costs.min(0) for costs in self.costs.values()), np.zeros(1))

    def of(self, picks: Mapping[str, int]) -> dict[str, float]:
        """`total` as plain JSON: integers but for milliseconds."""
        return self.named(self.total(picks))

    def named(self, total: Floats) -> dict[str, float]:
        """Costs by name of the resource."""
        return {
            name: round(float(cost), 5) if name == "latency" else round(float(cost))
            for name, cost in zip(self.resources, total, strict=True)
        }

    def picks(self, spec: KernelSpec) -> dict[str, int]:
        """Indices of the choices of ``spec``."""
        return {name: self.choices[name].index(spec.layers[name]) for name in self.choices}

    def spec(self, picks: Mapping[str, int]) -> KernelSpec:
        """The spec that these choices make."""
        layers = {name: choices[picks[name]] for name, choices in self.choices.items()}
        return KernelSpec(dims=next(iter(layers.values())).dims, layers=layers)


def cost_sheet(
    supernet: Supernet, size: Sequence[int], *, latency: LatencyTable | None = None
) -> CostSheet:
    """Reckon the costs of every choice of ``supernet``, whose kernels count at batch size 1.

    Args:
        supernet: has the choices; left as it is.
        size: of a raw sample, (l,) or (h, w).
        latency: of the target; None leaves that resource out.

    Raises:
        BadBudget: the table lacks a layer, and cannot measure it here.
    """
    source = supernet.network
    with torch.random.fork_rng(devices=[]):
        plain = source.with_kernels(None).eval()
    planes = plain.preprocess(plain.example_input(tuple(size), batch=2))
    layers = {layer.name: layer for layer in conv_layers(plain.backbone, planes, dims=source.dims)}
    seen = windows(plain.backbone, planes)
    choices = {name: supernet.choices(name) for name in supernet.layers}
    resources: tuple[Resource, ...] = ("params", "macs", "receptive_field")
    if latency is not None:
        resources = (*resources, "latency")

    def cost(layer: ConvLayer, choice: Choice) -> list[float]:
        row: list[float] = [*layer.with_choice(choice), 0.0]
        if layer.name in seen:
            row[2] = (choice.extent[-1] - 1) * seen[layer.name][1]
        return row if latency is None else [*row, _milliseconds(layer, choice, latency)]

    whole = [
        float(sum(p.numel() for p in plain.parameters())),
        float(count_macs(plain, tuple(size))),
        float(receptive_field(seen)),
    ]
    if latency is not None:
        # A layer without a choice has some other form: it is timed as if its kernel had one.
        whole.append(sum(_milliseconds(layer, None, latency) for layer in layers.values()))
    own: dict[str, int] = {}
    costs: dict[str, Floats] = {}
    fixed = np.array(whole)
    for name, mine in choices.items():
        layer = layers[name]
        assert layer.choice is not None  # a layer without one is never searched
        costs[name] = np.array([cost(layer, choice) for choice in mine], dtype=np.float64)
        own[name] = mine.index(layer.choice) if layer.choice in mine else -1
        fixed = fixed - np.array(cost(layer, layer.choice))
    return CostSheet(resources=resources, choices=choices, costs=costs, fixed=fixed, own=own)


def _milliseconds(layer: ConvLayer, choice: Choice | None, table: LatencyTable) -> float:
    conv, missing = layer.conv, 2 - len(layer.size)
    kernel = choice or layer.choice or Choice.cube(max(conv.kernel_size) | 1, 1, dims=2)
    shape = ConvShape(
        batch=1,
        ins=conv.in_channels,
        outs=conv.out_channels,
        size=(1,) * missing + layer.size,
        stride=tuple(conv.stride),
        groups=conv.groups,
    )
    try:
        return table.milliseconds(shape, kernel.on_plane())
    except LookupError as error:
        raise BadBudget(
            f"The latency table lacks layer {layer.name} ({shape}, {kernel}); take the table on "
            "the target with dashzoo calibrate, or leave --latency-table out to measure here"
        ) from error
