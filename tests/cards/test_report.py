"""The report: every section from made-up bundles, hostile ones among them."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from dashzoo.steps.report import report
from dashzoo_cards.facts import load_facts
from dashzoo_cards.report.page import render_report
from dashzoo_cards.report.reach import reach
from dashzoo_cards.report.record import load_record
from dashzoo_search.errors import BadBundle, BadData, BundleExists

VOID = {"meta", "link", "br", "rect", "line", "circle", "path"}
SECTIONS = (
    *("data", "kernels", "reach", "search", "learning", "errors", "baselines", "certificate"),
    *("latency", "run"),
)


class Page(HTMLParser):
    """Elements, attributes and text of a page; every tag that opens must close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def ids(self) -> set[str | None]:
        return {attrs["id"] for _, attrs in self.tags if "id" in attrs}


def record(results):
    """Add to made-up results what a run records beyond the facts."""
    names = [layer["name"] for layer in results["layers"]]
    defaults = [layer["default_kernel"][-1] for layer in results["layers"]]
    results["windows"] = {n: [k, 1] for n, k in zip(names, defaults, strict=True)}
    results["curves"] = [
        {
            "stage": stage,
            "loss": [1 / (n + 1) for n in range(30)],
            "value": [None, *[n / 30 for n in range(29)]],
        }
        for stage in ("scout", "scout's rival", "search", "train", "default kernels")
    ]
    results["breakdown"] = {
        "network": "searched",
        "of": [76, 74],
        "right": [76, 72],
        "confusions": [[1, 0, 2]],
    }


def dense(results):
    record(results)
    task = results["task"]
    task |= {"kind": "dense_regression", "classes": ["pressure"]}
    field = np.random.default_rng(0).standard_normal(64).round(3).tolist()
    example = {"sample": 3, "shape": [8, 8] if task["dims"] == 2 else [64]}
    maps = dict.fromkeys(("input", "target", "prediction"), field)
    errors = [n / 20 for n in range(21)]
    results["breakdown"] = {"network": "searched", "errors": errors, "example": example | maps}


def numbers(results):
    record(results)
    results["task"] |= {"kind": "regression", "classes": ["mass", "size"]}
    bins = [[n, n - 1, n + 0.1, n + 1] for n in range(16)]
    results["breakdown"] = {"network": "searched", "outputs": [bins, bins]}


def labels(results):
    record(results)
    results["task"] |= {"kind": "multilabel", "classes": ["cat", "dog"]}
    results["breakdown"] = {"network": "searched", "labels": [[1, 2, 3, 4], [5, 6, 7, 8]]}


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("change", [record, dense, numbers, labels])
def test_every_section_is_there(make_bundle, dims, change):
    bundle = make_bundle(dims=dims, history=True, change=change)
    text = render_report(bundle)
    page = Page(text)
    assert set(SECTIONS) <= page.ids()
    assert text == render_report(bundle)
    assert len(text) < 300_000
    for tag, attrs in page.tags:
        assert tag not in ("script", "img", "iframe", "object")
        for name in ("src", "href"):
            assert (attrs.get(name) or "#").startswith(("#", "data:"))
    pictures = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(pictures) >= 9 + 9 + 4  # a layer each in atlas and search, and the charts
    assert all(attrs["role"] == "img" for attrs in pictures)


def test_it_tells_the_numbers(make_bundle):
    text = Page(render_report(make_bundle(history=True, change=record))).text
    for told in ("98.67%", "96.00%", "ROCKET", "91,234", "2.7%", "97.3%", "blocks.2.conv3"):
        assert told in text, told


@pytest.mark.parametrize("depth", [1, 200])
def test_one_layer_and_very_many(make_bundle, depth):
    text = render_report(make_bundle(depth=depth, history=True, change=record))
    Page(text)
    assert len(text) < 500_000
    assert ("The first 120 of 200 layers." in text) == (depth == 200)


def test_what_a_run_lacks_is_said(make_bundle):
    page = Page(render_report(make_bundle(export=False)))
    assert "no ONNX files yet" in page.text
    assert "recorded no learning curves" in page.text
    assert "did not record its errors" in page.text
    assert "Only the searched layers are counted" in page.text
    assert "search" not in page.ids()


HOSTILE = [
    "<script>alert(1)</script>",
    "\"' onload='x' x=\"",
    "</title></svg><img src=x onerror=x>",
    "&lt;script&gt;",
    "{{ 7 * 7 }}{% raw %}",
    "`**_[x](javascript:x)_**`",
    "name " * 300,
    "\u202egnp.exe 𝔘𝔫𝔦 日本 é",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(make_bundle, name):
    def change(results):
        record(results)
        results["name"] = name
        results["task"] |= {"name": name, "source": name, "license": name, "classes": [name, "b"]}
        results["published"][0] |= {"method": name, "source": name}
        results["kept_layers"][0] |= {"name": name, "reason": name}
        results["backbone"] |= {"name": name, "args": {name: name}}
        results["selection"]["how"] = name
        results["recipe"]["init"] = name
        results["objective"]["loss"] = name
        results["curves"][0]["stage"] = name
        results["provenance"] |= dict.fromkeys(("device", "torch", "platform", "created"), name)

    page = Page(render_report(make_bundle(history=True, change=change)))
    plain = Page(render_report(make_bundle(history=True, change=record)))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {"code"}
    for _, attrs in page.tags:
        assert not [key for key in attrs if key.startswith("on")]
        assert not (attrs.get("href") or "#").startswith("javascript")
    assert ("{{ 7 * 7 }}" in page.text) == ("{{" in name)
    assert "\u202e" not in page.text


FAULTS = {
    "curves": [{"stage": "train", "loss": [1], "value": [1, 2]}],
    "curves[0].loss": [{"stage": "train", "loss": ["1"], "value": [1]}],
    "curves[0].stage": [{"stage": 3, "loss": [1], "value": [1]}],
    "windows": {"conv": [3]},
    "windows.conv": {"conv": [3, -1]},
    "breakdown": {"of": [1, 2, 3], "right": [1, 2, 3], "confusions": []},
    "breakdown.right": {"of": [1, 2], "right": [2, 2], "confusions": []},
    "breakdown.confusions": {"of": [1, 2], "right": [1, 1], "confusions": [[0, 2, 1]]},
    "breakdown.counts": {"of": [1, True], "right": [1, 1], "confusions": []},
}


@pytest.mark.parametrize("field", FAULTS)
def test_a_damaged_field_is_named(make_bundle, field):
    key = field.split(".")[0].split("[")[0]

    def change(results):
        record(results)
        results[key] = FAULTS[field]

    with pytest.raises(BadBundle, match=key):
        load_record(make_bundle(change=change), kind="classification", names=2)


def test_an_example_of_another_shape_is_refused(make_bundle):
    def change(results):
        dense(results)
        results["breakdown"]["example"]["shape"] = [9999, 9999]

    with pytest.raises(BadBundle, match="shape"):
        load_record(make_bundle(change=change), kind="dense_regression", names=1)


def test_reach_is_what_one_counts_tap_by_tap(make_bundle):
    facts = load_facts(make_bundle())
    rng = random.Random(0)
    for _ in range(40):
        convs = [
            (rng.choice((1, 3, 5)), rng.randint(1, 3), rng.randint(1, 2))
            for _ in range(rng.randint(1, 5))
        ]
        seen = {0}  # of the plane before a layer, what one output needs, from the last layer down
        for kernel, dilation, stride in reversed(convs):
            seen = {at * stride + tap * dilation for at in seen for tap in range(kernel)}
        jumps = [math.prod(stride for *_, stride in convs[:n]) for n in range(len(convs))]
        windows = {
            f"pool{n}": (dilation * (kernel - 1) + 1, jump)
            for n, ((kernel, dilation, _), jump) in enumerate(zip(convs, jumps, strict=True))
        }
        found = reach(facts, windows)
        assert found.searched == found.default == max(seen) - min(seen) + 1
        assert found.exact


def test_searched_layers_reach_by_their_own_kernels(make_bundle):
    facts = load_facts(make_bundle(change=record))
    found = reach(
        facts, load_record(make_bundle(change=record), kind="classification", names=2).windows
    )
    assert found.searched == 1 + sum(layer.choice.extent[0] - 1 for layer in facts.layers)
    assert found.default == 1 + sum(layer.default_kernel[0] - 1 for layer in facts.layers)


def test_it_is_written_beside_the_bundle_and_replaced(make_bundle, tmp_path):
    bundle = make_bundle(change=record)
    path = report(bundle)
    assert path == tmp_path / "bundle.html"
    first = path.read_text()
    assert "not whole" in first  # made-up bundles are never sealed
    assert report(str(bundle), tmp_path / "bundle.html").read_text() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "bundle.html"]


def test_nothing_is_written_where_it_must_not(make_bundle, tmp_path):
    bundle = make_bundle(change=record)
    (tmp_path / "bundle.txt").write_text("a file where a folder should be")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadData, match="A bundle holds no HTML"):
        report(bundle, bundle / "report.html")
    with pytest.raises(BadData, match="cannot be written"):
        report(bundle, tmp_path / "bundle.txt" / "report.html")
    assert sorted(tmp_path.rglob("*")) == before


def test_another_file_is_not_replaced(make_bundle, tmp_path):
    (tmp_path / "thesis.html").write_text("<h1>Mine</h1>")
    with pytest.raises(BundleExists, match="no report of ours"):
        report(make_bundle(), tmp_path / "thesis.html")
    assert (tmp_path / "thesis.html").read_text() == "<h1>Mine</h1>"
    with pytest.raises(BundleExists):
        report(make_bundle(), tmp_path)


def test_an_unfinished_run_says_what_it_lacks(tmp_path):
    (tmp_path / "run.partial" / "search").mkdir(parents=True)
    (tmp_path / "run.partial" / "search" / "search.json").write_text("{}")
    with pytest.raises(BadBundle, match="still lacks train, export, card; repeat"):
        report(tmp_path / "run")
    with pytest.raises(BadBundle, match="run 'dashzoo train"):
        report(tmp_path / "run.partial")


def test_it_is_told_without_torch():
    code = "import sys, dashzoo_cards.report.page; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
