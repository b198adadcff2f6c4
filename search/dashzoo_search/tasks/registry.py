"""Tasks that have a name, each with what loads it.

A task of one's own is a small file that makes a `Task` and registers it:

    register("mine/waves", load_waves)        # def load_waves(*, seed: int) -> Task
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.task import Task

__all__ = ["Entry", "load_registered", "register", "registered", "task_names"]

Loader = Callable[..., Task]


@dataclass(frozen=True, slots=True)
class Entry:
    """A task that was registered; see `register`."""

    loader: Loader
    takes: frozenset[str]
    about: str
    status: str


_TASKS: dict[str, Entry] = {}


def register(
    name: str,
    loader: Loader,
    *,
    takes: Collection[str] = (),
    about: str = "",
    status: str = "",
) -> None:
    """Let `load_task` know ``name``.

    Args:
        name: what users type; a ``/`` may divide it.
        loader: takes ``seed``, an integer, by name, and gives a `Task`.
        takes: names of `DataOptions` it takes by name too, when they are given.
        about: a few words on what it asks.
        status: what is to be known before it is asked for, such as ``"not run"``.

    Raises:
        ValueError: the name is taken by another loader.
    """
    if name in _TASKS and _TASKS[name].loader is not loader:
        raise ValueError(f"{name} is registered already")
    _TASKS[name] = Entry(loader, frozenset(takes), about, status)


def task_names() -> tuple[str, ...]:
    """Every registered name."""
    return tuple(_TASKS)


def registered() -> Mapping[str, Entry]:
    """Every task by its name."""
    return dict(_TASKS)


def load_registered(name: str, *, seed: int, options: DataOptions) -> Task:
    """The task of that name.

    Raises:
        BadData: it can make nothing of an option.
    """
    entry, given = _TASKS[name], options.given()
    foreign = sorted(set(given) - entry.takes)
    if foreign:
        option = foreign[0].replace("_", "-")
        raise BadData(f"{name} comes as it is; leave --{option} out")
    task: Task = entry.loader(seed=seed, **given)
    return task
