"""The card: golden text, a header the Hub reads, hostile names, and a check that finds lies."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData, metadata_load

from dashzoo_cards.facts import load_facts
from dashzoo_cards.metadata import card_data, check_ids
from dashzoo_cards.render import check_card, render_card, write_card
from dashzoo_search.errors import BadBundle

GOLDEN = Path(__file__).parent / "golden"
ROOMS = [str(Path(__file__).parents[2] / room) for room in ("cards", "search")]
EVIL = "a|b`c`\n---\n# x <script>alert(1)</script> {{ 7*7 }} {% raw %} ![i](u) $x$ \u202e --- \\"


def unsearched(results):
    results.update(space=None, search=None, selection=None, published=[], test_reads=3)
    results["metrics"]["default"] = None
    results["provenance"]["git_commit"] = None


CASES = {
    "series": {"dims": 1, "depth": 9, "history": True},
    "images": {"dims": 2, "depth": 13},
    "given": {"dims": 1, "depth": 1, "export": False, "change": unsearched},
}


def test_a_bundle_that_ships_the_default_kernels_says_so(make_bundle):
    def lose(results):
        results["selection"]["shipped"] = "default"
        results["selection"]["scores"]["default"]["value"] = 1.0

    bundle = make_bundle(dims=1, depth=3, change=lose)
    facts = load_facts(bundle)
    card = render_card(facts)
    assert "with its default kernels, for the task" in card
    assert "The network shipped has the default kernels" in card
    assert "lost to the default ones in 3-fold cross-validation (98.00 % against 100.00 %" in card
    assert card_data(facts).eval_results[0].metric_value == facts.default.test.value
    assert [str(c) for c in facts.kernels.layers.values()] == [str(la.own) for la in facts.layers]
    assert any("model_args.kernels.layers" in told for told in check_card(bundle))


@pytest.mark.parametrize("name", CASES)
def test_golden(make_bundle, name):
    """Set ``DASHZOO_GOLDEN=write`` to write the golden cards again, then read the diff."""
    bundle = make_bundle(**CASES[name])
    (bundle / "figures").mkdir()
    (bundle / "figures" / "kernels.png").write_bytes(b"stands in: its bytes vary by version")
    card = render_card(load_facts(bundle))
    golden = GOLDEN / f"{name}.md"
    if os.environ.get("DASHZOO_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(card, encoding="utf-8")
    assert card == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_write_then_check(make_bundle, name):
    bundle = make_bundle(**CASES[name])
    card = write_card(bundle)
    assert check_card(bundle) == []
    text = card.read_text()
    for picture in re.findall(r"\]\((figures/\S+)\)", text):
        assert (bundle / picture).is_file()
    assert str(bundle) not in text
    assert not list(bundle.rglob("*.tmp"))
    before = card.read_bytes()
    assert write_card(bundle).read_bytes() == before


@pytest.mark.parametrize("dims", [1, 2])
def test_header_is_what_the_hub_reads(make_bundle, dims):
    bundle = make_bundle(dims=dims)
    path = write_card(bundle)
    loaded = ModelCard.load(path)
    data = metadata_load(path)
    assert data == card_data(load_facts(bundle)).to_dict()
    assert yaml.safe_load(loaded.data.to_yaml()) == data
    assert str(loaded) == path.read_text()
    assert data["pipeline_tag"] == ("other" if dims == 1 else "image-classification")
    assert {"dashzoo", "searched-kernels", "onnx"} <= set(data["tags"])
    (metric,) = data["model-index"][0]["results"][0]["metrics"]
    assert metric["value"] == 0.986667
    interval = metric["args"].pop("interval95")
    assert interval[0] < metric["value"] < interval[1]
    assert metric["args"] == {"split": "test", "seed": 0, "samples": 150}


def test_hostile_names_stay_text(make_bundle):
    def change(results):
        results["name"] = results["task"]["name"] = results["task"]["source"] = EVIL
        results["task"]["classes"] = [EVIL, "b"]
        results["task"]["license"] = results["backbone"]["name"] = EVIL
        results["backbone"]["args"] = {EVIL: EVIL}
        results["published"][0].update(method=EVIL, metric=EVIL, source=EVIL)
        results["kept_layers"][0].update(name=EVIL, reason=EVIL)
        results["recipe"]["init"] = results["search"]["rule"] = EVIL
        results["provenance"].update(platform=EVIL, device=EVIL, git_commit=EVIL)

    bundle = make_bundle(change=change)
    export = json.loads((bundle / "onnx" / "export.json").read_text())
    export["input"].update(name='x"```\n', shape=["batch|\n", 1, 150])
    export["lowering"]["blocks.0.conv1"]["form"] = EVIL
    export["certificate"]["computed"]["fp32"] = EVIL
    (bundle / "onnx" / "export.json").write_text(json.dumps(export))
    path = write_card(bundle)
    text = path.read_text()
    body = ModelCard.load(path).text
    assert check_card(bundle) == []
    assert "<script" not in body
    assert "\u202e" not in text
    assert "![i](u)" not in body
    assert "{{ 7" not in body
    assert "49" not in re.sub(r"[0-9a-f]{64}", "", body).split("## Provenance")[0].split("##")[0]
    assert text.count("\n---\n") == 1
    assert len(re.findall(r"^```", body, re.MULTILINE)) == 14
    assert "\n# x" not in body
    tables = re.findall(r"(?:^\|.*\n)+", body, re.MULTILINE)
    assert len(tables) == 8
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(widths) == 1, table


def test_local_folders_are_not_told(make_bundle):
    def change(results):
        results["task"].update(name="/home/ann/data/mine.npz", source="C:\\Users\\ann\\mine.npz")

    text = write_card(make_bundle(change=change)).read_text()
    assert "mine.npz" in text
    assert "ann" not in re.sub(r"(ch)ann|plann", "", text)


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (0.9, 0.9, "Neither wins on test."),
        (1.0, 149 / 150, "searched kernels win by 0.67 points, 1 test example."),
        (0.5, 0.9, "default kernels win by 40.00 points, 60 test examples."),
    ],
)
def test_who_won(make_bundle, ours, theirs, said):
    def change(results):
        results["metrics"]["searched"]["test"]["value"] = ours
        results["metrics"]["default"]["test"]["value"] = theirs

    text = render_card(load_facts(make_bundle(change=change)))
    assert said in text
    assert ("not proof of a difference" in text) == (said.startswith("searched"))


@pytest.mark.parametrize(
    ("proposal", "said"),
    [
        ("scouted", "The kernels the search found beat"),
        ("uniform", "The one kernel for all layers that the search proposed beats"),
        ("growing", "The dilations growing with depth, tried beside what the search found, beat"),
        ("shrinking", "The dilations shrinking with depth"),
    ],
)
def test_which_of_the_proposals_won_is_said(make_bundle, proposal, said):
    def change(results):
        results["selection"]["proposal"] = proposal

    assert said in render_card(load_facts(make_bundle(change=change)))


def test_unequal_budgets_are_said(make_bundle):
    def change(results):
        results["metrics"]["default"]["epochs"] = 30

    assert "The budgets differ: 60 epochs" in render_card(load_facts(make_bundle(change=change)))


def test_two_trainings_are_told_and_counted(make_bundle):
    def change(results):
        searched, default = (results["metrics"][name] for name in ("searched", "default"))
        other = {
            **searched,
            "test": {"metric": "accuracy", "value": 0.8, "loss": 0.5},
            "seconds": 20.0,
        }
        searched.update(init="scratch", inits={"scratch": dict(searched), "searched": other})
        default["epochs"] = 150

    facts = load_facts(make_bundle(change=change))
    text = render_card(facts)
    assert "80.00 % on test after 60 epochs, 20.0 s" in text
    assert "Validation kept the start from scratch." in text
    assert "start from `scratch`" in text
    assert "30 of search and 120 of training against 150 of training; in time 62.3 s" in text


@pytest.mark.parametrize("init", [None, "luck"])
def test_two_trainings_of_which_none_was_kept_are_refused(make_bundle, init):
    def change(results):
        searched = results["metrics"]["searched"]
        searched["inits"] = {start: dict(searched) for start in ("scratch", "searched")}
        searched["init"] = init

    with pytest.raises(BadBundle, match=r"metrics\.searched\.init"):
        load_facts(make_bundle(change=change))


@pytest.mark.parametrize("wrong", [{"pipeline_tag": "wishes"}, {"metrics": ["luck"]}])
def test_unknown_ids_are_refused(wrong):
    good = {"license": "mit", "pipeline_tag": "other", "metrics": ["accuracy"]}
    with pytest.raises(BadBundle):
        check_ids(ModelCardData(**(good | wrong)))


def test_a_failed_write_leaves_the_old_card(make_bundle, monkeypatch):
    bundle = make_bundle()
    card = write_card(bundle)
    before = card.read_bytes()

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_card(bundle)
    assert card.read_bytes() == before
    assert not list(bundle.rglob("*.tmp"))


def test_facts_are_frozen(make_bundle):
    facts = load_facts(make_bundle())
    with pytest.raises(dataclasses.FrozenInstanceError):
        facts.name = "other"


def test_the_room_needs_no_torch():
    code = (
        "import sys, pkgutil, importlib, dashzoo_cards as room\n"
        "for m in pkgutil.iter_modules(room.__path__):\n"
        "    importlib.import_module('dashzoo_cards.' + m.name)\n"
        "heavy = {'torch', 'timm', 'onnx', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(ROOMS)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_network_fitted_to_validation_says_so(make_bundle):
    def change(results):
        results["metrics"]["searched"].update(judged_epochs=30, best_epoch=60)

    told = render_card(load_facts(make_bundle(change=change)))
    assert "train and validation, 60 epochs, the last one kept" in told
    assert "of 30 epochs on train alone" in told
    assert "| best epoch |" not in told
    assert "| fitted to |" not in render_card(load_facts(make_bundle()))
