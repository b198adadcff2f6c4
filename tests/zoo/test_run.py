"""The main job ends in a whole bundle that tells the truth."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import dashzoo
from dashzoo_cards.facts import load_facts
from dashzoo_export.bundle import check_bundle

FILES = {
    "README.md",
    "SHA256SUMS",
    "config.json",
    "figures/alpha.png",
    "figures/kernels.png",
    "model.safetensors",
    "onnx/export.json",
    "onnx/model.onnx",
    "results.json",
}


def read(folder, name):
    return json.loads((folder / name).read_text())


def shipped(results) -> str:
    return results["selection"]["shipped"] if results["selection"] else "searched"


class TestBundle:
    @pytest.mark.parametrize("which", ["made_bundle", "made_image_bundle"])
    def test_whole(self, request, which, snapshot):
        folder = request.getfixturevalue(which)
        # Scores are drawn where there are default kernels to compare with, and others beside them.
        wanted = FILES | (set() if load_facts(folder).unchanged else {"figures/scores.png"})
        assert set(check_bundle(folder)) == wanted
        beside = {name for name in snapshot(folder) if not name.startswith("search/")}
        assert beside == wanted
        for line in (folder / "SHA256SUMS").read_text().splitlines():
            digest, name = line.split("  ")
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        assert list(folder.parent.iterdir()) == [folder]

    def test_nothing_published_names_this_machine(self, made_bundle, tmp_path_factory, snapshot):
        here = str(tmp_path_factory.getbasetemp()).encode()
        user = str(Path.home()).encode()
        for name, data in snapshot(made_bundle).items():
            if not name.startswith("search/"):
                assert here not in data, name
                assert len(user) < 6 or user not in data, name

    def test_config(self, made_bundle):
        config, results = read(made_bundle, "config.json"), read(made_bundle, "results.json")
        assert config["architecture"] == "dashzoo_searched"
        assert config["num_classes"] == 3
        assert config["label_names"] == results["task"]["classes"] == ["fast", "middle", "slow"]
        assert config["pretrained_cfg"]["input_size"] == [2, 1, 30]
        assert config["dashzoo"]["size"] == [30]
        assert config["dashzoo"]["data_sha256"] == results["task"]["sha256"]
        assert config["dashzoo"]["seed"] == results["seed"] == 3
        kernels = config["model_args"]["kernels"]
        assert list(kernels["layers"]) == [layer["name"] for layer in results["layers"]]
        assert len(results["layers"]) == 9
        prefix = "default_" if shipped(results) == "default" else ""
        for layer in results["layers"]:
            chosen = kernels["layers"][layer["name"]]
            assert layer[f"{prefix}kernel"] == [chosen["kernel"]]
            assert layer[f"{prefix}dilation"] == [chosen["dilation"]]
            assert layer["kernel"][0] in (3, 5) or layer["kernel"] == layer["default_kernel"]
            assert layer["dilation"][0] in (1, 2)

    @pytest.mark.parametrize(
        ("which", "data"),
        [("made_bundle", "sequence_file"), ("made_image_bundle", "image_file")],
    )
    def test_results_say_what_the_network_does(self, request, which, data):
        folder = request.getfixturevalue(which)
        results, net = read(folder, "results.json"), dashzoo.load(folder)
        with np.load(request.getfixturevalue(data)) as file:
            X, y = file["X_test"], file["y_test"].astype(str)
        with torch.inference_mode():
            outputs = net(torch.from_numpy(X)).double()
        classes = results["task"]["classes"]
        truth = torch.tensor([classes.index(label) for label in y])
        told = results["metrics"][shipped(results)]
        prefix = "default_" if shipped(results) == "default" else ""
        assert told["test"]["value"] == (outputs.argmax(1) == truth).double().mean().item()
        loss = torch.nn.functional.cross_entropy(outputs, truth).item()
        assert told["test"]["loss"] == pytest.approx(loss, rel=1e-5)
        assert told["parameters"] == sum(p.numel() for p in net.parameters())
        by_layer = {name: p.numel() for name, p in net.backbone.named_parameters()}
        for layer in results["layers"]:
            assert layer[f"{prefix}parameters"] == by_layer[f"{layer['name']}.weight"]
        assert results["test_reads"] == 1
        counts = results["task"]["counts"]
        assert counts["test"] == len(y)
        assert results["recipe"]["epochs"] == 2
        # Two of the search itself, and two of each network of its scout.
        assert results["search"]["epochs"] == 6
        assert results["metrics"]["default"]["epochs"] == 8
        assert results["provenance"]["dashzoo"] == dashzoo.__version__

    def test_onnx_tells_where_it_is_from(self, made_bundle):
        model = onnx.load(made_bundle / "onnx" / "model.onnx")
        told = {entry.key: entry.value for entry in model.metadata_props}
        weights = (made_bundle / "model.safetensors").read_bytes()
        config, export = read(made_bundle, "config.json"), read(made_bundle, "onnx/export.json")
        assert told["weights_sha256"] == hashlib.sha256(weights).hexdigest()
        assert export["weights_sha256"] == told["weights_sha256"]
        assert json.loads(told["labels"]) == config["label_names"]
        assert json.loads(told["kernels"]) == config["model_args"]["kernels"]
        assert told["backbone"] == "wrn1d"
        assert [e.version for e in model.opset_import if e.domain == ""] == [18]
        checks = export["certificate"]["network"]
        assert {(c["batch"], c["samples"], c["inputs"]) for c in checks} == {
            (1, 1, "random"), (3, 3, "random"), (16, 16, "random"),
            (1, 1, "real"), (3, 3, "real"), (6, 6, "real"),
        }  # fmt: skip
        assert {c["form"] for c in checks} == {"supernet", "folded", "lowered", "fp32"}
        assert all(c["relative_to_max"] <= 1e-4 and c["agree"] == c["of"] for c in checks)

    def test_one_run_from_arrays_with_force_replaces_only_at_the_end(
        self, bundle, arrays, snapshot, tiny_run
    ):
        (bundle / "README.md").write_text("the old bundle")
        before = snapshot(bundle)
        during = []

        def watch(progress):
            during.append((progress.stage, snapshot(bundle) == before))

        assert dashzoo.run(arrays, bundle, force=True, on_epoch=watch, **tiny_run, seed=1) == bundle
        stages = ("scout", "scout's rival", "search", "train, judged", "train")
        assert during == [(stage, True) for stage in stages]
        assert set(check_bundle(bundle)) == FILES
        assert "the old bundle" not in (bundle / "README.md").read_text()
        assert read(bundle, "results.json")["name"] == "waves"
        assert list(bundle.parent.iterdir()) == [bundle]


class TestSeed:
    @pytest.fixture
    def weights(self, tiny_run):
        def weights(data, out, seed):
            options = dict(tiny_run)
            epochs = options.pop("search_epochs")
            training = {name: options.pop(name) for name in ("epochs", "baseline")}
            dashzoo.search(data, out, epochs=epochs, seed=seed, **options)
            dashzoo.train(out, threads=1, **training)
            return (out / "model.safetensors").read_bytes()

        return weights

    def test_decides(self, weights, sequence_file, arrays, tmp_path):
        one = weights(sequence_file, tmp_path / "one", 5)
        assert one == weights(str(sequence_file), tmp_path / "same", 5)
        assert one == weights(arrays, tmp_path / "arrays", 5)
        assert one != weights(sequence_file, tmp_path / "other", 6)
