"""Facts: what a whole bundle says, and that every missing or odd field is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashzoo_cards.facts import load_facts
from dashzoo_search.errors import BadBundle

FLAGS = {"argmax_agree", "larger_is_better", "percent"}


def required(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Path to every object field, down the first item of each list."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("alpha", "latency"):
                continue
            yield (*path, name)
            if name not in ("args", "lowering"):
                yield from required(inner, (*path, name))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from required(value[0], (*path, 0))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def dotted(path: tuple[Any, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]


def test_reads_what_the_files_say(make_bundle):
    facts = load_facts(make_bundle(dims=2, depth=4, history=True))
    assert facts.name == "digits"
    assert [str(layer.choice) for layer in facts.layers[:2]] == ["k3 d1", "k9 d3"]
    assert facts.default is not None
    assert facts.default.test.value == 0.96
    assert facts.search is not None
    assert len(facts.search.alpha) == 30
    assert facts.export is not None
    assert facts.export.lowering["blocks.1.conv1"] == "dft_matmul"
    assert [file.name for file in facts.files][:3] == [
        "config.json",
        "model.safetensors",
        "results.json",
    ]
    assert facts.files[1].bytes == 22
    assert facts.kernels == facts.config.kernels


def test_null_sections_and_unknown_fields_are_fine(make_bundle):
    def change(results):
        results.update(space=None, search=None, published=[], later={"a": 1})
        results["metrics"]["default"] = None
        results["provenance"]["git_commit"] = None
        results["task"]["later"] = 1

    facts = load_facts(make_bundle(change=change, export=False))
    assert (facts.space, facts.search, facts.default, facts.export) == (None,) * 4


@pytest.mark.parametrize("file", ["results.json", "onnx/export.json"])
def test_every_missing_or_ill_typed_field_is_named(make_bundle, file):
    bundle = make_bundle(depth=1)
    whole = json.loads((bundle / file).read_text())
    paths = list(required(whole))
    assert len(paths) > 20
    for path in paths:
        for broken in ("missing", "ill-typed"):
            damaged = json.loads(json.dumps(whole))
            if broken == "missing":
                del at(damaged, path[:-1])[path[-1]]
            else:
                at(damaged, path[:-1])[path[-1]] = "yes" if path[-1] in FLAGS else True
            (bundle / file).write_text(json.dumps(damaged))
            with pytest.raises(BadBundle) as caught:
                load_facts(bundle)
            assert caught.value.field == f"{file}:{dotted(path)}"
            assert f"{file}: {dotted(path)} " in str(caught.value)


@pytest.mark.parametrize(
    "path", [("architecture",), ("num_classes",), ("pretrained_cfg", "license"), ("model_args",)]
)
def test_config_fields_are_named(make_bundle, path):
    bundle = make_bundle()
    config = json.loads((bundle / "config.json").read_text())
    del at(config, path[:-1])[path[-1]]
    (bundle / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadBundle, match=f"config.json: {dotted(path)} is missing"):
        load_facts(bundle)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), 2),
        (("task", "dims"), 3),
        (("task", "kind"), "clustering"),
        (("task", "size"), [150, 150]),
        (("task", "sha256"), "abc"),
        (("task", "counts", "test"), 0),
        (("layers",), []),
        (("layers", 0, "kernel"), [4]),
        (("layers", 0, "macs"), 10**30),
        (("metrics", "searched", "test", "value"), 99.0),
        (("metrics", "searched", "test", "loss"), float("nan")),
        (("metrics", "searched", "test", "loss"), 10**310),
        (("search", "alpha", 0, "layers", "blocks.0.conv1"), [0.9, 0.9]),
    ],
)
def test_impossible_values_are_named(make_bundle, path, value):
    def change(results):
        at(results, path[:-1])[path[-1]] = value

    with pytest.raises(BadBundle) as caught:
        load_facts(make_bundle(change=change, history=True))
    assert caught.value.field == f"results.json:{dotted(path)}"
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("names", [["a b"], ["conv", "conv"]])
def test_layer_names_must_be_paths_and_differ(make_bundle, names):
    def change(results):
        for layer, name in zip(results["layers"], names, strict=True):
            layer["name"] = name

    with pytest.raises(BadBundle, match="layers must be"):
        load_facts(make_bundle(depth=len(names), change=change))


@pytest.mark.parametrize("content", ["[1]", "{", "[" * 100_000, ""])
def test_files_that_are_no_json_object(make_bundle, content):
    bundle = make_bundle()
    (bundle / "results.json").write_text(content)
    with pytest.raises(BadBundle, match=r"results\.json"):
        load_facts(bundle)


def test_hidden_and_foreign_files_are_not_listed(make_bundle):
    bundle: Path = make_bundle()
    (bundle / "onnx" / ".model.onnx.tmp").write_bytes(b"")
    (bundle / "notes.txt").write_text("mine")
    assert {file.name for file in load_facts(bundle).files} == {
        "config.json",
        "model.safetensors",
        "results.json",
        "onnx/export.json",
        "onnx/model.onnx",
    }
