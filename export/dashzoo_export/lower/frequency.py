"""What convolutions in the frequency domain have in common: one plane, and float32 throughout."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from dashzoo_export.lower.float32 import Float32
from dashzoo_export.lower.plan import Plan
from dashzoo_export.lower.plane import PlaneConv
from dashzoo_search.errors import UnsupportedLayer

__all__ = ["FrequencyConv"]


class FrequencyConv(Float32):
    """A zero-padded 2-D convolution on planes of one size; subclasses say how.

    Its constants stay float32 whatever the network is cast to, and it computes in that.

    Args:
        conv: channels, plane and kernel.
        plan: the layout of its transforms.
        constants: buffers by name; None for those that are not needed.
        like: a tensor on the device they go to.
        bias: ``[O]`` or None.

    Shape:
        ``[B, C, *conv.size]`` → ``[B, O, *conv.out]``.
    """

    bias: Tensor | None

    def __init__(
        self,
        conv: PlaneConv,
        plan: Plan,
        constants: Mapping[str, Tensor | None],
        like: Tensor,
        bias: Tensor | None,
    ) -> None:
        super().__init__()
        self.conv, self.plan = conv, plan
        for name, value in {**constants, "bias": bias}.items():
            made = None if value is None else value.detach().float().to(like.device)
            self.register_buffer(name, made)

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[2:]) != self.conv.size:
            raise UnsupportedLayer(
                f"This layer was lowered for planes of {self.conv.size}, not {tuple(x.shape[2:])}; "
                "lower the network for that size"
            )
        y = self.convolve(x.float())
        if self.bias is not None:
            y = y + self.bias.view(1, -1, 1, 1)
        return y.to(x.dtype)

    def convolve(self, x: Tensor) -> Tensor:
        """The convolution without bias, in float32."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Channels and plan."""
        return f"{self.conv.ins}, {self.conv.outs}, {self.plan}"
