"""From what the user typed to a task: a name, or a file."""

from __future__ import annotations

from pathlib import Path

from dashzoo_search.errors import BadData, UnknownTask
from dashzoo_search.tasks.arrays import read_npz
from dashzoo_search.tasks.digits import load_digits_task
from dashzoo_search.tasks.planted import load_planted, planted_names
from dashzoo_search.tasks.task import Task
from dashzoo_search.tasks.ucr import load_ucr, ucr_names

__all__ = ["load_task", "task_names"]


def task_names() -> tuple[str, ...]:
    """Every name `load_task` knows."""
    return ("digits", *(f"ucr/{name}" for name in ucr_names()), *planted_names())


def load_task(data: str, *, seed: int = 0) -> Task:
    """Load a named task or an ``.npz`` file.

    Args:
        data: one of `task_names`, or a path.
        seed: chooses the validation samples (and test, in a file with ``X, y`` alone).

    Raises:
        UnknownTask: neither a name nor a file, with the nearest names.
        BadData: the file is not as `read_npz` describes.
        MissingRuntime: the extra ``tasks`` is not installed.
    """
    if data == "digits":
        return load_digits_task(seed=seed)
    if data in planted_names():
        return load_planted(data, seed=seed)
    if data in task_names():
        return load_ucr(data.removeprefix("ucr/"), seed=seed)
    path = Path(data)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError as error:  # a name too long, a folder we may not enter
        raise BadData(f"{data:.80} cannot be read: {error.strerror}; check the path") from error
    if is_folder:
        raise BadData(f"{path} is a folder; give an .npz file or a task name")
    if is_file and path.suffix.lower() != ".npz":
        raise BadData(f"{data} is not an .npz file; save the arrays with np.savez")
    if is_file:
        return read_npz(path, seed=seed)
    if path.suffix.lower() == ".npz":
        raise BadData(f"{data} does not exist; check the path")
    hint = f"Give an .npz file, or one of: {', '.join(task_names())}."
    raise UnknownTask(data, task_names(), hint=hint)
