"""From what the user typed to a task: a name, a file or a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from dashzoo_search.errors import BadData, UnknownTask
from dashzoo_search.rows import Array
from dashzoo_search.tasks.arrays import arrays_task
from dashzoo_search.tasks.digits import load_digits_task
from dashzoo_search.tasks.nb360 import RECORDS, load_nb360
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.permuted import PERMUTED, load_permuted
from dashzoo_search.tasks.pictures import load_faces, load_textures
from dashzoo_search.tasks.planted import load_planted, planted_names
from dashzoo_search.tasks.readers import FORMATS, SUFFIXES, find_reader
from dashzoo_search.tasks.registry import load_registered, register, task_names
from dashzoo_search.tasks.synthetic import SYNTHETIC, load_synthetic
from dashzoo_search.tasks.task import Task
from dashzoo_search.tasks.ucr import load_ucr, ucr_names

__all__ = ["load_file", "load_task", "read_file", "register", "task_names"]

register("digits", load_digits_task, about="handwritten digits, 8×8")
register("faces", load_faces, about="whether a patch of a photograph shows a face")
register("textures", load_textures, about="brick, grass or gravel")
for _name, (*_, _how) in PERMUTED.items():
    register(_name, partial(load_permuted, _name), about=f"{_name.split('/')[0]}, {_how}")
for _name, _synthetic in SYNTHETIC.items():
    register(_name, partial(load_synthetic, _name), about=_synthetic.problem.source)
for _name, _record in RECORDS.items():
    register(
        f"nb360/{_name}",
        partial(load_nb360, _record)
        if _record.status == "not run"
        else partial(load_synthetic, _name),
        about=_record.what,
        status=_record.status,
    )
for _name in ucr_names():
    register(
        f"ucr/{_name}",
        partial(load_ucr, _name),
        takes=("lengths", "size"),
        about="of the UCR/UEA archive",
    )
for _name in planted_names():
    register(_name, partial(load_planted, _name), about="kernels to be found again")

_NOTHING_SAID = DataOptions()


def load_task(data: str, *, seed: int = 0, options: DataOptions = _NOTHING_SAID) -> Task:
    """Load a named task, a file or a folder.

    Args:
        data: one of `task_names`, or a path.
        seed: chooses the validation samples (and test, in data without splits).
        options: what the user says of the data.

    Raises:
        UnknownTask: neither a name nor a path, with the nearest names.
        BadData: the data is not as its reader describes.
        MissingRuntime: an extra, ``tasks`` or ``data``, is not installed.
    """
    if data in task_names():
        plain = replace(options, loss=None, metric=None, positive_weight=1.0)
        task = load_registered(data, seed=seed, options=plain)
        given = options.given()
        said = {
            name: given[name] for name in ("loss", "metric", "positive_weight") if name in given
        }
        return replace(task, **said)
    path = Path(data)
    try:
        there = path.exists()
    except OSError as error:  # a name too long, a folder we may not enter
        raise BadData(f"{data:.80} cannot be read: {error.strerror}; check the path") from error
    if there:
        return load_file(path, seed=seed, options=options)
    if path.suffix.lower() in SUFFIXES:
        raise BadData(f"{data} does not exist; check the path")
    hint = f"Give data ({', '.join(FORMATS)}), or a name that `dashzoo tasks` lists."
    raise UnknownTask(data, task_names(), hint=hint)


def load_file(path: Path, *, seed: int, options: DataOptions = _NOTHING_SAID) -> Task:
    """Load the user's own file or folder; see `dashzoo_search.tasks.readers`.

    Raises:
        BadData: it is not as its reader describes.
        MissingRuntime: the extra ``data`` is not installed.
    """
    arrays = read_file(path, options)
    name = path.resolve().name
    return arrays_task(
        arrays,
        name=Path(name).stem if path.is_file() or name.endswith(".zarr") else name,
        origin=path.name or name,
        seed=seed,
        options=options,
    )


def read_file(path: Path, options: DataOptions) -> Mapping[str, Array]:
    """The arrays of a file or folder as they are, by the names `arrays_task` knows, or more.

    Raises:
        BadData: it cannot be read.
        MissingRuntime: the extra ``data`` is not installed.
    """
    path = path if path.name else path.resolve()  # "." is called as its folder is
    return find_reader(path, options)(path, options)
