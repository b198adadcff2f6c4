"""What has state: how each kind of it is taken, checked and given back.

A *part* is a module, an optimiser, a schedule, a generator, a list of plain values, or any object
with ``state_dict`` and ``load_state_dict``. `take` turns one into a tree, `give` puts a tree back
in place, and names what does not fit before it changes anything.
"""

from __future__ import annotations

import random
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dashzoo_search.errors import BadBundle
from dashzoo_search.training.tree import Tree, expect_like

__all__ = ["Part", "Randomness", "Stateful", "give", "take"]


@runtime_checkable
class Stateful(Protocol):
    """Anything that can tell its state as a tree, and take it back."""

    def state_dict(self) -> Tree:
        """Dicts and lists with tensors and plain values."""

    def load_state_dict(self, state: Tree, /) -> object:
        """Put it back; raises BadBundle where it does not fit."""


Part = nn.Module | Optimizer | LRScheduler | torch.Generator | list[Any] | Stateful


def take(part: Part) -> Tree:
    """The state of ``part``."""
    if isinstance(part, torch.Generator):
        return {"state": part.get_state()}
    if isinstance(part, list):
        return {"items": part}
    if isinstance(part, Optimizer):
        state = part.state_dict()
        entries = {str(index): entry for index, entry in state["state"].items()}
        return {"state": entries, "param_groups": state["param_groups"]}
    if isinstance(part, LRScheduler):
        state = part.state_dict()
        return {key: value for key, value in state.items() if key != "lr_lambdas"}
    return part.state_dict()


def give(part: Part, state: Any, where: str) -> None:
    """Put ``state`` back into ``part``, in place.

    Args:
        part: built as the one `take` was called on.
        state: what may lie.
        where: names the part in errors.

    Raises:
        BadBundle: a key is missing or unexpected, or a value of another shape or type.
    """
    if isinstance(part, list):
        expect_like(
            dict.fromkeys(state) if isinstance(state, dict) else state, {"items": None}, where
        )
        if not isinstance(state["items"], list):
            raise BadBundle(f"{where}/items is no list", field=where)
        part[:] = state["items"]
    elif isinstance(part, torch.Generator):
        expect_like(state, take(part), where)
        part.set_state(state["state"])
    elif isinstance(part, Optimizer):
        _give_optimizer(part, state, where)
    elif isinstance(part, LRScheduler):
        expect_like(state, take(part), where)
        part.load_state_dict({**part.state_dict(), **state})
    elif isinstance(part, nn.Module):
        expect_like(state, part.state_dict(), where)
        part.load_state_dict(state)
    else:
        if not isinstance(state, dict):
            raise BadBundle(f"{where} is no object", field=where)
        part.load_state_dict(state)


def _give_optimizer(optimizer: Optimizer, state: Any, where: str) -> None:
    held = take(optimizer)
    expect_like({**state, "state": None} if isinstance(state, dict) else state,
                {**held, "state": None}, where)  # fmt: skip
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    entries = state["state"]
    if not isinstance(entries, dict):
        raise BadBundle(f"{where}/state is no object", field=where)
    for index, entry in entries.items():
        at = f"{where}/state/{index}"
        if not (index.isdecimal() and int(index) < len(parameters) and isinstance(entry, dict)):
            raise BadBundle(f"{at} is unexpected", field=at)
        for name, value in entry.items():
            shapes: tuple[list[int], ...] = ([], list(parameters[int(index)].shape))
            if not isinstance(value, Tensor) or list(value.shape) not in shapes:
                raise BadBundle(f"{at}/{name} has not the parameter's shape", field=at)
    names = {frozenset(entry) for entry in entries.values()}
    if len(names) > 1:
        raise BadBundle(f"{where}/state holds entries of different kinds", field=where)
    groups = [
        {**saved, "betas": tuple(saved["betas"])} if "betas" in saved else saved
        for saved in state["param_groups"]
    ]
    optimizer.load_state_dict(
        {"state": {int(i): entry for i, entry in entries.items()}, "param_groups": groups}
    )


class Randomness:
    """The global generators of torch, NumPy and `random`, in this process.

    Args:
        device: its generator is kept too, when it is no CPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def state_dict(self) -> Tree:
        """Plain numbers and byte tensors."""
        version, words, gauss = random.getstate()
        kind, keys, at, has_gauss, cached = cast(
            "tuple[str, Any, int, int, float]", np.random.get_state(legacy=True)
        )
        state: Tree = {
            "python": [version, list(words), gauss],
            "numpy": [kind, keys.tolist(), at, has_gauss, cached],
            "torch": torch.get_rng_state(),
        }
        if self._device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self._device)
        return state

    def load_state_dict(self, state: Tree) -> None:
        """Put it back.

        Raises:
            BadBundle: it does not fit.
        """
        wanted = self.state_dict()
        wanted["python"][2] = None  # None or a number
        expect_like(state, wanted, "randomness")
        version, words, gauss = state["python"]
        kind, keys, at, has_gauss, cached = state["numpy"]
        try:
            random.setstate((version, tuple(words), gauss))
            np.random.set_state((kind, np.array(keys, np.uint32), at, has_gauss, cached))
            torch.set_rng_state(state["torch"])
            if "cuda" in state:
                torch.cuda.set_rng_state(state["cuda"], self._device)
        except (ValueError, TypeError, RuntimeError, OverflowError) as error:
            raise BadBundle(f"randomness is damaged ({error})", field="randomness") from error
