"""Everything a card may say about a bundle, read once from the files of the bundle.

`load_facts` reads `results.json`, `config.json`, `onnx/export.json` where there is one, and
the size and sha256 of every file the card lists. It promises that each field has the type
and range its record states. It does not promise that the files agree with each other: that
is `dashzoo_cards.render.check_card`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dashzoo_cards.exported import Export
from dashzoo_cards.fields import Fields, read_json
from dashzoo_cards.history import Provenance, Recipe, Search
from dashzoo_cards.reproduce import Asked
from dashzoo_cards.results import Layer, Objective, Outcome, Published, Selection, Task
from dashzoo_search.errors import BadBundle, BadSpace, BadSpec
from dashzoo_search.spec import KernelSpec, SearchSpace

__all__ = ["Config", "Facts", "File", "load_facts"]

SCHEMA_VERSION = 1
LISTED = ("config.json", "model.safetensors", "results.json", "onnx/*", "figures/*")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of the bundle: its name in it, its size in bytes and its sha256."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What timm builds the network from: the parts of `config.json` the card needs."""

    architecture: str
    num_classes: int
    license: str
    backbone: str
    kernels: KernelSpec

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From ``config.json``; raises BadBundle."""
        arguments = fields.inside("model_args")
        try:
            kernels = KernelSpec.from_json(dict(arguments.inside("kernels").values))
        except BadSpec as error:
            where = f"config.json:model_args.kernels.{error.field}".rstrip(".")
            message = f"config.json: model_args.kernels is damaged ({error}); write it again"
            raise BadBundle(message, field=where) from error
        return cls(
            architecture=fields.text("architecture"),
            num_classes=fields.integer("num_classes", low=1),
            license=fields.inside("pretrained_cfg").text("license"),
            backbone=arguments.text("backbone"),
            kernels=kernels,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A bundle, told: the one argument of every figure and of the card.

    ``space`` and ``search`` are None when the kernels were given and not searched,
    ``default`` when the backbone's own kernels were not trained, ``export`` without ONNX.
    ``kept`` maps layers that were left as they are to the reason. ``selection`` is
    None when there was nothing to decide, and the searched network is the one that is shipped.
    ``data_options`` is what was said of the data. ``asked`` is what the commands were told, None
    where no command makes the bundle again.
    """

    name: str
    task: Task
    data_options: Mapping[str, Any]
    objective: Objective
    backbone: str
    backbone_args: Mapping[str, Any]
    resize: int | None
    space: SearchSpace | None
    layers: tuple[Layer, ...]
    kept: Mapping[str, str]
    selection: Selection | None
    searched: Outcome
    default: Outcome | None
    test_reads: int
    search: Search | None
    recipe: Recipe
    asked: Asked | None
    seed: int
    provenance: Provenance
    published: tuple[Published, ...]
    config: Config
    export: Export | None
    files: tuple[File, ...]

    @property
    def shipped(self) -> str:
        """Which network the bundle holds, ``"searched"`` or ``"default"``."""
        return "searched" if self.selection is None else self.selection.shipped

    @property
    def kernels(self) -> KernelSpec:
        """The shipped network's kernels and XD-operations as one spec."""
        return KernelSpec(
            dims=self.task.dims,
            layers={
                layer.name: layer.choice if self.shipped == "searched" else layer.own
                for layer in self.layers
                if layer.xd is None
            },
            xd={
                layer.name: layer.xd
                for layer in self.layers
                if layer.xd is not None and self.shipped == "searched"
            },
        )

    @property
    def operations(self) -> bool:
        """Whether the search was over operations, and its layers are XD-operations."""
        return any(layer.xd is not None for layer in self.layers)

    @property
    def candidate(self) -> str:
        """What stands against the default kernels, in a word or two."""
        if self.operations:
            return "XD-operations"
        return "searched kernels" if self.space is not None else "these kernels"

    @property
    def network(self) -> Outcome:
        """How the shipped network did."""
        return self.default if self.shipped == "default" and self.default else self.searched

    @property
    def best_published(self) -> Published | None:
        """The best figure others published in the metric of this task, the first of equals."""
        metric = self.objective.metric
        same = [figure for figure in self.published if figure.metric == metric.name]
        return max(same, key=lambda figure: metric.goodness(figure.value), default=None)

    @property
    def unchanged(self) -> bool:
        """Whether the kernels found are the backbone's own, and the two networks one."""
        if self.operations:
            return False
        return self.default is not None and all(
            (layer.choice.kernel, layer.choice.dilation)
            == (layer.default_kernel, layer.default_dilation)
            for layer in self.layers
        )

    @property
    def has_history(self) -> bool:
        """Whether the search left mixture weights of these layers, epoch by epoch."""
        if self.search is None or not self.search.alpha:
            return False
        return any(layer.name in self.search.alpha[0][1] for layer in self.layers)


def load_facts(bundle: Path, *, files: bool = True) -> Facts:
    """Read a bundle's facts; nothing is written and nothing is run.

    Args:
        bundle: the bundle's folder.
        files: also measure the files; without it they are none, and only JSON is read.

    Raises:
        BadBundle: a file or field is missing or ill-typed; ``error.field`` names it as
            ``file:dotted.field``.

    >>> load_facts(Path("no-such-bundle"))
    Traceback (most recent call last):
    dashzoo_search.errors.BadBundle: results.json is missing; write the bundle again
    """
    bundle = Path(bundle)
    results = read_json(bundle, "results.json")
    results.one_of("schema_version", (SCHEMA_VERSION,))
    task, said = Task.read(results.inside("task")), _read_said(results)
    objective = Objective.read(results.inside("objective"))
    metric = objective.metric
    backbone, metrics = results.inside("backbone"), results.inside("metrics")
    default, search = metrics.inside_or_null("default"), results.inside_or_null("search")
    selection = results.inside_or_null("selection")
    kept = {item.text("name"): item.text("reason") for item in results.each("kept_layers")}
    facts = Facts(
        name=results.text("name"),
        task=task,
        data_options=said,
        objective=objective,
        backbone=backbone.text("name"),
        backbone_args=backbone.inside("args").values,
        resize=backbone.integer("resize", low=1) if backbone.values.get("resize") else None,
        space=_read_space(results),
        layers=_read_layers(results, task.dims),
        kept=kept,
        selection=None if selection is None else Selection.read(selection, metric),
        searched=Outcome.read(metrics.inside("searched"), metric),
        default=None if default is None else Outcome.read(default, metric),
        test_reads=results.integer("test_reads"),
        search=None if search is None else Search.read(search),
        recipe=Recipe.read(results.inside("recipe")),
        asked=Asked.read(results, said),
        seed=results.integer("seed"),
        provenance=Provenance.read(results.inside("provenance")),
        published=tuple(map(Published.read, results.each("published"))),
        config=Config.read(read_json(bundle, "config.json")),
        export=_read_export(bundle),
        files=tuple(_measure(bundle)) if files else (),
    )
    try:
        _ = facts.kernels
    except BadSpec as error:
        results.fail("layers", f"a list of layers whose shipped kernels can be built ({error})")
    return facts


def _read_said(results: Fields) -> dict[str, Any]:
    if results.values.get("data_options") is None:
        return {}
    said = results.inside("data_options")
    for name, value in said.values.items():
        for word in value if isinstance(value, list) else [value]:
            if not isinstance(word, str | int | float):
                said.fail(name, "words or numbers")
    return dict(said.values)


def _read_space(results: Fields) -> SearchSpace | None:
    fields = results.inside_or_null("space")
    if fields is None:
        return None
    kernels, dilations = fields.integers("kernels"), fields.integers("dilations")
    try:
        return SearchSpace(kernels=kernels, dilations=dilations)
    except BadSpace as error:
        results.fail("space", f"a search space ({error})")


def _read_layers(results: Fields, dims: int) -> tuple[Layer, ...]:
    layers = tuple(Layer.read(fields, dims) for fields in results.each("layers"))
    if not layers or len({layer.name for layer in layers}) < len(layers):
        results.fail("layers", "a list of one or more layers, each name once")
    try:
        KernelSpec(dims=dims, layers={layer.name: layer.choice for layer in layers})
    except BadSpec as error:
        results.fail("layers", f"a list of layers with Python names ({error})")
    return layers


def _read_export(bundle: Path) -> Export | None:
    if not (bundle / "onnx" / "export.json").is_file():
        return None
    return Export.read(read_json(bundle, "onnx/export.json"))


def _measure(bundle: Path) -> list[File]:
    found = []
    for pattern in LISTED:
        for path in sorted(bundle.glob(pattern)):
            if path.is_file() and not path.name.startswith("."):
                with path.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                name = path.relative_to(bundle).as_posix()
                found.append(File(name=name, bytes=path.stat().st_size, sha256=digest))
    return found


def fingerprint(value: object) -> str:
    """Hash of a JSON value; figures carry that of the facts they were drawn from."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
