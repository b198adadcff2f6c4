"""A panel's file is read with care, told as a table, and drawn."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from dashzoo_cards.panel_figures import draw_profile, draw_speed
from dashzoo_cards.panel_overview import overview_table
from dashzoo_cards.panels import panel_table, read_panel, read_panels
from dashzoo_search.errors import BadBundle, BadData

ACCURACY = {"name": "accuracy", "larger_is_better": True, "low": 0.0, "high": 1.0, "percent": True}
RMSE = {"name": "rmse", "larger_is_better": False, "low": 0.0, "high": None, "percent": False}


def row(contestant, seed, value, **more):
    score = {"metric": "accuracy", "value": value, "loss": None}
    cost = {"epochs": 5, "seconds": 2.0, "cpu_seconds": 1.5}
    return {
        "contestant": contestant,
        "seed": seed,
        "data": "0" * 64,
        "val": score,
        "test": score,
        "parameters": 1000,
        "macs": 20_000,
        "search": {"epochs": 0, "seconds": 0.0, "cpu_seconds": 0.0},
        "train": cost,
        "spec": None,
        "test_reads": 1,
        "details": {},
        **more,
    }


def panel(scores, metric=ACCURACY, name="waves"):
    return {
        "panel_version": 1,
        "task": {"name": name, "counts": {"train": 80, "val": 20, "test": 50}},
        "objective": {"loss": "cross_entropy", "metric": metric},
        "settings": {
            "equal": "total", "epochs": {"search": 3, "training": 1, "total": 5}, "draws": 3,
        },
        "rows": [row(who, i, x) for who, values in scores.items() for i, x in enumerate(values)],
        "left_out": {"rocket": "aeon | is not installed"},
        "published": [
            {"method": "HC2", "metric": "accuracy", "value": 0.975, "source": "a | file"},
            {"method": "Other", "metric": "error", "value": 3.5, "source": "a | file"},
        ],
    }  # fmt: skip


SCORES = {"default": [0.9, 0.8, 0.7], "ours": [0.92, 0.82, 0.71], "uniform": [0.7, 0.8, 0.9]}


@pytest.fixture
def write(tmp_path):
    def write(value, name="panel.json"):
        path = tmp_path / name
        path.write_text(json.dumps(value))
        return path

    return write


def test_the_table_says_who_won_and_by_how_much(write):
    lines = panel_table(read_panel(write(panel(SCORES)))).splitlines()
    assert lines[0].startswith("| contestant | test accuracy, larger is better | difference to ")
    assert lines[2] == "| `default` | 80.00 ± 10.00 | – | – | 1,000 | 20,000 | 5 | 0 | 1.5 |"
    # Differences 2, 2, 1 points: mean 1.667, s .577, half 4.303 · .577 / √3 = 1.434.
    assert "| 81.67 ± 10.50 | **+1.67** (+0.23 … +3.10) | 3 / 0 / 0 |" in lines[3]
    # −20, 0, +20 points: half 4.303 · 20 / √3 = 49.68.
    assert "| +0.00 (-49.68 … +49.68) | 1 / 1 / 1 |" in lines[4]
    assert lines[5].startswith("| HC2, published | 97.50 | – |")
    assert lines[6].startswith("| Other, published | error 3.5 | – |")
    assert {line.count("|") - line.count("\\|") for line in lines[:7]} == {10}
    told = "\n".join(lines[7:])
    assert "5 epochs in all" in told
    assert r"Left out: rocket (aeon \| is not installed)." in told
    assert r"Published figures: a \| file." in told


def test_the_table_of_a_loss_and_of_one_seed(write):
    value = panel({"default": [0.5], "ours": [0.25]}, RMSE)
    value["settings"]["equal"] = "training"
    told = panel_table(read_panel(write(value)))
    assert "test rmse, smaller is better" in told
    assert "| `ours` | 0.25 (one seed) | -0.25 | 1 / 0 / 0 |" in told
    assert "1 epochs of training a network" in told


def broken():
    good = panel(SCORES)
    first, *others = good["rows"]
    yield {**good, "panel_version": 2}, "panel_version"
    yield {**good, "rows": []}, "rows"
    yield {**good, "rows": [first, first]}, "rows"
    yield {**good, "rows": [{**first, "test": {"value": "high"}}, *others]}, "test.value"
    yield {**good, "rows": [{**first, "train": {"epochs": -1}}, *others]}, "train"
    yield {**good, "objective": {"metric": {**ACCURACY, "percent": 1}}}, "percent"
    yield {**good, "settings": {**good["settings"], "equal": "no"}}, "equal"
    yield {**good, "task": {"name": "w", "counts": {"test": 0}}}, "test"
    yield (
        {**good, "published": [{"method": "x", "metric": "y", "value": None, "source": "z"}]},
        "value",
    )


@pytest.mark.parametrize(("value", "field"), list(broken()))
def test_a_damaged_panel_is_refused_by_field(write, value, field):
    with pytest.raises(BadBundle, match=field):
        read_panel(write(value))


def test_errors_are_no_finer_than_the_test_split(write):
    found = read_panel(write(panel({"default": [1.0], "ours": [0.9]})))
    assert found.errors() == {"default": 0.01, "ours": pytest.approx(0.1)}
    unlimited = {**ACCURACY, "high": None, "percent": False}
    assert read_panel(write(panel(SCORES, unlimited))).errors() is None


def test_figures_are_pictures_and_follow_the_numbers(write, tmp_path):
    write(panel(SCORES), "a.json")
    write(panel({"default": [2.0, 3.0], "rocket": [1.0, 1.0]}, RMSE, "b"), "b.json")
    panels = read_panels(tmp_path)
    assert [one.name for one in panels] == ["waves", "b"]
    for draw in (draw_speed, draw_profile):
        path = draw(panels, tmp_path / "figures" / f"{draw.__name__}.png")
        with Image.open(path) as picture:
            picture.verify()
        with Image.open(path) as picture:
            assert picture.size[0] == 1200
            assert len(picture.getcolors(2**20)) > 20
        first = path.read_bytes()
        assert draw(panels, path).read_bytes() == first
        assert draw(panels[:1], path).read_bytes() != first


def test_nothing_to_read_or_to_profile_is_one_sentence(write, tmp_path):
    with pytest.raises(BadBundle, match="holds no panel"):
        read_panels(tmp_path)
    write(panel(SCORES, {**ACCURACY, "high": None, "percent": False}))
    with pytest.raises(BadData, match="no errors to profile"):
        draw_profile(read_panels(tmp_path), tmp_path / "profile.png")


def test_all_panels_in_one_table(write):
    waves = panel(SCORES)
    for each in waves["rows"]:
        if each["contestant"] == "ours":
            each["search"] = {"epochs": 3, "seconds": 1.0, "cpu_seconds": 0.6}
    fields = panel({"default": [0.5], "fno": [0.25]}, RMSE, name="fields")
    panels = [read_panel(write(waves)), read_panel(write(fields, "fields.json"))]
    head, _, first, second = overview_table(panels).splitlines()
    assert head == (
        "| task | metric | seeds | `default` | `ours` | `uniform` | `fno` | search | "
        "best published |"
    )
    assert first == (
        "| `waves` | accuracy, % ↑ | 3 | 80.0 ± 10.0 | **81.7 ± 10.5** | 80.0 ± 10.0 | – | 40 % | "
        "97.5 (HC2) |"
    )
    assert second == "| `fields` | rmse ↓ | 1 | 0.5 | – | – | 0.25 | – | – |"
