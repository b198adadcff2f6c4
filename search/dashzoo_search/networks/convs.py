"""Which convolutions of a backbone a search may change, and how to put a chosen kernel in place.

A convolution is searched when it is an ordinary zero-padded `nn.Conv2d` with an odd kernel above
size 1 whose outputs stay centred on its inputs (padding d(k−1)/2), is not on a shortcut or
downsample path nor in a decoder, and sees a plane on which at least two choices differ. All others
are kept as they are, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dashzoo_search.errors import BadBackbone, BadSpec
from dashzoo_search.spec import Choice, KernelSpec

__all__ = ["ConvLayer", "apply_spec", "conv_layers", "make_conv", "replace_module", "trace_sizes"]

SHORTCUT_NAMES = frozenset({"shortcut", "downsample", "skip", "residual", "proj_shortcut"})
DECODER = "decoder"


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
            "try --resize, or another backbone"
        ) from error
    finally:
        net.train(training)
        for handle in hooks:
            handle.remove()
    return sizes


def conv_layers(backbone: nn.Module, x: Tensor, *, dims: int) -> Iterator[ConvLayer]:
    """Every convolution of ``backbone``, with the reason where a search must leave it alone.

    Args:
        backbone: a network on planes.
        x: one batch as the backbone takes it, [b, c, h, w] (h = 1 for sequences).
        dims: axes of the signal, 1 or 2.
    """
    sizes = trace_sizes(backbone, x)
    for name, module in backbone.named_modules():
        if not isinstance(module, nn.Conv2d) or name not in sizes:
            continue
        size, out_size = (full[-dims:] for full in sizes[name])
        choice, reason = _choice_of(module, dims)
        if not reason and SHORTCUT_NAMES.intersection(name.split(".")):
            reason = "on a shortcut path"
        if not reason and DECODER in name.split("."):
            reason = "in the decoder"
        yield ConvLayer(
            name=name, conv=module, choice=choice, size=size, out_size=out_size, reason=reason
        )


def _choice_of(conv: nn.Conv2d, dims: int) -> tuple[Choice | None, str]:
    kernel, dilation = conv.kernel_size, conv.dilation
    if kernel == (1, 1):
        return Choice.cube(1, 1, dims=dims), "kernel size 1"
    if type(conv) is not nn.Conv2d:
        return None, f"a {type(conv).__name__}, not an ordinary convolution"
    if any(k % 2 == 0 for k in kernel):
        return None, "even kernel size"
    choice = Choice(kernel, dilation)
    if conv.padding_mode != "zeros":
        return choice, f"padding {conv.padding_mode}"
    if conv.padding != choice.padding:
        return choice, "outputs are not centred on inputs"
    if dims == 1:
        if kernel[0] != 1:
            return None, "kernel is not one-dimensional"
        return Choice(kernel[1:], dilation[1:]), ""
    if len(set(kernel)) > 1 or len(set(dilation)) > 1:
        return choice, "kernel is not square"
    return choice, ""


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


def replace_module(root: nn.Module, name: str, module: nn.Module) -> None:
    """Put ``module`` where ``name`` stands in ``root``."""
    parent, _, leaf = name.rpartition(".")
    setattr(root.get_submodule(parent), leaf, module)


def apply_spec(backbone: nn.Module, spec: KernelSpec) -> None:
    """Give each layer the spec names its kernel and dilation, with fresh weights, in place.

    A layer whose kernel is already the chosen one keeps its weights.

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
