"""Made-up bundles: files on disk that look like a run's, with numbers nobody measured."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KERNELS = {1: (3, 7, 11, 15, 19), 2: (3, 5, 7, 9)}
DILATIONS = (1, 3, 7, 15)


def made_up_results(*, dims: int, depth: int, history: bool = True) -> dict[str, Any]:
    """What ``results.json`` would hold for ``depth`` layers, the same at every call."""
    layers = [_layer(index, dims) for index in range(depth)]
    size = [150] if dims == 1 else [32, 32]
    alpha = [
        {
            "epoch": epoch,
            "layers": {
                layer["name"]: _weights(epoch, i, len(KERNELS[dims]) * 4)
                for i, layer in enumerate(layers)
            },
        }
        for epoch in range(30)
    ]
    return {
        "schema_version": 1,
        "name": "gunpoint" if dims == 1 else "digits",
        "task": {
            "name": "ucr/GunPoint" if dims == 1 else "digits",
            "kind": "classification",
            "dims": dims,
            "channels": 1,
            "size": size,
            "classes": ["gun", "point"],
            "counts": {"train": 40, "val": 10, "test": 150},
            "source": "UCR archive, as bundled with aeon 1.6.0",
            "license": "unknown",
            "sha256": "0123456789abcdef" * 4,
        },
        "backbone": {"name": "wrn1d" if dims == 1 else "wrn16_4", "args": {}},
        "objective": {
            "loss": "cross_entropy",
            "metric": {
                "name": "accuracy",
                "larger_is_better": True,
                "low": 0.0,
                "high": 1.0,
                "percent": True,
            },
        },
        "space": {"kernels": list(KERNELS[dims]), "dilations": list(DILATIONS)},
        "layers": layers,
        "kept_layers": [{"name": "blocks.0.shortcut", "reason": "kernel size 1"}],
        "metrics": {
            "searched": _outcome(0.99, 0.986667, 91234, 1234567),
            "default": _outcome(0.97, 0.96, 88000, 1300000),
        },
        "selection": {
            "shipped": "searched",
            "how": "3-fold cross-validation",
            "samples": 50,
            "proposal": "searched",
            "scores": {
                "searched": {"metric": "accuracy", "value": 0.98, "loss": 0.1},
                "default": {"metric": "accuracy", "value": 0.96, "loss": 0.2},
            },
            "seconds": 9.0,
            "cpu_seconds": 9.0,
        },
        "test_reads": 1,
        "search": {
            "epochs": 30,
            "seconds": 30.0,
            "cpu_seconds": 55.0,
            "method": "mixture",
            "alpha_on": "heldout",
            "rule": "argmax",
            "price": 0.3,
            **({"alpha": alpha} if history else {}),
        },
        "recipe": {
            "epochs": 60,
            "batch_size": 16,
            "lr": 0.003,
            "weight_decay": 0.01,
            "init": "searched",
        },
        "seed": 0,
        "provenance": {
            "dashzoo": "0.1.0",
            "git_commit": "c1a7f11c1a7f11c1a7f11c1a7f11c1a7f11c1a7f",
            "python": "3.11.7",
            "torch": "2.15.0",
            "timm": "1.0.31",
            "numpy": "2.3.5",
            "device": "cpu",
            "threads": 2,
            "platform": "Linux x86_64",
            "created": "2026-11-23",
        },
        "published": [
            {
                "method": "ROCKET",
                "metric": "accuracy",
                "value": 1.0,
                "source": "tsml-eval result files",
            }
        ],
    }


def made_up_config(results: dict[str, Any]) -> dict[str, Any]:
    """The ``config.json`` that goes with made-up results."""
    task = results["task"]
    layers = {
        layer["name"]: {"kernel": layer["kernel"], "dilation": layer["dilation"]}
        for layer in results["layers"]
    }
    return {
        "architecture": "dashzoo_searched",
        "num_classes": len(task["classes"]),
        "num_features": 128,
        "label_names": task["classes"],
        "model_args": {
            "backbone": results["backbone"]["name"],
            "dims": task["dims"],
            "in_chans": task["channels"],
            "kernels": {"spec_version": 1, "dims": task["dims"], "layers": layers},
        },
        "pretrained_cfg": {
            "input_size": [1, 1, 150] if task["dims"] == 1 else [1, 32, 32],
            "license": "apache-2.0",
        },
        "dashzoo": {"bundle_version": 1},
    }


def made_up_export(
    results: dict[str, Any], weights: bytes, graph: bytes, precisions: tuple[str, ...]
) -> dict[str, Any]:
    """The ``onnx/export.json`` that goes with made-up results and files."""
    names = [layer["name"] for layer in results["layers"]]
    task = results["task"]
    return {
        "schema_version": 2,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "input": {
            "name": "input",
            "shape": ["batch", task["channels"], *task["size"]],
            "dtype": "float32",
            "shortest": {},
        },
        "output": {"name": "output", "shape": ["batch", 2], "dtype": "float32"},
        "files": {
            f"onnx/model{'' if name == 'fp32' else f'.{name}'}.onnx": {
                "precision": name,
                "opset": 22 if name == "bf16" else 18,
                "bytes": len(graph),
                "sha256": hashlib.sha256(graph).hexdigest(),
            }
            for name in precisions
        },
        "lowering": {
            name: {"form": "dft_matmul" if i % 4 == 3 else "conv"} for i, name in enumerate(names)
        },
        "certificate": {
            "tolerances": {name: {"largest": 1e-4} for name in precisions},
            "computed": {
                name: "as it is" if name != "bf16" else "in another way" for name in precisions
            },
            "network": [
                {
                    "form": form,
                    "inputs": inputs,
                    "batch": batch,
                    "samples": batch,
                    "relative_to_max": 3e-7 * batch,
                    "relative_mean": 1e-7,
                    "agree": batch,
                    "of": batch,
                }
                for form in ("folded", *precisions)
                for inputs in ("random", "real")
                for batch in (1, 4)
            ],
        },
        "runtime": {"onnxruntime": "1.32.0", "provider": "CPUExecutionProvider"},
        "latency": None,
    }


def write_bundle(folder: Path, results: dict[str, Any], *, export: bool = True) -> Path:
    """Write a made-up bundle, all but its figures and its card."""
    weights, graph = b"not really safetensors", b"not really ONNX"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "config.json").write_text(json.dumps(made_up_config(results)))
    if export:
        (folder / "onnx").mkdir(exist_ok=True)
        precisions = ("fp32", "bf16") if results["task"]["dims"] == 2 else ("fp32",)
        made = made_up_export(results, weights, graph, precisions)
        for name in made["files"]:
            (folder / name).write_bytes(graph)
        (folder / "onnx" / "export.json").write_text(json.dumps(made))
    return folder


MakeBundle = Callable[..., Path]


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """A function that writes a bundle; ``change`` may alter its results first."""

    def make(
        *,
        dims: int = 1,
        depth: int = 9,
        history: bool = False,
        export: bool = True,
        change: Callable[[dict[str, Any]], None] | None = None,
    ) -> Path:
        results = copy.deepcopy(made_up_results(dims=dims, depth=depth, history=history))
        if change is not None:
            change(results)
        return write_bundle(tmp_path / "bundle", results, export=export)

    return make


def _layer(index: int, dims: int) -> dict[str, Any]:
    kernel = KERNELS[dims][(index * 7 + index // 3) % len(KERNELS[dims])]
    dilation = DILATIONS[(index * 5 + index // 4) % 4]
    default = (9, 5, 3)[index % 3] if dims == 1 else 3
    size = [150] if dims == 1 else [32, 32]
    channels, positions = (1 if index == 0 else 32), math.prod(size)
    weights = channels * 32 * kernel**dims
    default_weights = channels * 32 * default**dims
    return {
        "name": f"blocks.{index // 3}.conv{index % 3 + 1}",
        "kernel": [kernel] * dims,
        "dilation": [dilation] * dims,
        "default_kernel": [default] * dims,
        "default_dilation": [1] * dims,
        "in_channels": channels,
        "out_channels": 32,
        "groups": 1,
        "stride": [1] * dims,
        "size": size,
        "parameters": weights,
        "macs": weights * positions,
        "default_parameters": default_weights,
        "default_macs": default_weights * positions,
    }


def _weights(epoch: int, layer: int, choices: int) -> list[float]:
    sharpness = epoch * (0.08 + 0.02 * (layer % 5))
    raw = [math.exp(sharpness * math.cos(layer + choice)) for choice in range(choices)]
    return [round(value / sum(raw), 5) for value in raw]


def _outcome(val: float, test: float, parameters: int, macs: int) -> dict[str, Any]:
    return {
        "val": {"metric": "accuracy", "value": val, "loss": 0.01},
        "test": {"metric": "accuracy", "value": test, "loss": 0.03},
        "parameters": parameters,
        "macs": macs,
        "best_epoch": 31,
        "judged_epochs": 0,
        "epochs": 60,
        "seconds": 12.3,
        "cpu_seconds": 20.1,
    }
