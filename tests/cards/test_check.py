"""A check that finds where card, figures, config and files disagree, and what writing refuses."""

from __future__ import annotations

import json
import re

import pytest

from dashzoo_cards.render import check_card, write_card
from dashzoo_search.errors import BadBundle


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_check_finds_a_changed_number(make_bundle):
    bundle = make_bundle()
    card = write_card(bundle)
    card.write_text(card.read_text().replace("98.67 % |", "99.67 % |"))
    (difference,) = check_card(bundle)
    assert re.fullmatch(
        r"README.md line \d+ says '.*99\.67.*', the files say '.*98\.67.*'", difference
    )


def test_check_finds_other_kernels(make_bundle):
    bundle = make_bundle()
    write_card(bundle)

    def change(config):
        config["model_args"]["kernels"]["layers"]["blocks.0.conv1"]["kernel"] = 5
        config["num_classes"] = 7
        config["model_args"]["backbone"] = "resnet18"

    edit(bundle / "config.json", change)
    found = "\n".join(check_card(bundle))
    assert "layers.blocks.0.conv1 is k5 d1, results.json: layers says k3 d1" in found
    assert "num_classes is 7" in found
    assert "'resnet18'" in found
    assert "`config.json`" in found  # its hash in the table of files


def test_check_finds_stale_figures_and_files(make_bundle):
    bundle = make_bundle(history=True)
    write_card(bundle)

    def change(results):
        results["layers"][0]["kernel"] = [5]

    edit(bundle / "results.json", change)
    (bundle / "figures" / "alpha.png").unlink()
    (bundle / "onnx" / "model.onnx").write_bytes(b"other")
    (bundle / "model.safetensors").write_bytes(b"other")
    found = "\n".join(check_card(bundle))
    assert "figures/kernels.png was drawn from other facts" in found
    assert "figures/alpha.png is missing" in found
    assert "onnx/model.onnx is not the file" in found
    assert "made from other weights" in found


def test_check_finds_missing_and_added_lines(make_bundle):
    bundle = make_bundle()
    assert "README.md is missing; write the card" in check_card(bundle)
    card = write_card(bundle)
    card.write_text(card.read_text().replace("## Licences\n", "") + "more\n")
    found = "\n".join(check_card(bundle))
    assert "lacks, before line" in found
    assert "should not be there: 'more'" in found
    card.write_text("nothing")
    assert check_card(bundle)[-1].startswith("README.md differs in ")


def test_a_stale_alpha_picture_goes(make_bundle):
    bundle = make_bundle()
    (bundle / "figures").mkdir()
    (bundle / "figures" / "alpha.png").write_bytes(b"old")
    write_card(bundle)
    assert not (bundle / "figures" / "alpha.png").exists()


def test_unknown_licence_is_refused_before_anything_is_written(make_bundle):
    bundle = make_bundle()
    edit(bundle / "config.json", lambda config: config["pretrained_cfg"].update(license="mine"))
    with pytest.raises(BadBundle, match="'mine'") as caught:
        write_card(bundle)
    assert caught.value.field == "config.json:pretrained_cfg.license"
    assert not (bundle / "figures").exists()
