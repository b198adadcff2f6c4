"""The convolutions of a backbone, whether a search can change them, and how one is changed.

A convolution can be searched when it is zero-padded and of an odd kernel above size 1 whose
outputs stay centred on its inputs (padding d(k−1)/2), and when it sees a plane on which at least
two choices differ; depthwise and strided ones too. `rules` tells which of those are. All others
are kept as they are, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from timm.layers.cond_conv2d import CondConv2d
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from dashzoo_search.errors import BadBackbone, BadSpec, UnsupportedLayer
from dashzoo_search.networks.rules import Rule
from dashzoo_search.ops.xd import XDConv
from dashzoo_search.spec import Choice, KernelSpec

__all__ = [
    "ConvLayer",
    "apply_spec",
    "conv_layers",
    "make_conv",
    "out_of_reach",
    "replace_module",
    "same_kernel",
    "trace_sizes",
    "why_no_xd",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvLayer:
    """One convolution of a backbone, seen on inputs of a given size.

    Attributes:
        name: qualified name in the backbone.
        choice: its kernel and dilation as they stand, or None when it has no such form.
        size: height and width (or length) of its input plane.
        out_size: the same of its output.
        parameters: weights and biases.
        macs: multiply-accumulates for one sample.
        reason: why a search leaves it alone; empty when it is searchable.
    """

    name: str
    conv: nn.Conv2d
    choice: Choice | None
    size: tuple[int, ...]
    out_size: tuple[int, ...]
    reason: str

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum(p.numel() for p in self.conv.parameters())

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample."""
        positions = 1
        for n in self.out_size:
            positions *= n
        return self.conv.weight.numel() * positions

    def with_choice(self, choice: Choice) -> tuple[int, int]:
        """Parameters and MACs this layer would have with ``choice``."""
        old = self.conv.kernel_size[0] * self.conv.kernel_size[1]
        pairs = self.conv.weight.numel() // old
        biases = self.conv.out_channels if self.conv.bias is not None else 0
        return pairs * choice.taps + biases, self.macs // old * choice.taps


def trace_sizes(net: nn.Module, x: Tensor) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Input and output plane of every `nn.Conv2d` in ``net`` for one forward pass of ``x``.

    Raises:
        BadBackbone: the network does not take inputs of that shape.
    """
    sizes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def record(name: str) -> object:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            sizes[name] = (tuple(inputs[0].shape[-2:]), tuple(output.shape[-2:]))

        return hook

    hooks = [
        module.register_forward_hook(record(name))  # type: ignore[arg-type]
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    training = net.training
    try:
        with torch.no_grad():
            net.eval()(x)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise BadBackbone(
            f"The backbone does not take inputs of shape {list(x.shape[1:])}: {error}; "
            f"try {'--resize, or ' if x.shape[-2] > 1 else ''}another backbone"
        ) from error
    finally:
        net.train(training)
        for handle in hooks:
            handle.remove()
    return sizes


def conv_layers(
    backbone: nn.Module, x: Tensor, *, dims: int, rule: Rule | None = None
) -> Iterator[ConvLayer]:
    """Every convolution of ``backbone``, with the reason where a search must leave it alone.

    Args:
        backbone: a network on planes.
        x: one batch as the backbone takes it, [b, c, h, w] (h = 1 for sequences).
        dims: axes of the signal, 1 or 2.
        rule: which of those that can be searched are; None: the default.

    Raises:
        BadBackbone: the backbone does not take ``x``.
        UnknownLayer: a pattern of the rule that matches no convolution.
    """
    rule = rule or Rule()
    sizes = trace_sizes(backbone, x)
    convs = {n: m for n, m in backbone.named_modules() if isinstance(m, nn.Conv2d) and n in sizes}
    rule.check(convs)
    for name, conv in convs.items():
        size, out_size = (full[-dims:] for full in sizes[name])
        choice, reason = _choice_of(conv, dims)
        yield ConvLayer(
            name=name,
            conv=conv,
            choice=choice,
            size=size,
            out_size=out_size,
            reason=reason or rule.reason(name),
        )


def out_of_reach(backbone: nn.Module, known: Collection[str]) -> dict[str, str]:
    """What convolves in ``backbone`` but is none of the layers ``known``, with the reason."""
    found = {}
    for name, module in backbone.named_modules():
        if name in known or getattr(module, "kernel_size", (1, 1)) in (1, (1, 1)):
            continue
        if isinstance(module, nn.Conv2d):
            found[name] = "its forward pass is not called"
        elif isinstance(module, CondConv2d | nn.ConvTranspose2d):
            found[name] = f"a {type(module).__name__}, not an ordinary convolution"
    return found


def _choice_of(conv: nn.Conv2d, dims: int) -> tuple[Choice | None, str]:
    kernel, dilation = conv.kernel_size, conv.dilation
    if kernel == (1, 1):
        return Choice.cube(1, 1, dims=dims), "kernel size 1"
    same = type(conv) is Conv2dSame
    if not same and not _is_ordinary(conv):
        return None, f"a {type(conv).__name__}, not an ordinary convolution"
    if any(k % 2 == 0 for k in kernel):
        return None, "even kernel size"
    choice = Choice(kernel, dilation)
    if conv.padding_mode != "zeros":
        return choice, f"padding {conv.padding_mode}"
    if same and max(conv.stride) > 1:
        return choice, "a strided Conv2dSame, padded by the size of its input"
    if not same and conv.padding not in (choice.padding, "same"):
        return choice, "outputs are not centred on inputs"
    if dims == 1:
        if kernel[0] != 1:
            return None, "kernel is not one-dimensional"
        return Choice(kernel[1:], dilation[1:]), ""
    if len(set(kernel)) > 1 or len(set(dilation)) > 1:
        return choice, "kernel is not square"
    return choice, ""


def _is_ordinary(conv: nn.Conv2d) -> bool:
    """Whether the class computes what `nn.Conv2d` does, whatever it is called."""
    kind = type(conv)
    return kind.forward is nn.Conv2d.forward and kind._conv_forward is nn.Conv2d._conv_forward


def why_no_xd(conv: nn.Conv2d) -> str:
    """Why a convolution cannot be made an XD-operation; empty if it can."""
    if conv.kernel_size == (1, 1):
        return "kernel size 1"
    if not _is_ordinary(conv):
        return f"a {type(conv).__name__}, not an ordinary convolution"
    if conv.padding_mode not in ("zeros", "circular"):
        return f"padding {conv.padding_mode}, which no XD-operation expresses"
    return ""


def make_conv(like: nn.Conv2d, choice: Choice) -> nn.Conv2d:
    """A fresh convolution like ``like`` in all but kernel, dilation and padding."""
    plane = choice.on_plane()
    return nn.Conv2d(
        like.in_channels,
        like.out_channels,
        plane.kernel,  # type: ignore[arg-type]
        stride=like.stride,  # type: ignore[arg-type]
        padding=plane.padding,  # type: ignore[arg-type]
        dilation=plane.dilation,  # type: ignore[arg-type]
        groups=like.groups,
        bias=like.bias is not None,
        device=like.weight.device,
        dtype=like.weight.dtype,
    )


def same_kernel(one: nn.Module, other: nn.Module) -> bool:
    """Whether two convolutions of a backbone have the same kernel size and dilation."""
    return all(getattr(one, key) == getattr(other, key) for key in ("kernel_size", "dilation"))


def replace_module(root: nn.Module, name: str, module: nn.Module) -> None:
    """Put ``module`` where ``name`` stands in ``root``, and wherever else the same module does."""
    old = root.get_submodule(name)
    for parent in list(root.modules()):
        for leaf, child in list(parent._modules.items()):
            if child is old:
                setattr(parent, leaf, module)


def apply_spec(backbone: nn.Module, spec: KernelSpec) -> None:
    """Give each layer the spec names its kernel and dilation, with fresh weights, in place.

    A layer whose kernel is already the chosen one keeps its weights. What is to be an XD-operation
    becomes one that starts as the convolution.

    Raises:
        BadSpec: a name that is no convolution of the backbone, or one no search may change.
    """
    modules: Mapping[str, nn.Module] = dict(backbone.named_modules())
    for name, choice in spec.layers.items():
        conv = modules.get(name)
        if not isinstance(conv, nn.Conv2d):
            raise BadSpec(f"{name} is no convolution of the backbone", field=f"layers.{name}")
        current, reason = _choice_of(conv, spec.dims)
        if reason:
            raise BadSpec(f"{name} cannot take another kernel: {reason}", field=f"layers.{name}")
        if choice != current:
            replace_module(backbone, name, make_conv(conv, choice))
    for name, relaxed in spec.xd.items():
        conv, field = modules.get(name), f"xd.{name}"
        if name in spec.layers:
            conv = backbone.get_submodule(name)
        if not isinstance(conv, nn.Conv2d):
            raise BadSpec(f"{name} is no convolution of the backbone", field=field)
        if reason := why_no_xd(conv):
            raise BadSpec(f"{name} cannot be an XD-operation: {reason}", field=field)
        try:
            layer = XDConv.from_conv(conv, relaxed.size, depth=relaxed.depth)
        except (UnsupportedLayer, ValueError) as error:
            raise BadSpec(f"{name} cannot be an XD-operation: {error}", field=field) from error
        replace_module(backbone, name, layer)
