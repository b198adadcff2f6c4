"""The aggregated convolution: one layer that is a weighted sum of many kernels.

    y = Conv(Σ_c α_c · dilate_{d_c}(w_c))(x) + bias = Σ_c α_c · Conv_{k_c, d_c}(x) + bias

Where a tap falls is told by `geometry`, what lies beyond the ends by `boundary`, the ways to
compute the sum are in `paths`, and which is cheaper for a shape and a device in `cost`. All give
the same numbers.

Promises: equal to the sum of torch convolutions with ``padding="same"``, at stride s every s-th
output of it; odd and even sizes, square or not, of any extent, on signals of any length; any
stride and groups; 1-D, 2-D and 3-D; derivatives of any order. Not covered: transposed
convolution, complex signals.

With `torch.compile` the layer runs as it is, outside the compiled graph: its constants and plans
are cached per shape, and real FFTs are not fused. With `torch.func` it runs in plain operations.

Legend: b batch, c channels in, o channels out, i = c / groups, R rows of weight, T offsets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dashzoo_search.choice import Kernel
from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops.boundary import PADDINGS
from dashzoo_search.ops.cost import LastPick
from dashzoo_search.ops.geometry import Geometry
from dashzoo_search.ops.graphs import outside_graphs
from dashzoo_search.ops.paths import PATHS, Setting, aggregate, convolve, convolve_all
from dashzoo_search.ops.taps import index_tensor, support
from dashzoo_search.relax import Softmax

__all__ = ["STRATEGIES", "AggConv"]

STRATEGIES = ("auto", *PATHS)


class AggConv(nn.Module):
    """A convolution over all ``choices`` at once, weighed by architecture coefficients.

    Args:
        in_channels: c.
        out_channels: o.
        choices: kernel sizes and dilations to choose from, all of the same 1, 2 or 3 dims.
        stride: one integer, or one an axis; output l is centred at input s·l.
        groups: of channels; ``groups == in_channels`` is depthwise.
        bias: whether to add one number per output channel.
        padding: what lies beyond the ends: ``"zeros"``, ``"circular"``, ``"reflect"`` or
            ``"replicate"`` with kernels centred (an even one ends a tap later than it starts, as
            torch's ``"same"``), or ``"causal"``: zeros, kernels end at the present, 1-D only.
        weights: ``"separate"``, every choice having its own, or ``"shared"``, every choice taking
            the middle (causal: the end) of one kernel of the largest size.
        strategy: ``"mixed_results"`` (one convolution per choice: slow, the reference),
            ``"per_dilation"``, ``"mixed_weights"``, ``"fourier"``, see `paths`, or ``"auto"``,
            the cheapest of the last three for each shape and device.
        relaxation: module from logits to coefficients; `Softmax` if None. In eval mode it must
            be deterministic, as all of `dashzoo_search.relax` are.
        device: of the parameters.
        dtype: of the parameters.

    Attributes:
        weight: ``[R, o, i]``, the choices' taps one after the other, row-major within a kernel;
            those of the one kernel if shared.
        alpha: ``[choices]``, architecture logits, zero at the start.
        bias: ``[o]`` or None.

    Raises:
        ValueError: channels that groups do not divide, an unknown word for padding, weights or
            strategy, choices of different dims.
        UnsupportedLayer: choices of other than 1 to 3 dims, causal padding of more than one.

    >>> choices = [Kernel((k,), (d,)) for k in (3, 7) for d in (1, 3)]
    >>> layer = AggConv(4, 8, choices)
    >>> layer(torch.randn(2, 4, 50)).shape
    torch.Size([2, 8, 50])
    """

    weight: nn.Parameter
    alpha: nn.Parameter
    bias: nn.Parameter | None
    picked: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        choices: Sequence[Kernel],
        *,
        stride: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding: str = "zeros",
        weights: str = "separate",
        strategy: str = "auto",
        relaxation: nn.Module | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, word, known in (
            ("padding", padding, PADDINGS),
            ("weights", weights, ("separate", "shared")),
            ("strategy", strategy, STRATEGIES),
        ):
            if word not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {word!r}")
        self.geometry = Geometry.of(choices, shared=weights == "shared", causal=padding == "causal")
        dims = self.geometry.dims
        if dims not in (1, 2, 3):
            raise UnsupportedLayer(f"A convolution over {dims} axes is unsupported; use 1, 2 or 3")
        if padding == "causal" and dims > 1:
            raise UnsupportedLayer(f"Causal padding of {dims} axes is unsupported; it is for one")
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"{in_channels} → {out_channels} channels do not divide by {groups}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.stride = (stride,) * dims if isinstance(stride, int) else tuple(stride)
        if len(self.stride) != dims or min(self.stride) < 1:
            raise ValueError(f"stride must be positive, one integer or {dims}, not {stride!r}")
        self.strategy, self.padding = strategy, padding
        self.relaxation = Softmax() if relaxation is None else relaxation
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        shape = (self.geometry.rows, out_channels, in_channels // groups)
        self.weight = nn.Parameter(torch.empty(shape, **made))
        self.alpha = nn.Parameter(torch.empty(len(self.choices), **made))
        self.register_parameter(
            "bias", nn.Parameter(torch.empty(out_channels, **made)) if bias else None
        )
        # −1 until `select`; a buffer, so that it travels with the state dict.
        self.register_buffer("picked", torch.tensor(-1, device=device))
        self._cheapest = LastPick()
        self._seen: tuple[Tensor, int, int | None] | None = None
        self.reset_parameters()

    @property
    def choices(self) -> tuple[Kernel, ...]:
        """The choices, in the order of ``alpha``."""
        return self.geometry.choices

    @property
    def dims(self) -> int:
        """Axes of the signal."""
        return self.geometry.dims

    @property
    def weights(self) -> str:
        """``"separate"`` or ``"shared"``."""
        return "shared" if self.geometry.shared else "separate"

    @property
    def setting(self) -> Setting:
        """Stride, groups and padding."""
        return Setting(self.stride, self.groups, self.padding)

    def reset_parameters(self) -> None:
        """Draw each choice as `torch.nn.Conv1d` draws a kernel of its size; α = 0.

        A shared tap is drawn for the smallest kernel that has it.
        """
        fan = self.in_channels // self.groups
        with torch.no_grad():
            self.weight.zero_()  # no choice may use a corner of the shared kernel
            # From the largest down, so that where taps are shared the smallest comes last.
            order = sorted(range(len(self.choices)), key=lambda c: -self.choices[c].taps)
            for index in order if self.geometry.shared else range(len(self.choices)):
                bound = 1 / math.sqrt(fan * self.choices[index].taps)
                rows = torch.empty_like(self._rows(index)).uniform_(-bound, bound)
                self.weight[self._row_numbers(index)] = rows
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
        return self.geometry.kernel(self._rows(index), index)

    def set_choice_weight(self, index: int, weight: Tensor) -> None:
        """Write ``weight [o, i, *kernel]`` into one choice; shared taps change for all.

        Raises:
            ValueError: a kernel of another size.
        """
        with torch.no_grad():
            self.weight[self._row_numbers(index)] = self.geometry.flatten(weight, index)

    def aggregated(self) -> tuple[Tensor, Tensor]:
        """The one kernel the layer amounts to: offsets ``[T, dims]`` and taps ``[T, o, i]``."""
        offsets = torch.tensor(self.geometry.offsets, device=self.weight.device)
        return offsets, self._taps()

    def restricted(self, index: int) -> Tensor:
        """The aggregated kernel on one choice's support, ``[o, i, *kernel]``."""
        slots = self.geometry.slot_offset[self.geometry.slice(index)]
        rows = self._taps().index_select(0, index_tensor(slots, self.weight.device))
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
        parts.append(f"{self.geometry.rows} taps on {len(self.geometry.offsets)} offsets")
        parts.append(f"stride={self.stride}, groups={self.groups}, bias={self.bias is not None}")
        parts += [f"{n}={getattr(self, n)!r}" for n in ("padding", "weights", "strategy")]
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
        return self._compute(x)

    @outside_graphs
    def _compute(self, x: Tensor) -> Tensor:
        picked, path = self.selected, self.strategy
        if path == "auto":
            path = self._cheapest(x, self.out_channels, self.geometry, picked, self.setting)
        if picked is None:
            coefficients = self.coefficients()
            return convolve_all(
                x, self.weight, coefficients, self.geometry, self.bias, self.setting, path
            )
        at = support(self.choices[picked], causal=self.geometry.causal)
        return convolve(x, self._rows(picked), at, self.bias, self.setting, path)

    def _taps(self) -> Tensor:
        return aggregate(self.weight, self.coefficients(), self.geometry)

    def _row_numbers(self, index: int) -> Tensor:
        return index_tensor(self.geometry.rows_of(index), self.weight.device)

    def _rows(self, index: int) -> Tensor:
        if self.geometry.shared:
            return self.weight.index_select(0, self._row_numbers(index))
        return self.weight[self.geometry.slice(index)]
