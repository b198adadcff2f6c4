"""What `dashzoo run` will take, before it runs: one step of each of its networks is timed.

With t seconds a step of a batch, E epochs of search and as many of training, and S steps an epoch:

    search          E·S·t(path)
    scout           E·S·(4/3·t(wide) + t(plain)), for it is asked with as many samples forwards
    training        E·S·t(plain)
    default kernels (E + 3·E)·S·t(plain), as they get what search and training got
    final choice    3 folds · ⅔·(3·E + 4·E)/2·S·t(plain), where validation is small;
                    else 0.8·E·S·t(plain)

The least of three steps counts. Where a batch is heavy, two smaller ones of at most `TIMED_MACS`
are timed and a line is drawn through them. Memory is that of the process with its data, four
numbers a parameter (weights, gradients and AdamW's two moments) and what autograd saves for the
backward pass of the widest network, counted in that step. Evaluation and export are left out;
expect the truth within a factor of two.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dashzoo_search.networks.create import default_backbone
from dashzoo_search.plan import Network, batch_macs, build_network, count_macs
from dashzoo_search.selection import ENOUGH, FOLDS, TRIED
from dashzoo_search.spec import SearchSpace
from dashzoo_search.supernet import build_supernet
from dashzoo_search.tasks.task import Split, Task
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import limit_threads

__all__ = ["Estimate", "Suggestion", "estimate", "suggest"]

TIMED_MACS = 1e9
STEPS, ENOUGH_SECONDS = 3, 2.0
LARGEST_IMAGE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What to search in.

    Attributes:
        backbone: name of it.
        resize: side to interpolate large images to, or None.
        kernels, dilations: the task's sets or DASH's, without those that reach beyond the samples.
    """

    backbone: str
    resize: int | None
    kernels: tuple[int, ...]
    dilations: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run will take.

    Attributes:
        parameters, macs: of the backbone, the latter for one sample.
        batch_size, epochs: of search and training each.
        step_seconds: of a batch, by network: ``plain``, ``path``, ``wide``.
        seconds: by stage.
        memory: bytes at the widest.
        threads: the steps were timed on.
    """

    parameters: int
    macs: int
    batch_size: int
    epochs: int
    step_seconds: dict[str, float]
    seconds: dict[str, float]
    memory: int
    threads: int

    @property
    def total_seconds(self) -> float:
        """Of all stages."""
        return sum(self.seconds.values())

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {**asdict(self), "total_seconds": self.total_seconds}


def suggest(
    size: tuple[int, ...], space: SearchSpace | None = None, *, dense: bool = False
) -> Suggestion:
    """Backbone, kernel sizes and dilations for samples of ``size``.

    Args:
        size: length, or height and width.
        space: of the task; None takes DASH's.
        dense: whether every position is told something.

    >>> suggest((12,)).kernels, suggest((12,)).dilations
    ((3, 7, 11, 15, 19), (1, 3, 7))
    """
    large = len(size) == 2 and max(size) > LARGEST_IMAGE
    resize = 224 if large and not dense else None
    shortest = min((resize,) if resize else size)
    space = space or SearchSpace.default(len(size))
    return Suggestion(
        backbone=default_backbone(len(size), dense=dense),
        resize=resize,
        kernels=tuple(k for k in space.kernels if (k - 1) // 2 < shortest) or (3,),
        dilations=tuple(d for d in space.dilations if d < shortest) or (1,),
    )


def estimate(task: Task, suggestion: Suggestion) -> Estimate:
    """Time one short step of each network of a run, and scale.

    Raises:
        BadBackbone: the backbone does not take samples of this size.
    """
    network = Network(backbone=suggestion.backbone, resize=suggestion.resize)
    space = SearchSpace(kernels=suggestion.kernels, dilations=suggestion.dilations)
    recipe = Recipe.for_samples(len(task.train))
    before = torch.get_num_threads()
    threads = limit_threads(work=batch_macs(network, task, recipe.batch_size))
    held = _resident()
    with torch.random.fork_rng(devices=[]):
        plain = build_network(network, task)
        macs = count_macs(plain, task.size)
        full = min(recipe.batch_size, len(task.train))
        timed = max(2, min(full, int(TIMED_MACS // max(1, 3 * macs))))
        nets = {
            "plain": plain,
            "path": build_supernet(build_network(network, task), space, task.size, kind="paths"),
            "wide": build_supernet(build_network(network, task), space, task.size, kind="mixture"),
        }
        taken = {name: _step_of(net, task.train, timed, full) for name, net in nets.items()}
    torch.set_num_threads(before)
    step = {name: seconds for name, (seconds, _) in taken.items()}
    epoch = -(-len(task.train) // recipe.batch_size) * recipe.epochs
    small = len(task.val) < ENOUGH
    # Few samples set up to three proposals against the default kernels, and take half of what each
    # is trained for; else up to five are tried, and two of them for longer.
    choice = FOLDS * (1 - 1 / FOLDS) * (3 + 4) / 2 if small else (5 / 4 + 2) / TRIED
    judged = 1.5 if small else 1.0  # a training of half the length tells the validation score
    stages = {
        "search": step["path"],
        "scout": 4 / 3 * step["wide"] + step["plain"],
        "training": judged * step["plain"],
        "default kernels": judged * 4 * step["plain"],
        "final choice": choice * step["plain"],
    }
    widest = max(
        4 * 4 * sum(p.numel() for p in net.parameters()) + taken[name][1]
        for name, net in nets.items()
    )
    return Estimate(
        parameters=sum(p.numel() for p in plain.parameters()),
        macs=macs,
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
        step_seconds=step,
        seconds={name: seconds * epoch for name, seconds in stages.items()},
        memory=int(held + widest),
        threads=threads,
    )


def _step_of(net: nn.Module, train: Split, timed: int, full: int) -> tuple[float, float]:
    """Seconds and saved bytes of a step of ``full`` samples, from steps of at most ``timed``."""
    seconds, saved = _step(net, train.rows(np.arange(timed)))
    if timed >= full:
        return seconds, saved
    half = timed // 2
    fewer = _step(net, train.rows(np.arange(half)))
    # A part of the cost is the same for any batch, so two of them are needed.
    more = (full - timed) / (timed - half)
    return seconds + more * max(0.0, seconds - fewer[0]), saved + more * max(0, saved - fewer[1])


def _step(net: nn.Module, x: Tensor) -> tuple[float, int]:
    """Least seconds of a forward and backward pass, and bytes saved for the latter."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    own = {p.untyped_storage().data_ptr() for p in parameters}
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    net.train()
    seconds, began = math.inf, time.perf_counter()
    for _ in range(STEPS):
        if time.perf_counter() - began > ENOUGH_SECONDS:
            break
        saved.clear()
        start = time.perf_counter()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = net(x).float().square().mean()
        torch.autograd.grad(loss, parameters, allow_unused=True)
        seconds = min(seconds, time.perf_counter() - start)
    return seconds, sum(saved.values())


def _resident() -> int:
    """Bytes this process has in memory now; nothing where that cannot be told."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
