"""Dots of scores and of latency: which there are, what they say, and that they stay on the page."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dashzoo_cards.canvas import WIDTH
from dashzoo_cards.compared import (
    MOST,
    draw_latency,
    draw_scores,
    interval,
    latency_dots,
    score_dots,
)
from dashzoo_cards.facts import load_facts
from dashzoo_cards.figures import figures, is_current
from dashzoo_cards.render import check_card, write_card

BLUE = (0x00, 0x72, 0xB2)


def rows(*engines, batches=(1,), ms=0.113):
    return [
        {
            "engine": engine,
            "provider": "cpu",
            "dtype": "fp32",
            "shape": [batch, 1, 150],
            "median_ms": ms * batch,
            "p95_ms": 1.4 * ms * batch,
        }
        for engine in engines
        for batch in batches
    ]


def measure(bundle, found):
    path = bundle / "onnx" / "export.json"
    report = json.loads(path.read_text())
    machine = {"processor": "Some CPU", "gpu": None, "torch": "2.15.0", "threads": 2}
    report["latency"] = {"machine": machine, "rows": found, "aside": {}}
    path.write_text(json.dumps(report))
    return bundle


def error_metric(results):
    results["task"]["kind"] = "dense_regression"
    metric = {"name": "l2", "larger_is_better": False, "low": 0.0, "high": None, "percent": False}
    results["objective"]["metric"] = metric
    scores = [*results["selection"]["scores"].values()]
    for outcome in (results["metrics"]["searched"], results["metrics"]["default"]):
        scores += [outcome["val"], outcome["test"]]
    for number, each in enumerate(scores):
        each.update(metric="l2", value=0.001 * (number + 1))
    results["published"] = [
        {"method": name, "metric": "l2", "value": value, "source": "x"}
        for name, value in (("worse", 0.02), ("better", 0.01))
    ]


def check_picture(path):
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert image.shape[1] == WIDTH
    assert path.stat().st_size < 150_000
    assert (np.abs(image - BLUE).sum(axis=2) < 12).sum() > 50
    margin = np.concatenate([image[:, :20], image[:, -20:]], axis=1)
    assert (margin == 255).all()
    return image


class TestInterval:
    @given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_its_ends_are_what_a_test_of_the_share_just_allows(self, drawn):
        right, count = drawn
        low, high = interval(right / count, count)
        assert 0 <= low <= right / count <= high <= 1
        for end in (low, high):  # Wilson's definition: |share − p| = z·√(p(1−p)/n)
            if 1e-9 < end < 1 - 1e-9:
                width = 1.96 * math.sqrt(end * (1 - end) / count)
                assert abs(right / count - end) == pytest.approx(width, rel=1e-6, abs=1e-9)

    def test_more_examples_say_more(self):
        widths = [high - low for low, high in (interval(0.9, n) for n in (10, 100, 1000))]
        assert widths == sorted(widths, reverse=True)


class TestScores:
    @pytest.mark.parametrize("dims", [1, 2])
    def test_picture(self, make_bundle, tmp_path, dims):
        facts = load_facts(make_bundle(dims=dims))
        labels = [(dot.label, dot.ours, dot.here) for dot in score_dots(facts)]
        assert labels == [
            ("searched kernels, shipped", True, True),
            ("default kernels", False, True),
            ("ROCKET", False, False),
        ]
        path = draw_scores(facts, tmp_path / "scores.png")
        check_picture(path)
        assert is_current(facts, path)
        assert path.read_bytes() == draw_scores(facts, tmp_path / "again.png").read_bytes()

    def test_an_error_has_no_interval_and_its_least_comes_first(self, make_bundle, tmp_path):
        dots = score_dots(load_facts(make_bundle(change=error_metric)))
        assert [dot.label for dot in dots][2:] == ["better", "worse"]
        assert all(dot.low == dot.value == dot.high for dot in dots)
        facts = load_facts(make_bundle(change=error_metric))
        check_picture(draw_scores(facts, tmp_path / "scores.png"))

    def test_long_names_many_of_them_and_figures_that_cannot_be(self, make_bundle, tmp_path):
        def change(results):
            results["task"]["name"] = "$x$ " + "name " * 50
            good = {"metric": "accuracy", "source": "x"}
            results["published"] = [
                {**good, "method": f"{n} {'method ' * 40}", "value": n / 40} for n in range(40)
            ]
            results["published"] += [
                {**good, "method": "in percent", "value": 97.0},
                {"metric": "f1", "method": "another metric", "value": 0.5, "source": "x"},
            ]

        facts = load_facts(make_bundle(change=change))
        published = [dot for dot in score_dots(facts) if not dot.here]
        assert [dot.value for dot in published] == [n / 40 for n in range(39, 39 - MOST, -1)]
        image = check_picture(draw_scores(facts, tmp_path / "scores.png"))
        assert image.shape[0] < 1000

    @pytest.mark.parametrize("value", [0.0, 3e-7, 1e18])
    def test_all_the_same(self, make_bundle, tmp_path, value):
        def change(results):
            error_metric(results)
            results["published"] = []
            for outcome in (results["metrics"]["searched"], results["metrics"]["default"]):
                outcome["test"]["value"] = value

        check_picture(draw_scores(load_facts(make_bundle(change=change)), tmp_path / "scores.png"))

    def test_one_number_is_no_comparison(self, make_bundle):
        def alone(results):
            results["metrics"]["default"] = results["selection"] = None
            results["published"] = []

        bundle = make_bundle(change=alone)
        assert figures(load_facts(bundle)) == ("kernels.png",)
        (bundle / "figures").mkdir()
        (bundle / "figures" / "scores.png").write_bytes(b"old")
        assert "scores.png" not in write_card(bundle).read_text()
        assert not (bundle / "figures" / "scores.png").exists()

    def test_a_search_that_changed_nothing_is_one_network(self, make_bundle):
        def same(results):
            for layer in results["layers"]:
                layer.update(kernel=layer["default_kernel"], dilation=layer["default_dilation"])

        dots = score_dots(load_facts(make_bundle(change=same)))
        assert [dot.label for dot in dots] == ["default kernels, shipped", "ROCKET"]


class TestLatency:
    def test_none_was_measured(self, make_bundle):
        bundle = make_bundle()
        assert "latency.png" not in figures(load_facts(bundle))
        assert "## Latency" not in write_card(bundle).read_text()

    @pytest.mark.parametrize(
        "found",
        [
            rows("onnxruntime"),
            rows("onnxruntime", "torch", batches=(1, 64)),
            rows("onnxruntime", *("a very long engine " * 9 + c for c in "abc"), ms=4000.0),
            rows("onnxruntime", batches=range(1, 40)),
        ],
        ids=["one", "four", "long", "many"],
    )
    def test_picture(self, make_bundle, tmp_path, found):
        facts = load_facts(measure(make_bundle(), found))
        path = draw_latency(facts, tmp_path / "latency.png")
        check_picture(path)
        assert is_current(facts, path)
        assert len(latency_dots(facts)) == min(len(found), MOST)

    def test_card(self, make_bundle):
        bundle = measure(make_bundle(), rows("onnxruntime", "torch", batches=(1, 64)))
        text = write_card(bundle).read_text()
        assert "batch 1 0.113 ms; ONNX Runtime fp32 on cpu, batch 64 7.23 ms" in text
        assert "| torch | `fp32` | `cpu` | 64 | 7.23 | 10.1 |" in text
        assert "on Some CPU with 2 threads" in text
        assert "`figures/latency.png`" in text
        assert check_card(bundle) == []
        measure(bundle, rows("onnxruntime"))
        found = check_card(bundle)
        assert "figures/latency.png was drawn from other facts; write the card again" in found
        assert any("the files say" in line for line in found)
