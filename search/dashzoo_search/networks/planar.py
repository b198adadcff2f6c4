"""A 2-D network made one-dimensional, in place: sequences as (1, l) planes, [b, c, 1, l].

Along the height every window becomes one row high: kernels (1, k), strides (1, s), dilations
(1, d), paddings (0, p), and pools, pads, blurs and up-sampling alike, whether they are modules or
functions a forward pass calls. A kernel's rows are added up: that is what it answers to a plane
that is the same in every row, and what keeps the variance of fan-in initialisation.

Promises: names of modules and parameters stay; the network has run on a plane when it is handed
back. Not covered, and refused: what rearranges k×k patches into channels, attends over windows
with a height, or takes planes of one size only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers.blur_pool import BlurPool2d
from timm.layers.cond_conv2d import CondConv2d
from timm.layers.std_conv import ScaledStdConv2d, ScaledStdConv2dSame
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dashzoo_search.errors import BadBackbone

__all__ = ["make_planar"]

LENGTH = 256  # of the sequence a network is tried on

_WINDOW = {"kernel_size": 1, "stride": 1, "dilation": 1, "padding": 0, "output_padding": 0}
_HEIGHTS: Mapping[type[nn.Module], Mapping[str, int]] = {
    nn.Conv2d: _WINDOW,
    nn.ConvTranspose2d: _WINDOW,
    CondConv2d: _WINDOW,
    nn.MaxPool2d: _WINDOW,
    nn.AvgPool2d: _WINDOW,
    nn.LPPool2d: _WINDOW,
    BlurPool2d: {"stride": 1},
    nn.AdaptiveAvgPool2d: {"output_size": 1},
    nn.AdaptiveMaxPool2d: {"output_size": 1},
    nn.Upsample: {"size": 1, "scale_factor": 1},
}
_PADS = (nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d, BlurPool2d)

# Argument, its place, and what it has to be along the height.
_ARGUMENTS: Mapping[Callable[..., Any], Sequence[tuple[str, int, int]]] = {
    F.avg_pool2d: (("kernel_size", 1, 1), ("stride", 2, 1), ("padding", 3, 0)),
    F.max_pool2d: (
        ("kernel_size", 1, 1),
        ("stride", 2, 1),
        ("padding", 3, 0),
        ("dilation", 4, 1),
    ),
    F.adaptive_avg_pool2d: (("output_size", 1, 1),),
    F.adaptive_max_pool2d: (("output_size", 1, 1),),
    F.interpolate: (("size", 1, 1), ("scale_factor", 2, 1)),
}
_PATCHES = (F.unfold, F.fold, F.pixel_shuffle, F.pixel_unshuffle)


def make_planar(net: nn.Module, *, name: str, in_chans: int) -> None:
    """Make ``net`` one-dimensional in place, and try it.

    Args:
        net: a network on images, freshly built or with its weights.
        name: for the error.
        in_chans: channels of its input.

    Raises:
        BadBackbone: it cannot be, with the module at fault and what it says.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.AvgPool2d(2))
    >>> make_planar(net, name="example", in_chans=3)
    >>> net[0].weight.shape, net(torch.zeros(1, 3, 1, 64)).shape
    (torch.Size([8, 3, 1, 3]), torch.Size([1, 8, 1, 16]))
    """
    for module in net.modules():
        _flatten(module)
    training = net.training
    with torch.no_grad(), _Tried(net) as tried, _Trial(tried):
        try:
            tried.check(net.eval()(torch.zeros(2, in_chans, 1, LENGTH)))
        except Exception as error:  # a forward pass raises whatever its layers raise
            raise BadBackbone(
                f"Backbone {name} is for images only: its {tried.where()} does not take planes of "
                f"height 1 ({_first_line(error)}); take another, such as wrn1d or resnet18"
            ) from error
        finally:
            net.train(training)
    for module in tried.callers:
        kind: Any = type(module)
        module.__class__ = _one_row(kind)


def _flatten(module: nn.Module) -> None:
    """Make the windows of one module a row high."""
    for kind, heights in _HEIGHTS.items():
        if isinstance(module, kind):
            for name, height in heights.items():
                if hasattr(module, name):
                    setattr(module, name, _across(getattr(module, name), height))
    if isinstance(module, _PADS):
        padding: Any = module.padding
        module.padding = (*padding[:2], 0, 0)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        rows = module.weight.shape[-2]
        module.weight.data = module.weight.data.sum(-2, keepdim=True)
        beyond = module._reversed_padding_repeated_twice
        module._reversed_padding_repeated_twice = [*beyond[:2], 0, 0]
        if isinstance(module, ScaledStdConv2d | ScaledStdConv2dSame):
            module.scale *= rows**0.5  # of the fan-in
    elif isinstance(module, CondConv2d):
        kernels = module.weight.data.view(-1, *module.weight_shape).sum(-2, keepdim=True)
        module.weight.data, module.weight_shape = kernels.flatten(1), tuple(kernels.shape[1:])
    elif isinstance(module, BlurPool2d):
        module.filt = module.get_buffer("filt").sum(-2, keepdim=True)


def _across(value: Any, height: int) -> Any:
    """``value``, which speaks of both axes or of each, with ``height`` for the first."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return (height, *value[-1:])
    return value if value == height else (height, value)


class _OneRow(TorchFunctionMode):
    """Calls with windows of more rows than one become calls with one."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given, named = list(args), dict(kwargs or {})
        changed = False
        if func is F.pad and len(pad := tuple(named.get("pad", given[1:2] and given[1]))) >= 4:
            changed = any(pad[2:4])
            _put(given, named, "pad", 1, (*pad[:2], 0, 0, *pad[4:]))
        for name, place, height in _ARGUMENTS.get(func, ()):
            old = named.get(name, given[place] if place < len(given) else None)
            new = _across(old, height)
            if new is not old and new != (tuple(old) if isinstance(old, Sequence) else old):
                changed = True
                _put(given, named, name, place, new)
        if changed:
            self.on_change()
        return func(*given, **named) if changed else func(*args, **(kwargs or {}))

    def on_change(self) -> None:
        """Told of every call that was changed."""


def _put(given: list[Any], named: dict[str, Any], name: str, place: int, value: Any) -> None:
    if name in named or place >= len(given):
        named[name] = value
    else:
        given[place] = value


class _Trial(_OneRow):
    """The same, while it is watched which module calls."""

    def __init__(self, tried: _Tried) -> None:
        super().__init__()
        self.tried = tried

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in _PATCHES:
            raise ValueError(f"{func.__name__} rearranges square patches")
        return super().__torch_function__(func, types, args, kwargs)

    def on_change(self) -> None:
        self.tried.note_caller()


class _Tried:
    """A forward pass under watch: who calls functions with windows, and where it fails."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.callers: list[nn.Module] = []
        self._path: list[tuple[str, nn.Module]] = []

    def __enter__(self) -> _Tried:
        self._hooks = [
            handle
            for name, module in self.net.named_modules()
            for handle in (
                module.register_forward_pre_hook(
                    lambda module, _, name=name: self._path.append((name, module))
                ),
                module.register_forward_hook(lambda *_: self._leave()),
            )
        ]
        return self

    def __exit__(self, *raised: object) -> None:
        for handle in self._hooks:
            handle.remove()

    def _leave(self) -> None:
        self._path.pop()

    def note_caller(self) -> None:
        """The module that is running calls a function with windows."""
        if (module := self._path[-1][1]) not in self.callers:
            self.callers.append(module)

    def check(self, outputs: Tensor | Sequence[Tensor]) -> None:
        """Refuse outputs that have grown rows."""
        for y in [outputs] if isinstance(outputs, Tensor) else outputs:
            if y.ndim == 4 and y.shape[-2] != 1:
                raise ValueError(f"outputs of shape {list(y.shape)}")

    def where(self) -> str:
        """The module the forward pass stopped in."""
        name, module = self._path[-1] if self._path else ("", self.net)
        kind = type(module).__name__
        return f"{name} ({kind})" if name else kind


@cache  # so that layers of one class stay of one class
def _one_row(kind: type[nn.Module]) -> type[nn.Module]:
    """A module class whose forward pass calls functions with windows of one row."""

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with _OneRow():
            return kind.forward(self, *args, **kwargs)

    return type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
