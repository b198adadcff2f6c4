"""What stays in float32 whatever the network around it is cast to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

__all__ = ["Float32"]


class Float32(nn.Module):
    """A module whose tensors follow it to a device, and to no other precision.

    >>> import torch
    >>> layer = Float32()
    >>> layer.register_buffer("constant", torch.ones(1))
    >>> layer.half().constant.dtype
    torch.float32
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        def moved(t: Tensor) -> Tensor:
            made = fn(t)
            return made if made.dtype == t.dtype else t.to(made.device)

        return super()._apply(moved, recurse)  # type: ignore[no-untyped-call]
