"""Why convolutions step aside for `torch.compile`, said where it asks.

Plans, offsets and constants are worked out in Python and cached per shape, and the Fourier path
is an autograd function of its own; a compiler would trace all of it anew for every shape, only to
call the same kernels. So it is told to leave these functions as they are: the graph breaks here
and goes on behind, and ``fullgraph=True`` fails with this reason.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import torch

__all__ = ["outside_graphs"]

P = ParamSpec("P")
R = TypeVar("R")

REASON = "dashzoo convolutions cache plans per shape and call kernels that are not fused"


def outside_graphs(function: Callable[P, R]) -> Callable[P, R]:
    """Keep ``function`` out of `torch.compile`'s graphs."""
    disable: Any = torch.compiler.disable
    takes_reason = "reason" in inspect.signature(disable).parameters  # not before torch 2.7
    told = {"reason": REASON} if takes_reason else {}
    return cast(Callable[P, R], disable(function, **told))
