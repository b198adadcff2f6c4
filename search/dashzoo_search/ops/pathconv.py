"""The sampled convolution: one layer that can be any one of many kernels, at the cost of one.

    y = Conv_{k, d}(x),   (k, d) the choice that is picked

Choices of one dilation share their weights: a kernel of size k is the centre of that dilation's
largest. So a choice learns from the steps of its kin too, and sizes of one dilation can be compared
without each of them having been trained alone.

Promises: equal to torch's convolution with padding d(k−1)/2. Not covered: even sizes, padding
other than zeros; `AggConv` has both, and weighs all choices at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dashzoo_search.choice import Choice
from dashzoo_search.ops.direct import CONVOLUTIONS

__all__ = ["PathConv"]


class PathConv(nn.Module):
    """A convolution that takes one of ``choices`` at a time.

    Args:
        in_channels: c.
        out_channels: o.
        choices: kernel sizes and dilations to choose from, odd, all of the same dims.
        first: index of the choice that is picked at the start; weights are drawn for its size.
        stride: one integer, or one an axis.
        groups: of channels.
        bias: whether to add one number per output channel.
        device: of the parameters.
        dtype: of the parameters.

    Attributes:
        masters: per distinct dilation its largest kernel, ``[o, c / groups, *kernel]``.
        pick: index of the choice that is computed; a plain integer, changed between steps.

    Raises:
        ValueError: no choices, even ones, or of different dims; channels that groups do not divide.

    >>> choices = [Choice.cube(k, d, dims=1) for k in (3, 7) for d in (1, 3)]
    >>> layer = PathConv(4, 8, choices)
    >>> layer(torch.randn(2, 4, 50)).shape
    torch.Size([2, 8, 50])
    """

    picked: Tensor
    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        choices: Sequence[Choice],
        *,
        first: int = 0,
        stride: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        dims = {choice.dims for choice in choices}
        if len(dims) != 1:
            raise ValueError("choices must be given, and have the same dims")
        if any(k % 2 == 0 for choice in choices for k in choice.kernel):
            raise ValueError("PathConv takes odd kernel sizes only")
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"{in_channels} → {out_channels} channels do not divide by {groups}")
        self.choices = tuple(choices)
        self.dims = dims.pop()
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.stride = (stride,) * self.dims if isinstance(stride, int) else tuple(stride)
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        largest: dict[tuple[int, ...], tuple[int, ...]] = {}
        for choice in self.choices:
            known = largest.get(choice.dilation, choice.kernel)
            largest[choice.dilation] = tuple(map(max, known, choice.kernel))
        self._master = [list(largest).index(choice.dilation) for choice in self.choices]
        shape = (out_channels, in_channels // groups)
        self.masters = nn.ParameterList(
            nn.Parameter(torch.empty(*shape, *kernel, **made)) for kernel in largest.values()
        )
        self.register_parameter(
            "bias", nn.Parameter(torch.empty(out_channels, **made)) if bias else None
        )
        # −1 until `select`; a buffer, so that it travels with the state dict.
        self.register_buffer("picked", torch.tensor(-1, device=device))
        self.first = self.pick = first
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every weight as `torch.nn.Conv1d` draws those of the first choice."""
        fan = self.in_channels // self.groups * self.choices[self.first].taps
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-1 / math.sqrt(fan), 1 / math.sqrt(fan))

    def choice_weight(self, index: int) -> Tensor:
        """The kernel of one choice, ``[o, c / groups, *kernel]``, a view."""
        master: Tensor = self.masters[self._master[index]]
        for axis, k in enumerate(self.choices[index].kernel, start=2):
            master = master.narrow(axis, (master.shape[axis] - k) // 2, k)
        return master

    def set_choice_weight(self, index: int, weight: Tensor) -> None:
        """Write ``weight [o, c / groups, *kernel]`` into one choice.

        Larger choices of its dilation have zeros around it, and so compute the same.
        """
        with torch.no_grad():
            self.masters[self._master[index]].zero_()
            self.choice_weight(index).copy_(weight)

    def select(self, index: int) -> None:
        """Settle on one choice, for good.

        Raises:
            IndexError: no such choice.
        """
        if not 0 <= index < len(self.choices):
            raise IndexError(f"there is no choice {index}, only 0 … {len(self.choices) - 1}")
        self.picked.fill_(index)
        self.pick = index

    @property
    def selected(self) -> int | None:
        """The choice `select` was called with, or None."""
        index = int(self.picked)
        return None if index < 0 else index

    def coefficients(self) -> Tensor:
        """``[choices]``, one-hot at the choice that is picked."""
        return torch.eye(len(self.choices), device=self.picked.device)[self.pick]

    def extra_repr(self) -> str:
        """Channels and choices."""
        return (
            f"{self.in_channels}, {self.out_channels}, {len(self.choices)} choices, "
            f"stride={self.stride}, groups={self.groups}, bias={self.bias is not None}"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, c, *size]`` to ``[b, o, *ceil(size / stride)]``."""
        choice = self.choices[self.pick]
        return CONVOLUTIONS[self.dims](
            x,
            self.choice_weight(self.pick),
            self.bias,
            self.stride,
            choice.padding,
            choice.dilation,
            self.groups,
        )

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        if (selected := self.selected) is not None:
            self.pick = selected
