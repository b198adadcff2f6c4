"""`dashzoo card --check`: every difference in a sentence, exit code 2, and nothing written."""

from __future__ import annotations

import json

from dashzoo_export.bundle import seal


def test_a_true_card(made_bundle, command, snapshot):
    before = snapshot(made_bundle)
    told = command("card", "--check", made_bundle)
    assert (told.code, told.out) == (0, "Card, figures, config and files agree.\n")
    told = command("card", made_bundle, "--check", "--json")
    assert (told.code, told.json) == (0, {"bundle": str(made_bundle), "differences": []})
    assert snapshot(made_bundle) == before


def test_other_results_and_another_config(bundle, command, snapshot):
    results = json.loads((bundle / "results.json").read_text())
    results["metrics"]["searched"]["test"]["value"] = 0.123
    results["layers"][0]["default_kernel"] = [19]
    (bundle / "results.json").write_text(json.dumps(results))
    config = json.loads((bundle / "config.json").read_text())
    config["num_classes"] = 7
    (bundle / "config.json").write_text(json.dumps(config))
    seal(bundle)
    before = snapshot(bundle)
    told = command("card", "--check", bundle, "--json")
    assert told.code == 2
    found = told.json["differences"]
    assert any(line.startswith("config.json: num_classes is 7") for line in found)
    assert any("figures/kernels.png was drawn from other facts" in line for line in found)
    assert any("the files say" in line and "12.30 %" in line for line in found)
    lines = command("card", "--check", bundle).out.splitlines()
    assert lines[:-1] == found
    assert lines[-1] == f"If the files are right, run: dashzoo card {bundle}"
    assert snapshot(bundle) == before


def test_what_only_the_sums_give_away(bundle, command):
    (bundle / "figures" / "more.png").touch()
    seal(bundle)
    (bundle / "figures" / "more.png").unlink()
    told = command("card", "--check", bundle, "--json")
    assert told.code == 2
    assert told.json["differences"] == ["figures/more.png is missing; make the bundle again"]


def test_what_cannot_be_read(bundle, refused):
    (bundle / "results.json").write_text("{")
    assert "results.json is not readable JSON" in refused("card", "--check", bundle)
