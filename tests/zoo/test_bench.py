"""Timing a bundle: rows, refusals, and that only --save writes."""

import json
import math
import shutil

import pytest
import torch

import dashzoo
from dashzoo.steps import bench as room
from dashzoo_export.bundle import check_bundle
from dashzoo_search.errors import BadBundle, BadData, MissingProvider

QUICK = {"seconds": 0, "threads": 1}


def test_rows(made_bundle, snapshot):
    before = snapshot(made_bundle)
    threads = torch.get_num_threads()
    found = room.bench(made_bundle, batches=(1, 4), **QUICK)
    assert snapshot(made_bundle) == before
    assert torch.get_num_threads() == threads
    assert [(r["engine"], r["shape"]) for r in found["rows"]] == [
        ("onnxruntime", [1, 2, 30]),
        ("torch", [1, 2, 30]),
        ("onnxruntime", [4, 2, 30]),
        ("torch", [4, 2, 30]),
    ]
    for row in found["rows"]:
        assert row["dtype"] == "fp32"
        assert row["provider"] == "cpu"
        assert row["calls"] == 10
        assert 0 < row["best_ms"] <= row["median_ms"] <= row["p95_ms"]
        assert math.isclose(
            row["samples_per_s"], 1000 * row["shape"][0] / row["median_ms"], rel_tol=0.01
        )
    assert found["aside"] == {}
    assert found["machine"]["threads"] == 1
    assert {"processor", "torch", "onnxruntime"} <= set(found["machine"])


def test_saving_keeps_the_bundle_whole(bundle):
    before = json.loads((bundle / "onnx" / "export.json").read_text())
    found = room.bench(bundle, save=True, **QUICK)
    after = json.loads((bundle / "onnx" / "export.json").read_text())
    assert after == {**before, "latency": found}
    check_bundle(bundle)


def test_saving_before_the_card_leaves_no_card(bundle):
    for name in ("README.md", "SHA256SUMS"):
        (bundle / name).unlink()
    room.bench(bundle, save=True, **QUICK)
    assert not (bundle / "README.md").exists()
    assert not (bundle / "SHA256SUMS").exists()


def test_an_altered_bundle_is_not_sealed_again(bundle, snapshot):
    with (bundle / "results.json").open("a") as file:
        file.write(" ")
    before = snapshot(bundle)
    with pytest.raises(BadBundle, match=r"results\.json has changed"):
        room.bench(bundle, save=True, **QUICK)
    assert snapshot(bundle) == before


def test_free_lengths_and_precisions(free_bundle):
    found = room.bench(free_bundle, dtypes=("fp32", "fp16"), length=40, **QUICK)
    assert [(r["engine"], r["dtype"]) for r in found["rows"]] == [
        ("onnxruntime", "fp32"),
        ("onnxruntime", "fp16"),
        ("torch", "fp32"),
    ]
    assert all(r["shape"] == [1, 2, 40] for r in found["rows"])
    with pytest.raises(BadData, match="needs a length of"):
        room.bench(free_bundle, length=1, **QUICK)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"length": 31}, BadData, "export with --dynamic"),
        ({"batches": ()}, BadData, "--batch 1,8"),
        ({"batches": (0,)}, BadData, "--batch 1,8"),
        ({"dtypes": ("fp16",)}, BadBundle, "--dtype fp16' first"),
        ({"dtypes": ("fp8",)}, BadData, "take one of fp32, fp16"),
    ],
)
def test_refusals(made_bundle, options, error, told):
    with pytest.raises(error) as caught:
        room.bench(made_bundle, **QUICK, **options)
    assert told in str(caught.value)


def test_a_provider_that_is_not_there(made_bundle, refused, monkeypatch):
    monkeypatch.setattr(room, "trouble", lambda provider: "it does not run; take the CPU")
    with pytest.raises(MissingProvider, match="does not run"):
        room.bench(made_bundle, provider="cuda", **QUICK)
    assert "take the CPU" in refused("bench", made_bundle, "--provider", "cuda")


def test_a_compiler_that_is_not_there_steps_aside(made_bundle, monkeypatch):
    def broken(net, dynamic):
        raise RuntimeError("no working\nC++ compiler")

    monkeypatch.setattr(torch, "compile", broken)
    found = room.bench(made_bundle, compiled=True, batches=(1, 2), **QUICK)
    assert found["aside"] == {"torch.compile": "no working C++ compiler"}
    assert {row["engine"] for row in found["rows"]} == {"onnxruntime", "torch"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_torch_compile(made_bundle):
    found = room.bench(made_bundle, compiled=True, **QUICK)
    assert "torch.compile" in {row["engine"] for row in found["rows"]} or found["aside"]


def test_torch_without_cuda_steps_aside(made_bundle, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    aside = {}
    assert room._torch_forms(made_bundle, torch.device("cuda"), 1, None, False, aside) == []
    assert "sees no CUDA" in aside["torch"]


def test_command(command, made_bundle, refused, tmp_path):
    words = ["bench", made_bundle, "--seconds", "0", "--threads", "1", "--batch", "1,2"]
    told = command(*words).out
    assert "onnxruntime fp32 on cpu" in told
    assert "Samples of 2 × 30, 1 threads" in told
    assert len(command(*words, "--json").json["rows"]) == 4
    assert "is no folder" in refused("bench", tmp_path / "none")
    assert "first" in refused("bench", made_bundle, "--dtype", "fp32,int8")
    assert "--batch 1,8" in refused("bench", made_bundle, "--batch", "0")


def test_an_export_can_time_its_layers(made_bundle, tmp_path):
    folder = shutil.copytree(made_bundle, tmp_path / "waves")
    layers = dashzoo.export(folder, measure=True)["lowering"].values()
    assert all(layer["measured_ms"][layer["form"]] > 0 for layer in layers)
    assert all("conv" in layer["measured_ms"] for layer in layers)
