"""`dashzoo predict NAME X.npy|TASK`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from dashzoo.cli.options import export_json
from dashzoo.cli.taking import name_argument, take

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@click.command("predict")
@name_argument
@click.argument("samples", metavar="X.npy|TASK")
@click.option(
    "--runtime",
    type=click.Choice(["torch", "onnx"]),
    default="torch",
    show_default=True,
    help="What computes.",
)
@click.option(
    "--provider",
    type=click.Choice(["cpu", "cuda", "tensorrt"]),
    default="cpu",
    show_default=True,
    help="What it runs on, or not at all.",
)
@click.option(
    "--dtype",
    type=click.Choice(["fp32", "fp16", "bf16", "int8"]),
    default="fp32",
    show_default=True,
    help="Which ONNX file, where it was exported.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="Y.npy",
    help="Write the predictions to this file, laid out as the labels trained on were.",
)
@export_json
def command(
    name: str, samples: str, runtime: str, out: Path | None, as_json: bool, **where: Any
) -> None:
    """Predict the labels, or the numbers, of the raw samples of X.npy with a bundle.

    NAME is of the shelf, a folder, or org/name@revision on the Hub. A TASK that comes along stands
    for its test samples.
    """
    import numpy as np

    from dashzoo.cli.console import on_one_line, print_json
    from dashzoo.prediction import Runtime, as_labels, predict
    from dashzoo.steps.before import require
    from dashzoo_export.config import read_config
    from dashzoo_search.errors import BadData

    folder = take(name).folder
    require(folder)
    kind = read_config(folder).kind
    if kind.startswith("dense") and out is None:
        raise BadData("There is a prediction at every position of a sample; add --out Y.npy")
    values, names = predict(folder, _read(samples, folder), runtime=cast(Runtime, runtime), **where)
    labels = as_labels(values, names, kind)
    if out is not None:
        with out.open("wb") as file:  # np.save would add a suffix
            np.save(file, labels)
        told = {"out": str(out), "shape": list(labels.shape)}
        if as_json:
            print_json(told)
        else:
            click.echo(f"{len(labels)} predictions, {told['shape']}, are in {out}.")
    elif as_json:
        print_json([_row(kind, names, v, y) for v, y in zip(values, labels, strict=True)])
    else:
        for v, y in zip(values, labels, strict=True):
            click.echo(on_one_line(_line(kind, names, v, y)).replace("\\t", "\t"))


def _read(samples: str, folder: Path) -> NDArray[Any]:
    from dashzoo.steps.task import trained_on
    from dashzoo_cards.facts import load_facts
    from dashzoo_search.tasks import load_task, task_names
    from dashzoo_search.tasks.readers.numpy_files import read_array

    if samples not in task_names():
        return read_array(Path(samples))
    own = load_facts(folder, files=False).task.name == samples
    task = trained_on(folder) if own else load_task(samples)
    return task.test.open().rows(slice(None)).numpy()


def _row(
    kind: str, names: tuple[str, ...], values: NDArray[np.float64], label: Any
) -> dict[str, Any]:
    told = dict(zip(names, values.tolist(), strict=True))
    if kind == "regression":
        return {"values": told}
    if kind == "multilabel":
        return {"labels": _there(names, label), "probabilities": told}
    return {"label": str(label), "probabilities": told}


def _line(kind: str, names: tuple[str, ...], values: NDArray[np.float64], label: Any) -> str:
    if kind == "regression":
        return "\t".join(f"{value:.6g}" for value in values)
    if kind == "multilabel":
        return "\t".join([", ".join(_there(names, label)), *(f"{p:.4f}" for p in values)])
    return f"{label}\t{values.max():.4f}"


def _there(names: tuple[str, ...], label: Any) -> list[str]:
    return [name for name, there in zip(names, label, strict=True) if there]
