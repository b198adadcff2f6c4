"""`dashzoo verify`: a bundle's certificate repeated, and the first file that disagrees."""

import json
import shutil

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file

import dashzoo
from dashzoo_cards.render import write_card
from dashzoo_export.bundle import seal, sha256_file
from dashzoo_search.errors import BadBundle, ParityFailed


def change(path, edit):
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))


def own_up(folder, name="onnx/model.onnx"):
    """Write the hash of a changed file wherever it is told, as somebody would who means it."""
    path = folder / name

    def edit(report):
        report["files"][name].update(sha256=sha256_file(path), bytes=path.stat().st_size)

    change(folder / "onnx" / "export.json", edit)
    seal(folder)


class TestWhole:
    def test_a_whole_bundle_proves_itself_again(self, made_bundle, command, snapshot):
        before = snapshot(made_bundle)
        told = command("verify", made_bundle, "--json")
        assert (told.code, told.err) == (0, "")
        report = json.loads(before["onnx/export.json"])
        assert told.json["certificate"] == report["certificate"]
        assert told.json["real_samples"]
        text = command("verify", made_bundle).out
        assert "6 of 6 alike on real inputs" in text
        assert "on random and validation samples" in text
        assert snapshot(made_bundle) == before

    def test_without_its_data_random_samples_remain(self, bundle, command):
        shutil.rmtree(bundle / "search")
        told = command("verify", bundle, "--json").json
        assert not told["real_samples"]
        assert {row["inputs"] for row in told["certificate"]["network"]} == {"random"}

    @pytest.mark.slow
    def test_all_precisions_and_free_lengths(self, bundle, command):
        words = ["--dtype", "fp16,bf16,int8", "--dynamic", "length", "--softmax"]
        report = command("export", bundle, *words, "--json").json
        assert [file["precision"] for file in report["files"].values()] == [
            "fp32", "fp16", "bf16", "int8",
        ]  # fmt: skip
        assert report["request"]["outputs"] == "softmax"
        dashzoo.card(bundle)
        card = (bundle / "README.md").read_text()
        assert "`onnx/model.int8.onnx`" in card
        assert "takes any length from" in card
        told = command("verify", bundle, "--json").json
        assert told["certificate"] == report["certificate"]
        assert "onnx/model.bf16.onnx" in told["files"]


class TestAltered:
    def test_an_onnx_file_altered_after_export(self, bundle, refused):
        path = bundle / "onnx" / "model.onnx"
        path.write_bytes(path.read_bytes() + b"\0")
        assert "onnx/model.onnx has changed since the bundle was made" in refused("verify", bundle)
        seal(bundle)
        assert "is not the file onnx/export.json describes" in refused("verify", bundle)

    def test_weights_in_onnx_that_are_not_the_bundles(self, bundle):
        path = bundle / "onnx" / "model.onnx"
        model = onnx.load(path)
        tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
        values = onnx.numpy_helper.to_array(tensor) * 1.5
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        onnx.save(model, path)
        own_up(bundle)
        with pytest.raises(ParityFailed, match="in fp32 on random"):
            dashzoo.verify(bundle)

    def test_a_spec_in_onnx_that_is_not_the_configs(self, bundle, refused):
        path = bundle / "onnx" / "model.onnx"
        model = onnx.load(path)
        entry = next(e for e in model.metadata_props if e.key == "kernels")
        entry.value = entry.value.replace('"dilation": 1', '"dilation": 2', 1)
        onnx.save(model, path)
        own_up(bundle)
        sentence = refused("verify", bundle)
        assert sentence.startswith("onnx/model.onnx says its kernels is")
        assert sentence.endswith("export again.")

    def test_other_weights(self, bundle, refused):
        path = bundle / "model.safetensors"
        weights = load_file(path)
        name = next(n for n in weights if n.endswith("conv1.weight"))
        weights[name] = np.ascontiguousarray(weights[name] + 1)
        save_file(weights, path, metadata={"format": "pt"})
        seal(bundle)
        assert "made from other weights than model.safetensors" in refused("verify", bundle)

    def test_weights_that_do_not_fit_the_config(self, bundle, refused):
        path = bundle / "model.safetensors"
        weights = load_file(path)
        name = next(n for n in weights if n.endswith("conv1.weight"))
        weights[name] = np.zeros((*weights[name].shape[:-1], 13), np.float32)
        save_file(weights, path, metadata={"format": "pt"})
        change(
            bundle / "onnx" / "export.json",
            lambda report: report.update(weights_sha256=sha256_file(path)),
        )
        seal(bundle)
        assert f"tensor {name} has shape" in refused("verify", bundle)

    def test_a_config_whose_kernels_are_not_the_results(self, bundle, refused):
        def other(config):
            layers = config["model_args"]["kernels"]["layers"]
            first = next(iter(layers))
            layers[first]["dilation"] = 3 - layers[first]["dilation"]  # the weights still fit

        change(bundle / "config.json", other)
        seal(bundle)
        assert "results.json: layers says" in refused("verify", bundle)

    def test_a_bundle_that_agrees_with_itself_and_not_with_its_onnx(self, bundle):
        """Another dilation in config and results: only the proof can tell."""

        def flip(choice):
            return [3 - choice[0]] if isinstance(choice, list) else 3 - choice

        def config(value):
            layers = value["model_args"]["kernels"]["layers"]
            first = next(iter(layers))
            layers[first]["dilation"] = flip(layers[first]["dilation"])

        def results(value):
            layer = value["layers"][0]
            key = (
                "default_dilation"
                if (value["selection"] or {"shipped": ""})["shipped"] == "default"
                else "dilation"
            )
            layer[key] = flip(layer[key])

        change(bundle / "config.json", config)
        change(bundle / "results.json", results)
        path = bundle / "onnx" / "model.onnx"
        model = onnx.load(path)
        entry = next(e for e in model.metadata_props if e.key == "kernels")
        entry.value = json.dumps(
            json.loads((bundle / "config.json").read_text())["model_args"]["kernels"]
        )
        onnx.save(model, path)
        own_up(bundle)
        with pytest.raises(ParityFailed, match="in fp32"):
            dashzoo.verify(bundle)

    def test_no_sums(self, bundle, refused):
        (bundle / "SHA256SUMS").unlink()
        assert "finish it with 'dashzoo card'" in refused("verify", bundle)

    def test_no_onnx(self, bundle, refused):
        shutil.rmtree(bundle / "onnx")
        assert "run 'dashzoo export" in refused("verify", bundle)

    def test_no_runtime(self, made_bundle, refused, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
        assert "pip install 'dashzoo[cpu]'" in refused("verify", made_bundle)

    def test_an_export_of_an_older_dashzoo_predicts_but_has_no_card(self, bundle, arrays, refused):
        change(bundle / "onnx" / "export.json", lambda report: report.update(schema_version=1))
        with pytest.raises(BadBundle, match="run 'dashzoo export' on the bundle again"):
            write_card(bundle)
        seal(bundle)
        assert "run 'dashzoo export' on the bundle again" in refused("verify", bundle)
        values, _ = dashzoo.predict(bundle, arrays["X_test"], runtime="onnx")
        assert len(values) == len(arrays["X_test"])


class TestExport:
    def test_a_length_that_is_not_free_is_refused_in_a_sentence(self, image_bundle, refused):
        assert "These samples have no length" in refused(
            "export", image_bundle, "--dynamic", "length"
        )
        assert not (image_bundle / "onnx").exists()
        assert not (image_bundle / "SHA256SUMS").exists()

    def test_options_that_do_not_go_with_the_task(self, made_bundle, refused, snapshot):
        before = snapshot(made_bundle)
        assert "are of one length" in refused("export", made_bundle, "--any-length")
        assert "No precision is called 'fp8'" in refused("export", made_bundle, "--dtype", "fp8")
        assert snapshot(made_bundle) == before

    def test_resampling_is_left_to_the_user(self, bundle, refused):
        def resampled(record):
            record["data_options"] = {"lengths": "resample"}

        change(bundle / "search" / "search.json", resampled)
        assert "resample before the model" in refused("export", bundle, "--any-length")
