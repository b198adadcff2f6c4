"""`--operator xd` from the command line to a bundle, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from safetensors.numpy import load_file

import dashzoo
from dashzoo_cards.render import check_card
from dashzoo_export.bundle import EXPORT, RESULTS
from dashzoo_search.errors import BadBundle, TrainingFailed

WORDS = ["--operator", "xd", "--backbone", "chain1d", "--backbone-arg", "width=2", "--threads", 1]
RUN = {
    "operator": "xd",
    "backbone": "chain1d",
    "backbone_args": {"width": 2},
    "batch_size": 9,
    "threads": 1,
    "search_epochs": 2,
    "epochs": 1,
}


@pytest.fixture(scope="module")
def bundle(sequence_file, tmp_path_factory):
    """Shipped whatever validation says."""
    out = tmp_path_factory.mktemp("xd") / "waves"
    return dashzoo.run(sequence_file, out, ship="searched", **RUN)


def test_a_bundle_says_what_it_is(bundle) -> None:
    results = json.loads((bundle / RESULTS).read_text())
    assert results["test_reads"] == 1
    assert results["recipe"]["init"] == "searched"
    assert results["space"] is None
    assert {row["xd"]["depth"] for row in results["layers"]} == {3}
    size = results["layers"][0]["xd"]
    assert size["length"][-1] >= size["size"][-1]
    found, default = (results["metrics"][name] for name in ("searched", "default"))
    assert found["parameters"] > default["parameters"]
    assert found["macs"] > default["macs"]
    assert default["epochs"] == RUN["search_epochs"] + found["epochs"]
    forms = {
        layer["form"] for layer in json.loads((bundle / EXPORT).read_text())["lowering"].values()
    }
    assert forms == {"xd_dense"}
    assert check_card(bundle) == []
    card = (bundle / "README.md").read_text()
    assert "XD-operations" in card
    assert "searched kernels" not in card
    assert not (bundle / "figures" / "kernels.png").exists()


def test_it_is_rebuilt_by_timm_and_proved_again(bundle) -> None:
    net = dashzoo.load(bundle)
    theirs = timm.create_model(f"local-dir:{bundle}", pretrained=True).eval()
    x = net.example_input(tuple(json.loads((bundle / RESULTS).read_text())["task"]["size"]))
    with torch.no_grad():
        assert torch.equal(net(x + 1), theirs(x + 1))
    assert dashzoo.verify(bundle)["real_samples"]


def test_a_killed_search_goes_on_to_the_same_bits(sequence_file, tmp_path) -> None:
    options = {**RUN, "epochs": 3, "checkpoint_every": 0.0, "name": "x"}
    del options["search_epochs"]

    def stop(progress) -> None:
        if progress.epoch == 2:
            raise TrainingFailed("stopped here")

    with pytest.raises(TrainingFailed):
        dashzoo.search(sequence_file, tmp_path / "killed", on_epoch=stop, **options)
    dashzoo.search(sequence_file, tmp_path / "killed", **options)
    dashzoo.search(sequence_file, tmp_path / "whole", **options)
    ours, theirs = (
        load_file(tmp_path / name / "search" / "supernet.safetensors")
        for name in ("killed", "whole")
    )
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[key], theirs[key]) for key in ours)


def test_both_starts_keep_the_transforms_and_a_choice_is_cross_validated(tmp_path) -> None:
    X = np.random.default_rng(0).standard_normal((40, 1, 12)).astype(np.float32)
    arrays, out = {"X": X, "y": (X[:, 0, :4].mean(1) > 0).astype(int)}, tmp_path / "out"
    options = {key: value for key, value in RUN.items() if "epochs" not in key}
    dashzoo.search(arrays, out, epochs=1, **options)
    results = dashzoo.train(out, epochs=2, threads=1, init="both")
    assert results["selection"]["how"] == "3-fold cross-validation"
    assert set(results["metrics"]["searched"]["inits"]) == {"searched", "scratch"}
    dashzoo.train(out, epochs=1, threads=1, init="scratch", ship="searched", force=True)
    found = load_file(out / "search" / "supernet.safetensors")
    shipped = load_file(out / "model.safetensors")
    twiddles = [key for key in shipped if "twiddle" in key]
    assert twiddles
    assert all(np.array_equal(shipped[key], found[f"network.{key}"]) for key in twiddles)
    (out / "search" / "supernet.safetensors").unlink()
    with pytest.raises(BadBundle, match="transforms are missing; search again"):
        dashzoo.train(out, epochs=1, threads=1, init="scratch", force=True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--kernels", "3"], "leave --kernels and --dilations out"),
        (["--dilations", "1,2"], "leave --kernels and --dilations out"),
        (["--method", "paths"], "--method is how kernels are searched"),
        (["--explore", "1"], "explore is an option of --method paths"),
        (["--layers", "stem*"], "No convolution of the backbone is called 'stem*'"),
        (["--layers", "fc"], "No convolution of the backbone is called 'fc'"),
        (["--arch-lr", "0"], "arch_lr must be a positive number"),
        (["--xd-depth", "5"], "5 is not in the range"),
        (["--xd-depth", "0"], "0 is not in the range"),
        (["--tune", "1"], "Only searched kernels are tuned"),
    ],
)
def test_what_makes_no_sense_is_refused(refused, sequence_file, tmp_path, words, told) -> None:
    assert told in refused("run", sequence_file, "--out", tmp_path / "out", *WORDS, *words)
    assert list(tmp_path.iterdir()) == []


def test_options_of_operations_without_them(refused, sequence_file, tmp_path) -> None:
    for words in (["--xd-depth", 1], ["--arch-lr", 1], ["--arch-optimizer", "sgd"]):
        told = refused("search", sequence_file, "--out", tmp_path / "out", *words)
        assert "is an option of --operator xd, not of paths" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_search_by_two_processes(sequence_file, tmp_path) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    # Adam's first steps are of one size however small a gradient is, and so is what rounds it.
    options = {key: value for key, value in RUN.items() if "epochs" not in key}
    options["arch_optimizer"] = "sgd"
    dashzoo.search(sequence_file, alone, epochs=2, name="x", **options)
    words = ["search", sequence_file, "--out", shared, "--epochs", 2, *WORDS, "--batch-size", 9]
    words += ["--arch-optimizer", "sgd"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launch, "-m", "dashzoo", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ours, theirs = (load_file(f / "search" / "supernet.safetensors") for f in (shared, alone))
    for name, weight in theirs.items():
        np.testing.assert_allclose(ours[name], weight, rtol=1e-3, atol=1e-4, err_msg=name)
