"""Publishing copies exactly the sealed files of a true bundle, and never the search."""

from __future__ import annotations

import json
import shutil

import pytest

import dashzoo
from dashzoo_export.bundle import seal
from dashzoo_search.errors import BadBundle, BundleExists


def sealed(folder):
    return sorted(line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines())


def test_copies_the_sealed_files(made_bundle, tmp_path, snapshot):
    dest = tmp_path / "deep" / "dest"
    names = dashzoo.publish(made_bundle, dest).files
    source = snapshot(made_bundle)
    assert set(names) == set(snapshot(dest)) == {*sealed(made_bundle), "SHA256SUMS"}
    assert all(source[name] == data for name, data in snapshot(dest).items())
    assert (made_bundle / "search").is_dir()
    assert not (dest / "search").exists()
    assert [path.name for path in dest.parent.iterdir()] == ["dest"]
    dashzoo.publish(dest, tmp_path / "again")  # what is published is a bundle
    dashzoo.load(tmp_path / "again")


def test_hidden_files_stay_behind(bundle, tmp_path):
    (bundle / ".env").write_text("SECRET=1")
    (bundle / ".git").mkdir()
    (bundle / ".git" / "config").touch()
    dashzoo.publish(bundle, tmp_path / "dest")
    assert not (tmp_path / "dest" / ".env").exists()
    assert not (tmp_path / "dest" / ".git").exists()


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "model.safetensors",
        "results.json",
        "onnx/model.onnx",
        "onnx/export.json",
        "README.md",
        "figures/kernels.png",
    ],
)
def test_a_changed_file(bundle, tmp_path, name):
    with (bundle / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(BadBundle, match="has changed") as caught:
        dashzoo.publish(bundle, tmp_path / "dest")
    assert caught.value.field == name
    assert not (tmp_path / "dest").exists()


@pytest.mark.parametrize("name", ["results.json", "figures/alpha.png", "SHA256SUMS"])
def test_a_missing_file(bundle, tmp_path, name):
    (bundle / name).unlink()
    with pytest.raises(BadBundle) as caught:
        dashzoo.publish(bundle, tmp_path / "dest")
    assert caught.value.field == name


@pytest.mark.parametrize("name", ["notes.txt", "onnx/extra.onnx", "figures/more.png"])
def test_a_file_too_many(bundle, tmp_path, name):
    (bundle / name).touch()
    with pytest.raises(BadBundle, match="not listed") as caught:
        dashzoo.publish(bundle, tmp_path / "dest")
    assert caught.value.field == name


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "search/search.json"])
def test_sums_that_reach_outside(bundle, tmp_path, name):
    (tmp_path / "secret").write_text("x")
    with (bundle / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  {name}\n")
    with pytest.raises(BadBundle):
        dashzoo.publish(bundle, tmp_path / "dest")
    assert not (tmp_path / "dest").exists()


def test_an_untrue_card(bundle, tmp_path):
    card = (bundle / "README.md").read_text()
    (bundle / "README.md").write_text(card.replace("classifies", "perfectly classifies"))
    seal(bundle)
    with pytest.raises(BadBundle, match="The card is not true") as caught:
        dashzoo.publish(bundle, tmp_path / "dest")
    assert caught.value.field == "README.md"


def test_dest_in_use(made_bundle, bundle, tmp_path, snapshot):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years")
    for force in (False, True):
        with pytest.raises(BundleExists, match="holds other files"):
            dashzoo.publish(made_bundle, foreign, force=force)
    assert snapshot(foreign) == {"thesis.tex": b"years"}
    with pytest.raises(BundleExists, match="already holds a bundle"):
        dashzoo.publish(made_bundle, bundle)
    (bundle / "README.md").write_text("old")
    dashzoo.publish(made_bundle, bundle, force=True)
    assert (bundle / "README.md").read_bytes() == (made_bundle / "README.md").read_bytes()
    (tmp_path / "file").touch()
    with pytest.raises(BundleExists):
        dashzoo.publish(made_bundle, tmp_path / "file", force=True)


def test_onto_itself(bundle, tmp_path, snapshot):
    before = snapshot(bundle)
    for dest in (bundle, bundle / "inside", tmp_path, bundle / ".." / bundle.name):
        with pytest.raises(BundleExists, match="overlap"):
            dashzoo.publish(bundle, dest, force=True)
    assert snapshot(bundle) == before


def test_an_empty_dest_is_free(made_bundle, tmp_path):
    (tmp_path / "dest").mkdir()
    dashzoo.publish(made_bundle, tmp_path / "dest")
    dashzoo.load(tmp_path / "dest")


def test_weights_that_do_not_load(bundle, tmp_path):
    shutil.copy(bundle / "search" / "supernet.safetensors", bundle / "model.safetensors")
    seal(bundle)
    with pytest.raises(BadBundle):
        dashzoo.publish(bundle, tmp_path / "dest")


def test_command(command, made_bundle, tmp_path):
    told = command("publish", made_bundle, tmp_path / "dest", "--json").json
    files = [*sealed(made_bundle), "SHA256SUMS"]
    assert (told["dest"], told["files"]) == (str(tmp_path / "dest"), files)
    outcome = command("publish", made_bundle, tmp_path / "dest", "--force")
    assert outcome.out == f"Published {len(told['files'])} files to {tmp_path / 'dest'}.\n"


def test_a_dry_run_checks_all_and_writes_nothing(command, bundle, tmp_path):
    outcome = command("publish", bundle, tmp_path / "dest", "--dry-run")
    assert "model.safetensors" in outcome.out
    assert not (tmp_path / "dest").exists()
    (bundle / "README.md").unlink()
    with pytest.raises(BadBundle):
        dashzoo.publish(bundle, tmp_path / "dest", dry_run=True)


def test_what_does_not_go_together(refused, made_bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo").mkdir()
    assert "./zoo/waves or hf-hub:zoo/waves" in refused("publish", made_bundle, "zoo/waves")
    assert "names a revision" in refused("publish", made_bundle, "org/waves@v1")
    assert "names no repository" in refused("publish", made_bundle, "hf-hub:waves")
    for option in (["--private"], ["--pr"], ["--tag", "v1"], ["--message", "x"]):
        assert "is a folder" in refused("publish", made_bundle, "./org/waves", *option)
    assert "force is for folders" in refused("publish", made_bundle, "org/waves", "--force")
    assert "once it is merged" in refused("publish", made_bundle, "org/waves", "--pr", "--tag", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["zoo"]


@pytest.mark.parametrize("form", ["fp32", "folded"])
def test_a_certificate_beyond_its_tolerance(bundle, tmp_path, form):
    report = json.loads((bundle / "onnx" / "export.json").read_text())
    row = next(row for row in report["certificate"]["network"] if row["form"] == form)
    row["relative_mean"] = row["relative_to_max"] = 2e-4
    (bundle / "onnx" / "export.json").write_text(json.dumps(report))
    dashzoo.card(bundle)
    with pytest.raises(BadBundle, match=f"{form} is 2.0e-04") as caught:
        dashzoo.publish(bundle, tmp_path / "dest")
    assert caught.value.field == "onnx/export.json"


def test_a_file_without_a_certificate(bundle, tmp_path):
    report = json.loads((bundle / "onnx" / "export.json").read_text())
    rows = report["certificate"]["network"]
    report["certificate"]["network"] = [row for row in rows if row["form"] != "fp32"]
    (bundle / "onnx" / "export.json").write_text(json.dumps(report))
    dashzoo.card(bundle)
    with pytest.raises(BadBundle, match="No certificate covers"):
        dashzoo.publish(bundle, tmp_path / "dest")


def test_weights_without_a_licence(bundle, tmp_path):
    config = json.loads((bundle / "config.json").read_text())
    config["pretrained_cfg"]["license"] = "unknown"
    (bundle / "config.json").write_text(json.dumps(config))
    dashzoo.card(bundle)
    with pytest.raises(BadBundle, match="no licence") as caught:
        dashzoo.publish(bundle, tmp_path / "dest")
    assert caught.value.field == "config.json:pretrained_cfg.license"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "modeling.py", "figures/notes"])
def test_a_kind_of_file_that_is_never_published(bundle, tmp_path, name):
    (bundle / name).write_bytes(b"x")
    seal(bundle)
    with pytest.raises(BadBundle, match="nothing that is published") as caught:
        dashzoo.publish(bundle, tmp_path / "dest")
    assert caught.value.field == name
    assert not (tmp_path / "dest").exists()
