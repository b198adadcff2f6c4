"""What to build for a task: the backbone to take, and the rows that describe its layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dashzoo_search.choice import Kernel
from dashzoo_search.networks.convs import ConvLayer, conv_layers, out_of_reach
from dashzoo_search.networks.create import create_backbone
from dashzoo_search.networks.moments import InputNorm, Per
from dashzoo_search.networks.rules import Rule
from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.ops import XDConv
from dashzoo_search.spec import KernelSpec, XDChoice
from dashzoo_search.tasks.task import Task

__all__ = ["Network", "batch_macs", "build_network", "count_macs", "layer_table"]

POSITION_SAMPLES = 200  # from which a standard deviation is known to 5 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What is needed to build a `SearchedNet` for a task, and what of it is searched.

    Args:
        backbone: its name.
        args: further keyword arguments of the backbone.
        resize: side length images are interpolated to, or None.
        coords: whether the backbone is given coordinates as channels.
        input_norm: see `SearchedNet`.
        output_norm: the same of targets that are numbers; None normalises those of a dense task by
            position where it has `POSITION_SAMPLES` to train on, all others by channel.
        pretrained: whether the backbone starts from timm's weights.
        rule: which of its convolutions are searched.
    """

    backbone: str
    args: Mapping[str, Any] = field(default_factory=dict)
    resize: int | None = None
    coords: bool = False
    input_norm: InputNorm = "channel"
    output_norm: Per | None = None
    pretrained: bool = False
    rule: Rule = field(default_factory=Rule)

    def to_json(self) -> dict[str, Any]:
        """A plain dict, as results.json has it."""
        value: dict[str, Any] = {
            "name": self.backbone,
            "args": dict(self.args),
            "resize": self.resize,
            "coords": self.coords,
            "input_norm": self.input_norm,
            "output_norm": self.output_norm,
        }
        if self.pretrained:
            value["pretrained"] = True
        return value | self.rule.to_json()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Network:
        """Read what `to_json` wrote; what older ones did not know has its default."""
        known = ("args", "resize", "coords", "input_norm", "output_norm", "pretrained")
        patterns = {key: value[key] for key in ("layers", "exclude") if key in value}
        return cls(
            backbone=value["name"],
            rule=Rule.from_json(patterns),
            **{key: value[key] for key in known if key in value},
        )


def build_network(
    network: Network,
    task: Task,
    *,
    spec: KernelSpec | None = None,
    device: torch.device | None = None,
) -> SearchedNet:
    """A fresh network for ``task``, its inputs and targets normalised by the training split.

    Raises:
        UnknownBackbone, BadBackbone, BadSpec: as `SearchedNet` raises them.
        BadBackbone: there are no pretrained weights, or they cannot be had.
    """
    net = SearchedNet(
        network.backbone,
        dims=task.dims,
        in_chans=task.channels,
        num_classes=task.outputs,
        kernels=spec,
        backbone_args=network.args,
        resize=network.resize,
        dense=task.dense,
        coords=network.coords,
        input_norm=network.input_norm,
        output_norm=_output_norm(network, task),
        size=task.size,
    )
    if network.pretrained:
        net.adopt(
            create_backbone(
                network.backbone,
                dims=task.dims,
                in_chans=net.preprocess.out_chans,
                num_classes=task.outputs,
                args=network.args,
                dense=task.dense,
                pretrained=True,
            )
        )
    net.fit_norms(task.train.X, task.train.y)
    return net.to(device or torch.device("cpu"))


def _output_norm(network: Network, task: Task) -> Per | None:
    if task.kind not in ("regression", "dense_regression"):
        return None
    enough = task.dense and len(task.train) >= POSITION_SAMPLES
    return network.output_norm or ("position" if enough else "channel")


def batch_macs(network: Network, task: Task, batch_size: int) -> int:
    """Multiply-accumulates of the convolutions in one forward pass of a batch.

    Raises:
        BadBackbone: the backbone does not take samples of this size.
        UnknownLayer: a pattern of its rule that matches no convolution.
    """
    return batch_size * sum(layer.macs for layer in _conv_layers(network, task)[0])


def _conv_layers(network: Network, task: Task) -> tuple[list[ConvLayer], dict[str, str]]:
    """Every convolution, and what convolves but no search can reach, with the reason."""
    net = build_network(network, task)
    planes = net.preprocess(net.example_input(task.size, batch=2))
    layers = list(conv_layers(net.backbone, planes, dims=task.dims, rule=network.rule))
    return layers, out_of_reach(net.backbone, {layer.name for layer in layers})


def count_macs(net: SearchedNet, size: tuple[int, ...]) -> int:
    """Multiply-accumulates of convolutions and linear layers for one sample of ``size``."""
    return _macs(net, net.example_input(size))


def _macs(module: nn.Module, x: Tensor) -> int:
    counts = dict.fromkeys((torch.ops.aten.mm, torch.ops.aten.bmm), _product_flops)
    counter = FlopCounterMode(display=False, custom_mapping=counts)
    with counter, torch.inference_mode():
        module.eval()(x)
    return int(counter.get_total_flops()) // 2


def _product_flops(a: Tensor, b: Tensor, *_: Any, out_val: Tensor, **__: Any) -> int:
    """Of a product of matrices; torch counts one of complex numbers, which is four, as one."""
    return 2 * out_val.numel() * a.shape[-1] * (1 + a.is_complex()) * (1 + b.is_complex())


_product_flops._get_raw = True  # type: ignore[attr-defined]  # it is given tensors, not shapes


def layer_table(
    network: Network, task: Task, spec: KernelSpec
) -> tuple[tuple[dict[str, Any], ...], dict[str, str], KernelSpec]:
    """Each layer of ``spec`` beside its default.

    Returns:
        A row for each of them as results.json has it, why the other convolutions are left alone,
        and a spec of the default kernels.
    """
    layers, kept = _conv_layers(network, task)
    rows, own = [], {}
    for layer in layers:
        if layer.name in spec.xd:
            rows.append(_xd_row(layer, spec.xd[layer.name], task.dims))
        elif layer.name in spec.layers and layer.choice is not None:
            choice = spec.layers[layer.name]
            parameters, macs = layer.with_choice(choice)
            row = _layer_row(layer, layer.choice, choice, parameters=parameters, macs=macs)
            rows.append(row)
            own[layer.name] = layer.choice
        else:
            kept[layer.name] = layer.reason or "the spec leaves it as it is"
    return tuple(rows), kept, KernelSpec(dims=task.dims, layers=own)


def _xd_row(layer: ConvLayer, choice: XDChoice, dims: int) -> dict[str, Any]:
    own = Kernel(layer.conv.kernel_size[-dims:], layer.conv.dilation[-dims:])
    made = XDConv.from_conv(layer.conv, choice.size, depth=choice.depth)
    numbers = sum(p.numel() for p in (*made.weights(), *made.architecture()))
    macs = _macs(made, torch.zeros(1, made.in_channels, *made.size))
    lengths = [axis.length for axis in made.axes]
    row = _layer_row(layer, own, own, parameters=numbers, macs=macs)
    return row | {"xd": {**choice.to_json(), "length": lengths}}


def _layer_row(
    layer: ConvLayer, own: Kernel, choice: Kernel, *, parameters: int, macs: int
) -> dict[str, Any]:
    conv = layer.conv
    return {
        "name": layer.name,
        "kernel": list(choice.kernel),
        "dilation": list(choice.dilation),
        "default_kernel": list(own.kernel),
        "default_dilation": list(own.dilation),
        "in_channels": conv.in_channels,
        "out_channels": conv.out_channels,
        "groups": conv.groups,
        "stride": list(conv.stride[-choice.dims :]),
        "size": list(layer.size),
        "parameters": parameters,
        "macs": macs,
        "default_parameters": layer.parameters,
        "default_macs": layer.macs,
    }
