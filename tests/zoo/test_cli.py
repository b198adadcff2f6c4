"""The command line: one sentence and exit code 2 for every fault, one document for --json."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest

import dashzoo
from dashzoo.cli import main

OPTION_FAULTS = {
    "no kernels": (["--kernels", ""], "kernels is empty"),
    "commas": (["--kernels", ",,"], "kernels is empty"),
    "no dilations": (["--dilations", ""], "dilations is empty"),
    "even": (["--kernels", "3,4"], "Kernel size 4 is even; use odd sizes, such as 3 or 5"),
    "zero": (["--kernels", "0"], "0 in kernels"),
    "negative": (["--kernels", "-3"], "-3 in kernels"),
    "wide": (["--kernels", "3,101"], "Kernel size 101"),
    "far": (["--dilations", "1,40"], "Dilation 40"),
    "enormous": (["--kernels", "9" * 30], "above the limit"),
    "unprintable": (["--kernels", "9" * 5000], "is not a list of integers"),
    "words": (["--kernels", "three"], "'three' is not a list of integers such as 3,7,11"),
    "half": (["--kernels", "3.5"], "is not a list of integers"),
    "device": (["--device", "gpu"], "No device is called 'gpu'"),
    "second gpu": (["--device", "cuda:99"], "This machine has: cpu"),
    "resize": (["--resize", "32"], "--resize is for images"),
    "lr": (["--lr", "nan"], "lr must be a positive number"),
    "lr 0": (["--lr", "0"], "lr must be a positive number"),
    "alpha": (["--method", "mixture", "--alpha-lr", "-1"], "alpha_lr must be a positive number"),
    "other method": (["--alpha-lr", "0.1"], "alpha_lr is an option of --method mixture, not of"),
    "confidence": (["--confidence", "0"], "confidence must be a positive number"),
    "scout": (["--scout", "-1"], "scout must not be negative"),
    "price": (["--price", "inf"], "price must not be negative"),
    "weight decay": (["--weight-decay", "-1"], "weight_decay must"),
    "batch": (["--batch-size", "0"], "'--batch-size'"),
    "epochs": (["--epochs", "0"], "'--epochs'"),
    "threads": (["--threads", "0"], "'--threads'"),
    "seed": (["--seed", "-1"], "'--seed'"),
    "seed text": (["--seed", "x"], "'--seed'"),
    "rule": (["--rule", "best"], "'--rule'"),
    "backbone": (["--backbone", "wrn2d"], "No backbone is called 'wrn2d'; nearest: wrn1d"),
    "2-D backbone": (["--backbone", "tresnet_m"], "tresnet_m is for images only: its "),
    "hub": (["--backbone", "hf-hub:timm/resnet18.a1_in1k"], "No backbone is called 'hf-hub:"),
    "arg nonsense": (["--backbone-arg", "width"], "'width' is not name=value"),
    "arg no name": (["--backbone-arg", "=3"], "'=3' is not name=value"),
    "arg dotted": (["--backbone-arg", "a.b=3"], "'a.b=3' is not name=value"),
    "arg unknown": (["--backbone-arg", "depth=3"], "Backbone wrn1d refuses"),
    "arg type": (["--backbone-arg", "width=wide"], "Backbone wrn1d refuses"),
    "arg half": (["--backbone-arg", "width=2.5"], "Backbone wrn1d refuses"),
    "arg negative": (["--backbone-arg", "width=-2"], "Backbone wrn1d refuses"),
    "arg list": (["--backbone-arg", "width=[2]"], "width=[2] does not fit into config.json"),
    "arg object": (["--backbone-arg", 'width={"a":1}'], "does not fit into config.json"),
    "arg null": (["--backbone-arg", "width=null"], "width=None does not fit"),
    "arg nan": (["--backbone-arg", "width=NaN"], "width=nan does not fit"),
    "arg huge": (["--backbone-arg", "width=1000000"], "a number up to 65536"),
    "arg file": (["--backbone-arg", "checkpoint_path=/etc/passwd"], "checkpoint_path is no arg"),
    "arg pretrained": (["--backbone-arg", "pretrained=true"], "pretrained is no argument"),
    "arg channels": (["--backbone-arg", "in_chans=7"], "in_chans is no argument"),
    "unknown option": (["--kernel", "3"], "--kernel"),
}


@pytest.mark.parametrize(("words", "told"), OPTION_FAULTS.values(), ids=OPTION_FAULTS.keys())
def test_option_faults(refused, sequence_file, tmp_path, words, told):
    assert told in refused("search", sequence_file, "--out", tmp_path / "out", *words)
    assert list(tmp_path.iterdir()) == []


def test_image_option_faults(refused, image_file, tmp_path):
    search = ["search", image_file, "--out", tmp_path / "out"]
    near = refused(*search, "--backbone", "resnet81")
    assert "nearest: " in near
    assert "resnet" in near
    assert "is for sequences" in refused(*search, "--backbone", "wrn1d")
    assert "No backbone is called" in refused(*search, "--backbone", "dashzoo_searched")
    assert "try --resize" in refused(*search, "--backbone", "test_vit")
    assert list(tmp_path.iterdir()) == []


DATA_FAULTS = {
    "no task": ("ucr/Gunpoint", "nearest: ucr/GunPoint"),
    "gone": ("gone.npz", "gone.npz does not exist"),
    "folder": (".", "is a folder"),
    "empty": ("", "is a folder"),
    "kind": (__file__, "has no known ending"),
}


@pytest.mark.parametrize(("data", "told"), DATA_FAULTS.values(), ids=DATA_FAULTS.keys())
@pytest.mark.parametrize("step", ["run", "search"])
def test_data_faults(refused, tmp_path, data, told, step):
    assert told in refused(step, data, "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_bad_arrays(refused, arrays, tmp_path):
    arrays["X_test"][0, 0, 0] = np.nan
    np.savez(tmp_path / "x.npz", **arrays)
    told = refused("run", tmp_path / "x.npz", "--out", tmp_path / "out")
    assert told.startswith("X_test holds nan in sample 0; ")
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


class TestUsage:
    @pytest.mark.parametrize(
        "words",
        [
            ["rnu"],
            ["run"],
            ["run", "x"],
            ["run", "--out", "x"],
            ["run", "a", "b", "--out", "x"],
            ["train", "a", "b"],
            ["--colour"],
            ["show"],
            ["predict", "DIR"],
            ["publish", "DIR"],
        ],
    )
    def test_refused(self, refused, words):
        refused(*words)

    @pytest.mark.parametrize("step", ["run", "search"])
    def test_an_out_that_cannot_be(self, refused, sequence_file, tmp_path, tiny, step):
        (tmp_path / "file").touch()
        for out in (tmp_path / "file" / "out", tmp_path / ("x" * 300)):
            told = refused(step, sequence_file, "--out", out, *tiny)
            assert told
            assert "Errno" not in told

    def test_debug_shows_the_error(self, command):
        with pytest.raises(dashzoo.DashzooError):
            command("--debug", "run", "nothing", "--out", "x")

    def test_interrupted(self, command, sequence_file, tmp_path, tiny, monkeypatch):
        def interrupt(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr("dashzoo.steps.run.train_into", interrupt)
        words = ["run", sequence_file, "--out", tmp_path / "out", "--search-epochs", 1, *tiny]
        outcome = command(*words, "--json")
        assert outcome.code == 130
        assert outcome.json["error"]["type"] == "KeyboardInterrupt"
        told = outcome.err.strip().splitlines()[-1]
        assert told == (
            f"Error: Interrupted. What was done until then is kept in {tmp_path / 'out'}.partial; "
            "the same command goes on from there."
        )

    def test_full_disk(self, command, bundle, monkeypatch):
        def full(*args, **kwargs):
            raise OSError(28, "No space left on device", "/x/y")

        monkeypatch.setattr("dashzoo.steps.card.write_card", full)
        outcome = command("card", bundle, "--json")
        assert outcome.code == 2
        assert outcome.json["error"]["message"] == "No space left on device: /x/y."


class TestJson:
    """One document each, and nothing else on standard output."""

    def test_run(self, command, arrays, tmp_path, tiny):
        data, out = tmp_path / "x [bold] y.npz", tmp_path / "my [/red] run"
        np.savez(data, **arrays)
        words = ["run", data, "--out", out, "--no-baseline", "--search-epochs", 1, "--epochs", 1]
        told = command(*words, "--json", *tiny)
        assert (told.code, told.err) == (0, "")
        assert told.json["bundle"] == str(out)
        assert told.json["export"]["files"]["onnx/model.onnx"]["opset"] == 18
        results = told.json["results"]
        assert results["recipe"]["epochs"] == results["test_reads"] == 1
        assert results["metrics"]["default"] is None
        shown = command("show", out, "--json").json
        taken = {"where": "folder", "commit": None}
        assert shown == {**results, **taken, "whole": True, "fault": None}
        text = command("show", out).out
        assert "x [bold] y  2 × 30, 3 classes, 30 train / 6 val / 12 test" in text
        assert "The bundle is whole." in text

    def test_run_for_people(self, command, made_bundle, monkeypatch):
        monkeypatch.setattr("dashzoo.steps.run.run", lambda *args, **options: None)
        told = command("run", "waves.npz", "--out", made_bundle)
        assert told.code == 0
        assert "ONNX differs from torch by at most " in told.out
        assert told.out.endswith(f"its card is {made_bundle / 'README.md'}.\n")

    def test_for_people(self, command, sequence_file, tmp_path, tiny):
        out = tmp_path / "my run"
        told = command("search", sequence_file, "--out", out, "--epochs", 1, *tiny)
        assert told.code == 0
        assert told.err.startswith("scout: 1 epochs, loss ")
        assert "\nsearch: 1 epochs, loss " in told.err
        assert "blocks.0.conv1  k" in told.out
        assert told.out.endswith(f"Next: dashzoo train '{out}'\n")


def test_a_terminal_without_unicode(made_bundle, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    monkeypatch.setattr(sys, "argv", ["dashzoo", "show", str(made_bundle)])
    with pytest.raises(SystemExit) as caught:
        main()
    sys.stdout.flush()
    assert caught.value.code == 0
    assert b"waves" in raw.getvalue()


def dashzoo_process(*words):
    done = subprocess.run(
        [sys.executable, "-m", "dashzoo", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


class TestProcess:
    def test_usage(self):
        code, out, err = dashzoo_process("run")
        assert (code, out) == (2, "")
        assert "Missing argument 'DATA'" in err

    def test_one_sentence(self, tmp_path):
        code, out, err = dashzoo_process("show", tmp_path / "none", "--json")
        assert code == 2
        assert json.loads(out)["error"]["type"] == "BadBundle"
        assert err == f"Error: {tmp_path / 'none'} is no folder; give a bundle.\n"
