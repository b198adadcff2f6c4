"""The processes that train together: this one alone, or those torchrun started.

Data parallel, as DDP: every process holds the whole network, takes its share of each global
batch, and all step on the same averaged gradient. The one file that knows torch.distributed:
elsewhere a world of one and a world of many read alike. Several machines need one file system.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from dashzoo_search.errors import BadLaunch, DashzooError

__all__ = [
    "add_up",
    "by_first",
    "copy_from_first",
    "each_by_itself",
    "from_first",
    "gather",
    "is_first",
    "join_rows",
    "joined",
    "lost_the_others",
    "rank",
    "share",
    "size",
    "size_here",
]

T = TypeVar("T")

_LAUNCH = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT")
_PATIENCE = timedelta(minutes=30)


@contextlib.contextmanager
def joined(backend: Callable[[], str]) -> Iterator[Callable[[], bool]]:
    """Join the processes torchrun started, if it did, for the time of the block.

    Args:
        backend: ``"gloo"`` or ``"nccl"``; only asked where there are several.

    Yields:
        A function that is true in the first process that calls it: the one to tell of a fault.

    Raises:
        BadLaunch: the environment is incomplete, or the others are not reached.
    """
    launch = _launch()
    if launch["WORLD_SIZE"] == 1:
        yield lambda: True
        return
    kind = backend()
    if kind == "nccl":
        if launch["LOCAL_WORLD_SIZE"] > torch.cuda.device_count():
            raise BadLaunch(
                f"{launch['LOCAL_WORLD_SIZE']} processes cannot share "
                f"{torch.cuda.device_count()} GPUs; lower --nproc-per-node"
            )
        torch.cuda.set_device(launch["LOCAL_RANK"])
    try:
        store, number, count = next(rendezvous("env://", timeout=_PATIENCE))
        dist.init_process_group(kind, store=store, rank=number, world_size=count, timeout=_PATIENCE)
    except (RuntimeError, ValueError, OSError) as error:
        raise BadLaunch(
            f"The processes of torchrun do not reach each other ({error}); start them again"
        ) from error

    def is_first_to_tell() -> bool:
        try:
            return int(store.add("dashzoo/faults", 1)) == 1
        except RuntimeError:  # the store went with the process that kept it
            return True

    try:
        yield is_first_to_tell
    finally:
        dist.destroy_process_group()


def _launch() -> dict[str, int]:
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return {"WORLD_SIZE": 1}
    again = "start with 'torchrun --nproc-per-node N -m dashzoo …', or unset WORLD_SIZE"
    if not os.environ.get("MASTER_ADDR"):
        raise BadLaunch(f"WORLD_SIZE is set but MASTER_ADDR is not; {again}")
    launch = {}
    for name in _LAUNCH:
        text = os.environ.get(name)
        if text is None:
            raise BadLaunch(f"WORLD_SIZE is set but {name} is not; {again}")
        if not text.isdecimal():
            raise BadLaunch(f"{name} is {text!r:.40}, no number; {again}")
        launch[name] = int(text)
    if launch["RANK"] >= launch["WORLD_SIZE"]:
        raise BadLaunch(f"RANK is {launch['RANK']} of {launch['WORLD_SIZE']}; {again}")
    return launch


def lost_the_others(error: BaseException) -> bool:
    """Whether ``error`` says no more than that another process is gone."""
    told = str(error).lower()
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and ("gloo" in told or "nccl" in told)
    )


def size() -> int:
    """Processes in all."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def size_here() -> int:
    """Processes on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if size() > 1 else 1


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


def each_by_itself(work: Callable[[], T]) -> T:
    """Let every process do ``work``, the first before the others: it may fill a cache."""
    done: list[T] = []
    by_first(lambda: done.append(work()))
    return done[0] if done else work()


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
