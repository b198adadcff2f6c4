"""`dashzoo compare`: a panel on disk, gone on with, drawn, and refused in one sentence."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner
from PIL import Image

import dashzoo
from dashzoo.cli import cli
from dashzoo_search.errors import BadData

OPTIONS = ["--epochs", "2", "--search-epochs", "1", "--backbone-arg", "width=2", "--kernels", "3,5"]
OPTIONS += ["--dilations", "1", "--batch-size", "16", "--threads", "1"]
WHO = "ours,uniform,fno"


@pytest.fixture(scope="module")
def made(sequence_file, tmp_path_factory):
    """A panel of two seeds, and what the command printed; read only."""
    out = tmp_path_factory.mktemp("panels") / "waves"
    words = ["compare", sequence_file, "--out", out, "--seeds", "2", "--contestants", WHO]
    done = CliRunner().invoke(cli, list(map(str, [*words, *OPTIONS, "--plot"])))
    assert done.exit_code == 0, done.output
    return out, done.stdout


@pytest.fixture
def panel(made, tmp_path):
    return shutil.copytree(made[0], tmp_path / "waves")


def test_a_panel_says_everything(made):
    out, printed = made
    told = json.loads((out / "panel.json").read_text())
    seen = [(row["seed"], row["contestant"]) for row in told["rows"]]
    assert seen == [(s, c) for s in (0, 1) for c in ("default", "ours", "shipped", "uniform")]
    assert {row["test_reads"] for row in told["rows"]} == {1}
    assert told["settings"]["epochs"] == {"search": 3, "training": 2, "total": 7}
    assert told["task"]["name"] == "waves"
    assert told["provenance"]["dashzoo"] == dashzoo.__version__
    assert "fields" in told["left_out"]["fno"]
    default = next(one for one in told["summary"] if one["contestant"] == "default")
    values = [row["test"]["value"] for row in told["rows"] if row["contestant"] == "default"]
    assert default["mean"] == pytest.approx(sum(values) / 2)
    assert f"{100 * default['mean']:.2f} ±" in printed
    assert "| `uniform` |" in printed
    with Image.open(out / "speed.png") as picture:
        assert picture.format == "PNG"
        picture.verify()


def test_seeds_are_added_and_finished_rows_stay(command, panel, sequence_file):
    before = {path: path.read_bytes() for path in (panel / "rows").iterdir()}
    words = ("--seeds", 3, "--contestants", "uniform", "--json", *OPTIONS)
    outcome = command("compare", sequence_file, "--out", panel, *words)
    names = ("default", "ours", "shipped", "uniform")
    seen = [(row["seed"], row["contestant"]) for row in outcome.json["rows"]]
    assert seen == [*((s, c) for s in (0, 1) for c in names), (2, "uniform")]
    assert outcome.err == ""
    after = {path: path.read_bytes() for path in (panel / "rows").iterdir()}
    assert len(after) == len(before) + 1
    assert before.items() <= after.items()


def test_a_panel_of_something_else_is_refused(refused, panel, sequence_file, image_file):
    words = ("--out", panel, "--seeds", 2)
    for more in (["--draws", 5], ["--equal", "training"], ["--lr", 0.5]):
        said = refused("compare", sequence_file, *words, *OPTIONS, *more)
        assert "other settings" in said
    images = ("--epochs", 2, "--backbone", "test_resnet", "--threads", 1)
    assert "(task differs)" in refused("compare", image_file, *words, *images)


def test_bad_input_is_one_sentence(refused, sequence_file, tmp_path):
    words = ("compare", sequence_file, "--out", tmp_path / "p", *OPTIONS)
    assert "nearest: uniform" in refused(*words, "--contestants", "ours,uniforn")
    assert "leave --epochs out" in refused(*words, "--budget", 50)
    assert not (tmp_path / "p").exists()
    assert "Give DATA and --out" in refused("compare")
    assert "leave DATA out" in refused("compare", sequence_file, "--profile", tmp_path)
    assert "holds no panel" in refused("compare", "--profile", tmp_path)
    (tmp_path / "panel.json").write_text("{}")
    assert "panel_version" in refused("compare", "--profile", tmp_path)
    assert "holds other files" in refused(*words[:3], tmp_path, *OPTIONS)


def test_a_budget_is_shared_out(sequence_file, tmp_path):
    options = {"backbone_args": {"width": 2}, "kernels": (3, 5), "dilations": (1,), "threads": 1}
    with pytest.raises(BadData, match="give --budget 5 or more"):
        dashzoo.compare(sequence_file, tmp_path / "p", budget=4, **options)
    told = dashzoo.compare(
        sequence_file, tmp_path / "p", budget=11, seeds=1, contestants=["default"], **options
    )
    assert told["settings"]["epochs"] == {"search": 6, "training": 2, "total": 10}
    assert told["rows"][0]["train"]["epochs"] == 10 + 5  # half as many tell its validation score


def test_all_panels_of_a_folder_are_profiled(command, made, tmp_path):
    for name in ("a", "b"):
        shutil.copy(made[0] / "panel.json", tmp_path / f"{name}.json")
    outcome = command("compare", "--profile", tmp_path)
    assert outcome.code == 0
    assert outcome.out.count("| `ours` |") == 2
    for name in ("profile.png", "speed.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.format == "PNG"
