"""The supernet: a network in which every searchable convolution can be any of its choices.

`build_supernet` swaps each of them for a layer over the choices that fit the plane it sees: an
`AggConv`, which weighs all of them, or a `PathConv`, which takes one at a time. Keys are the
layers' qualified names in the backbone, the same as in a `KernelSpec`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dashzoo_search.errors import BadBackbone, BadSpec
from dashzoo_search.networks.convs import ConvLayer, conv_layers, out_of_reach, replace_module
from dashzoo_search.networks.rules import Rule
from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.ops import AggConv, PathConv, XDConv
from dashzoo_search.spec import Choice, KernelSpec, SearchSpace

__all__ = ["Layer", "Supernet", "Weights", "build_supernet"]

Layer = AggConv | PathConv
Weights = Literal["separate", "shared"]


class Supernet(nn.Module):
    """A network with searchable convolutions.

    Args:
        network: a `SearchedNet` whose searchable convolutions are `AggConv`s or `PathConv`s.
        layers: those, by qualified name in ``network.backbone``; XD-operations are none of them.
        kept: every other convolution, with the reason it was left alone.
        planes: height and width of what each of the layers sees; a sequence has height 1.
    """

    def __init__(
        self,
        network: SearchedNet,
        layers: Mapping[str, Layer],
        kept: Mapping[str, str],
        planes: Mapping[str, tuple[int, ...]],
    ) -> None:
        super().__init__()
        self.network = network
        self.layers: Mapping[str, Layer] = dict(layers)
        self.kept: Mapping[str, str] = dict(kept)
        self.planes: Mapping[str, tuple[int, ...]] = dict(planes)

    def forward(self, x: Tensor) -> Tensor:
        """Raw samples → raw outputs."""
        return self.network(x)  # type: ignore[no-any-return]

    def architecture(self) -> Iterator[nn.Parameter]:
        """One α for each `AggConv`, the twiddles of each `XDConv`."""
        for layer in self.network.backbone.modules():
            if isinstance(layer, AggConv):
                yield layer.alpha
            elif isinstance(layer, XDConv):
                yield from layer.architecture()

    def weights(self) -> Iterator[nn.Parameter]:
        """Every parameter that is no α."""
        alphas = {id(alpha) for alpha in self.architecture()}
        return (p for p in self.parameters() if id(p) not in alphas)

    def coefficients(self) -> dict[str, Tensor]:
        """The mixing coefficients of each layer, detached, as evaluation uses them."""
        training = self.training
        self.eval()
        with torch.no_grad():
            found = {name: layer.coefficients().cpu() for name, layer in self.layers.items()}
        self.train(training)
        return found

    def choices(self, name: str) -> tuple[Choice, ...]:
        """Choices of layer ``name`` in the signal's own dims, in the order of its α."""
        dims = self.network.dims
        return tuple(
            Choice(c.kernel[-dims:], c.dilation[-dims:]) for c in self.layers[name].choices
        )

    def select(self, spec: KernelSpec) -> None:
        """Settle every layer on its choice in ``spec``, in place.

        In an `AggConv` the chosen weight becomes the aggregated kernel restricted to the choice's
        support: what the supernet really computed there.

        Raises:
            BadSpec: the spec names other layers, or a choice the layer does not have.
        """
        if set(spec.layers) != set(self.layers):
            name = sorted(set(spec.layers) ^ set(self.layers))[0]
            raise BadSpec(f"the spec and the supernet disagree about layer {name}", field="layers")
        for name, choice in spec.layers.items():
            choices = self.choices(name)
            if choice not in choices:
                raise BadSpec(f"{choice} was no choice of layer {name}", field=f"layers.{name}")
            layer, index = self.layers[name], choices.index(choice)
            if isinstance(layer, AggConv):
                layer.select(index, weight="aggregate")
            else:
                layer.select(index)


def build_supernet(
    network: SearchedNet,
    space: SearchSpace,
    size: tuple[int, ...],
    *,
    kind: Literal["paths", "mixture"] = "mixture",
    own: bool = False,
    weights: Weights = "separate",
    rule: Rule | None = None,
    keep_weights: bool = False,
) -> Supernet:
    """Swap the searchable convolutions of ``network`` for layers over many kernels, in place.

    Args:
        network: freshly built, with the backbone's own kernels.
        space: kernel sizes × dilations; a layer gets those that fit its plane.
        size: of a raw sample, (l,) or (h, w).
        kind: ``"mixture"`` makes `AggConv`s, ``"paths"`` makes `PathConv`s.
        own: whether layers have the backbone's own kernel among their choices whatever the space;
            those of paths always do.
        weights: of a mixture: ``"separate"`` gives each choice its own, ``"shared"`` all of a layer
            one kernel, so that memory does not grow with their number.
        rule: which convolutions are searched of those that can be; None: the default.
        keep_weights: whether the choice that is the backbone's own kernel starts from the
            backbone's weights, as pretrained ones want it. In `PathConv`s larger ones of its
            dilation then start as the same function.

    Raises:
        BadBackbone: nothing in this backbone can be searched on inputs of that size.
        UnknownLayer: a pattern of the rule that matches no convolution.
    """
    planes = network.preprocess(network.example_input(size, batch=2))
    own = own or kind == "paths"
    layers: dict[str, Layer] = {}
    kept: dict[str, str] = {}
    seen: dict[str, tuple[int, ...]] = {}
    for layer in list(conv_layers(network.backbone, planes, dims=network.dims, rule=rule)):
        choices = space.fitting(layer.size)
        if own and layer.choice is not None and layer.choice not in choices:
            choices = (layer.choice, *choices)
        reason = layer.reason
        if not reason and len(choices) < 2:
            plane = "×".join(map(str, layer.size))
            reason = f"its plane of {plane} leaves {len(choices) or 'no'} choice"
        if reason:
            kept[layer.name] = reason
            continue
        layers[layer.name] = made = _layer(layer, choices, kind, weights)
        if keep_weights:
            _start_from(made, layer.conv, choices, layer.choice)
        seen[layer.name] = (1,) * (2 - network.dims) + layer.size
        replace_module(network.backbone, layer.name, made)
    kept |= out_of_reach(network.backbone, kept)
    if not layers:
        resize = "--resize, " if network.dims == 2 else ""
        raise BadBackbone(
            f"{network.backbone_name} has no convolution to search on inputs of {list(size)} "
            f"({_counted(kept)}); try {resize}other --kernels or --layers, or another backbone"
        )
    return Supernet(network, layers, kept, seen)


def _counted(kept: Mapping[str, str]) -> str:
    """How often each reason is given, but for the plainest."""
    counts = Counter(reason for reason in kept.values() if reason != "kernel size 1")
    return "; ".join(f"{n} × {reason}" for reason, n in counts.most_common()) or "all of size 1"


def _layer(layer: ConvLayer, choices: tuple[Choice, ...], kind: str, weights: Weights) -> Layer:
    conv = layer.conv
    made: dict[str, Any] = {
        "stride": conv.stride,
        "groups": conv.groups,
        "bias": conv.bias is not None,
        "device": conv.weight.device,
        "dtype": conv.weight.dtype,
    }
    planes = [choice.on_plane() for choice in choices]
    if kind == "mixture":
        return AggConv(conv.in_channels, conv.out_channels, planes, weights=weights, **made)
    assert layer.choice is not None  # a layer without one is never searched
    first = choices.index(layer.choice)
    return PathConv(conv.in_channels, conv.out_channels, planes, first=first, **made)


def _start_from(
    layer: Layer, conv: nn.Conv2d, choices: Sequence[Choice], own: Choice | None
) -> None:
    """Give the choice that is ``own`` the weights of ``conv``."""
    with torch.no_grad():
        if layer.bias is not None and conv.bias is not None:
            layer.bias.copy_(conv.bias)
    if own in choices:
        layer.set_choice_weight(choices.index(own), conv.weight)
