"""Where the files of a bundle contradict each other, one sentence a difference."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from dashzoo_cards.facts import Facts
from dashzoo_cards.figures import figures, is_current
from dashzoo_cards.page import render_card

__all__ = ["in_card", "in_config", "in_export", "in_figures"]

MOST_LINES = 20


def in_config(facts: Facts) -> Iterator[str]:
    """`config.json`, from which the network is built, against `results.json`."""
    built, told = facts.config.kernels, facts.kernels
    if built.dims != told.dims:
        yield (
            f"config.json: model_args.kernels.dims is {built.dims}, results.json: task.dims "
            f"is {told.dims}"
        )
    for key, ours, theirs in (
        ("layers", built.layers, told.layers),
        ("xd", built.xd, told.xd),
    ):
        for name in sorted(ours.keys() | theirs.keys()):
            if ours.get(name) != theirs.get(name):
                yield (
                    f"config.json: model_args.kernels.{key}.{name} is "
                    f"{ours.get(name) or 'missing'}, results.json: layers says "
                    f"{theirs.get(name) or 'nothing of it'}"
                )
    if facts.config.backbone != facts.backbone:
        yield (
            f"config.json: model_args.backbone is {facts.config.backbone!r}, "
            f"results.json: backbone.name is {facts.backbone!r}"
        )
    if facts.config.num_classes != len(facts.task.classes):
        yield (
            f"config.json: num_classes is {facts.config.num_classes}, results.json: "
            f"task.classes lists {len(facts.task.classes)}"
        )


def in_export(facts: Facts) -> Iterator[str]:
    """`onnx/export.json` against the graph and the weights on disk."""
    files = {file.name: file for file in facts.files}
    if "model.safetensors" not in files:
        yield "model.safetensors is missing"
    if facts.export is None:
        return
    for name, told in facts.export.graphs.items():
        graph = files.get(name)
        if graph is None:
            yield f"{name} is missing though onnx/export.json describes it"
        elif graph.sha256 != told.sha256 or graph.bytes != told.bytes:
            yield f"{name} is not the file onnx/export.json describes; export it again"
    weights = files.get("model.safetensors")
    if weights is not None and weights.sha256 != facts.export.weights_sha256:
        yield "onnx/export.json was made from other weights than model.safetensors; export again"


def in_figures(facts: Facts, bundle: Path) -> Iterator[str]:
    """The figures against the facts they should have been drawn from."""
    for name in figures(facts):
        path = bundle / "figures" / name
        if not path.is_file():
            yield f"figures/{name} is missing; write the card again"
        elif not is_current(facts, path):
            yield f"figures/{name} was drawn from other facts; write the card again"


def in_card(facts: Facts, bundle: Path) -> Iterator[str]:
    """`README.md` against what would be written now, line by line, the first twenty."""
    try:
        found = (bundle / "README.md").read_bytes().decode(errors="replace").split("\n")
    except FileNotFoundError:
        yield "README.md is missing; write the card"
        return
    wanted = render_card(facts).split("\n")
    changes = difflib.SequenceMatcher(None, found, wanted, autojunk=False).get_opcodes()
    told = 0
    for kind, first, last, start, stop in changes:
        if kind == "equal":
            continue
        for step in range(max(last - first, stop - start)):
            ours = found[first + step] if first + step < last else None
            theirs = wanted[start + step] if start + step < stop else None
            told += 1
            if told <= MOST_LINES:
                yield _sentence(first + step + 1, ours, theirs)
    if told > MOST_LINES:
        yield f"README.md differs in {told - MOST_LINES} more lines"


def _sentence(number: int, found: str | None, wanted: str | None) -> str:
    if found is None:
        return f"README.md lacks, before line {number}: {_short(wanted)}"
    if wanted is None:
        return f"README.md line {number} should not be there: {_short(found)}"
    return f"README.md line {number} says {_short(found)}, the files say {_short(wanted)}"


def _short(text: str | None) -> str:
    shown = repr(text)
    return shown if len(shown) <= 160 else shown[:159] + "…"
