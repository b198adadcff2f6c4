"""The processes that train together: this one alone, or those torchrun started.

Data parallel, as DDP: every process holds the whole network, takes its share of each global
batch, and all step on the same averaged gradient. The one file that knows torch.distributed:
elsewhere a world of one and a world of many read alike.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from dashzoo_search.errors import DashzooError

__all__ = [
    "add_up",
    "by_first",
    "copy_from_first",
    "from_first",
    "gather",
    "is_first",
    "join_rows",
    "rank",
    "share",
    "shared_statistics",
    "size",
]

T = TypeVar("T")


def size() -> int:
    """Processes in all."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if size() > 1 else 0


def is_first() -> bool:
    """Whether this is the process that writes and prints."""
    return rank() == 0


def share(rows: Tensor) -> Tensor:
    """This process's part of ``rows``; those of all processes are ``rows``, in order."""
    return rows.tensor_split(size())[rank()]


def from_first(value: T) -> T:
    """What the first process calls ``value``, in every process."""
    if size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def by_first(work: Callable[[], T]) -> T:
    """Let the first process do ``work``; all wait for it, and return what it returned.

    Raises:
        DashzooError: in the other processes, when it failed in the first.
    """
    if size() == 1:
        return work()
    done: tuple[T | None, str | None] = (None, None)
    try:
        if is_first():
            done = (work(), None)
    except BaseException as error:
        from_first((None, str(error) or type(error).__name__))
        raise
    value, fault = from_first(done)
    if fault is not None:
        raise DashzooError(fault)
    return cast("T", value)


def gather(value: T) -> list[T]:
    """``value`` of every process, in order of their numbers, in every process."""
    if size() == 1:
        return [value]
    box: list[Any] = [None] * size()
    dist.all_gather_object(box, value)
    return box


def join_rows(rows: Tensor) -> Tensor:
    """The rows of all processes, one after the other, in every process."""
    return torch.cat(gather(rows.cpu())) if size() > 1 else rows


def add_up(tensors: Sequence[Tensor]) -> None:
    """Replace each by its sum over the processes, in place, in one exchange."""
    if size() == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


def copy_from_first(tensors: Sequence[Tensor]) -> None:
    """Overwrite each, in place, with what the first process has."""
    if size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def shared_statistics() -> contextlib.AbstractContextManager[object]:
    """In the block, batch norm in training mode takes its moments over all processes."""
    return contextlib.nullcontext()
