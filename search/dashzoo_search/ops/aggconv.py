"""The aggregated convolution: one layer that is a weighted sum of many kernels.

    y = Conv(Σ_c α_c · dilate_{d_c}(w_c))(x) + bias = Σ_c α_c · Conv_{k_c, d_c}(x) + bias

The sum over choices is taken on the weights, tap by tap (`taps`), and the one convolution that
remains runs in the signal domain (`direct`) or in the frequency domain (`fourier`), whichever
is cheaper for the shape (`cost`). All give the same numbers.

Promises: equal to the sum of torch convolutions with padding d(k−1)/2; any stride and groups;
1-D and 2-D. Not covered: padding other than zeros, even kernel sizes, transposed convolution.

Legend: b batch, c channels in, o channels out, i = c / groups, S slots (taps of all choices),
T distinct offsets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops.cost import cheaper
from dashzoo_search.ops.direct import CONVOLUTIONS, direct_conv_taps
from dashzoo_search.ops.fourier import fft_conv_taps
from dashzoo_search.ops.taps import Geometry, Offsets, accumulate, index_tensor, reaching, support
from dashzoo_search.relax import Softmax
from dashzoo_search.spec import Choice

__all__ = ["STRATEGIES", "AggConv"]

STRATEGIES = ("auto", "direct", "fourier", "mixed_results")


class AggConv(nn.Module):
    """A convolution over all ``choices`` at once, weighed by architecture coefficients.

    Args:
        in_channels: c.
        out_channels: o.
        choices: kernel sizes and dilations to choose from, all of the same 1 or 2 dims.
        stride: one integer, or one an axis.
        groups: of channels; ``groups == in_channels`` is depthwise.
        bias: whether to add one number per output channel.
        strategy: ``"direct"``, ``"fourier"``, ``"auto"`` (the cheaper of the two for each shape),
            or ``"mixed_results"`` (one convolution per choice: slow, the reference).
        relaxation: module from logits to coefficients; `Softmax` if None. In eval mode it must
            be deterministic, as all of `dashzoo_search.relax` are.
        device: of the parameters.
        dtype: of the parameters.

    Attributes:
        weight: ``[S, o, i]``, the choices' taps one after the other, row-major within a kernel.
        alpha: ``[choices]``, architecture logits, zero at the start.
        bias: ``[o]`` or None.

    Raises:
        ValueError: channels that groups do not divide, an unknown strategy, choices of
            different dims.
        UnsupportedLayer: choices of other than 1 or 2 dims.

    >>> choices = [Choice.cube(k, d, dims=1) for k in (3, 7) for d in (1, 3)]
    >>> layer = AggConv(4, 8, choices)
    >>> layer(torch.randn(2, 4, 50)).shape
    torch.Size([2, 8, 50])
    """

    weight: nn.Parameter
    alpha: nn.Parameter
    bias: nn.Parameter | None
    picked: Tensor
    slot_offset: Tensor
    slot_choice: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        choices: Sequence[Choice],
        *,
        stride: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        strategy: str = "auto",
        relaxation: nn.Module | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.geometry = Geometry.of(choices)
        dims = self.geometry.dims
        if dims not in (1, 2):
            raise UnsupportedLayer(f"A convolution over {dims} axes is unsupported; use 1 or 2")
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"{in_channels} → {out_channels} channels do not divide by {groups}")
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}, not {strategy!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.stride = (stride,) * dims if isinstance(stride, int) else tuple(stride)
        if len(self.stride) != dims or min(self.stride) < 1:
            raise ValueError(f"stride must be positive, one integer or {dims}, not {stride!r}")
        self.strategy = strategy
        self.relaxation = Softmax() if relaxation is None else relaxation
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        shape = (self.geometry.slots, out_channels, in_channels // groups)
        self.weight = nn.Parameter(torch.empty(shape, **made))
        self.alpha = nn.Parameter(torch.empty(len(self.choices), **made))
        self.register_parameter(
            "bias", nn.Parameter(torch.empty(out_channels, **made)) if bias else None
        )
        # −1 until `select`; a buffer, so that it travels with the state dict.
        self.register_buffer("picked", torch.tensor(-1, device=device))
        for name in ("slot_offset", "slot_choice"):
            index = torch.tensor(getattr(self.geometry, name), device=device)
            self.register_buffer(name, index, persistent=False)
        self._seen: tuple[Tensor, int, int | None] | None = None
        self.reset_parameters()

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The choices, in the order of ``alpha``."""
        return self.geometry.choices

    @property
    def dims(self) -> int:
        """Axes of the signal."""
        return self.geometry.dims

    def reset_parameters(self) -> None:
        """Draw each choice as `torch.nn.Conv1d` draws a kernel of its size; α = 0."""
        fan = self.in_channels // self.groups
        with torch.no_grad():
            for index, choice in enumerate(self.choices):
                bound = 1 / math.sqrt(fan * choice.taps)
                self.weight[self.geometry.slice(index)].uniform_(-bound, bound)
            self.alpha.zero_()
            if self.bias is not None:
                smallest = min(choice.taps for choice in self.choices)
                bound = 1 / math.sqrt(fan * smallest)
                self.bias.uniform_(-bound, bound)

    def coefficients(self) -> Tensor:
        """``[choices]``, summing to one: the relaxation of α, or one-hot after `select`."""
        picked = self.selected
        if picked is None:
            coefficients: Tensor = self.relaxation(self.alpha)
            return coefficients
        return torch.zeros_like(self.alpha).index_fill_(0, self.picked, 1)

    def choice_weight(self, index: int) -> Tensor:
        """The kernel of one choice, ``[o, i, *kernel]``, before any coefficient."""
        return self.geometry.kernel(self.weight[self.geometry.slice(index)], index)

    def set_choice_weight(self, index: int, weight: Tensor) -> None:
        """Write ``weight [o, i, *kernel]`` into one choice.

        Raises:
            ValueError: a kernel of another size.
        """
        with torch.no_grad():
            self.weight[self.geometry.slice(index)] = self.geometry.rows(weight, index)

    def aggregated(self) -> tuple[Tensor, Tensor]:
        """The one kernel the layer amounts to: offsets ``[T, dims]`` and taps ``[T, o, i]``."""
        offsets = torch.tensor(self.geometry.offsets, device=self.weight.device)
        return offsets, self._taps()

    def restricted(self, index: int) -> Tensor:
        """The aggregated kernel on one choice's support, ``[o, i, *kernel]``."""
        rows = self._taps()[self.slot_offset[self.geometry.slice(index)]]
        return self.geometry.kernel(rows, index)

    def select(self, index: int, *, weight: Literal["aggregate", "choice"] = "choice") -> None:
        """Make the layer the one convolution of choice ``index``; α itself is kept.

        Args:
            index: of the choice.
            weight: ``"choice"`` keeps that choice's own weight, ``"aggregate"`` first replaces it
                by what the whole sum amounts to on that choice's support (in eval, so without
                the relaxation's noise).

        Raises:
            IndexError: no such choice.
            ValueError: another word for ``weight``.
        """
        if not 0 <= index < len(self.choices):
            raise IndexError(f"there is no choice {index}, only 0 … {len(self.choices) - 1}")
        if weight not in ("aggregate", "choice"):
            raise ValueError(f"weight must be 'aggregate' or 'choice', not {weight!r}")
        if weight == "aggregate":
            mode = self.relaxation.training
            self.relaxation.eval()
            with torch.no_grad():
                self.set_choice_weight(index, self.restricted(index))
            self.relaxation.train(mode)
        self.picked.fill_(index)

    @property
    def selected(self) -> int | None:
        """The choice `select` was called with, or None."""
        # Reading a number off a GPU stops it, so it is read once per write.
        if self.picked.is_inference():
            value = int(self.picked)
            return None if value < 0 else value
        if (
            self._seen is None
            or self._seen[0] is not self.picked
            or (self._seen[1] != self.picked._version)
        ):
            value = int(self.picked)
            self._seen = (self.picked, self.picked._version, None if value < 0 else value)
        return self._seen[2]

    def extra_repr(self) -> str:
        """Channels, choices and settings."""
        parts = [f"{self.in_channels}, {self.out_channels}", f"{len(self.choices)} choices"]
        parts.append(f"{self.geometry.slots} taps on {len(self.geometry.offsets)} offsets")
        parts.append(f"stride={self.stride}, groups={self.groups}, bias={self.bias is not None}")
        parts.append(f"strategy={self.strategy!r}")
        if self.selected is not None:
            parts.append(f"selected={self.choices[self.selected]}")
        return ", ".join(parts)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, c, *size]`` to ``[b, o, *ceil(size / stride)]``.

        Raises:
            ValueError: a signal of other axes or channels.
        """
        if x.dim() != self.dims + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"expected [b, {self.in_channels}, {self.dims} axes], got {tuple(x.shape)}"
            )
        if self.strategy == "mixed_results":
            return self._mixed_results(x)
        picked = self.selected
        if picked is None:
            return self._convolve(x, self._taps(), self.geometry.offsets)
        rows = self.weight[self.geometry.slice(picked)]
        return self._convolve(x, rows, support(self.choices[picked]))

    def _taps(self) -> Tensor:
        return accumulate(
            self.weight,
            self.coefficients(),
            self.slot_offset,
            self.slot_choice,
            len(self.geometry.offsets),
        )

    def _convolve(self, x: Tensor, taps: Tensor, offsets: Offsets) -> Tensor:
        size = tuple(x.shape[2:])
        out = tuple(-(-n // s) for n, s in zip(size, self.stride, strict=True))
        kept, reached = reaching(offsets, size, self.stride, out)
        if len(reached) < len(offsets):
            taps, offsets = taps.index_select(0, index_tensor(kept, taps.device)), reached
        path = self.strategy
        if path == "auto":
            channels = (self.in_channels, self.out_channels)
            path = cheaper(offsets, len(x), channels, size, self.stride, self.groups)
        convolve = direct_conv_taps if path == "direct" else fft_conv_taps
        return convolve(x, taps, offsets, self.bias, stride=self.stride, groups=self.groups)

    def _mixed_results(self, x: Tensor) -> Tensor:
        coefficients = self.coefficients()
        total: Tensor | None = None
        for index, choice in enumerate(self.choices):
            if self.selected not in (None, index):
                continue
            y = CONVOLUTIONS[self.dims](
                x,
                self.choice_weight(index),
                None,
                self.stride,
                choice.padding,
                choice.dilation,
                self.groups,
            )
            y = y * coefficients[index]
            total = y if total is None else total + y
        assert total is not None
        if self.bias is not None:
            total = total + self.bias.view(-1, *(1,) * self.dims)
        return total
