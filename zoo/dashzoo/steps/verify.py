"""Repeat a bundle's certificate from its files, after checking that they belong together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import onnx

from dashzoo.catalogue import find
from dashzoo.loading import load_with_config
from dashzoo.signing import check_signature
from dashzoo.steps.before import require
from dashzoo.steps.export import description, some
from dashzoo.steps.task import task_of
from dashzoo_cards.differences import in_config, in_export
from dashzoo_cards.facts import load_facts
from dashzoo_export.artifact import model_path
from dashzoo_export.bundle import CONFIG, EXPORT, SIGNATURE, check_bundle, read_json
from dashzoo_export.certificate import VALIDATION_SAMPLES
from dashzoo_export.chain import Chain, certify
from dashzoo_export.request import Request
from dashzoo_export.session import require_runtime
from dashzoo_search.errors import BadBundle
from dashzoo_search.tasks import Task
from dashzoo_search.tasks.kinds import KINDS

__all__ = ["prove", "verify"]


def verify(
    name: str | PathLike[str], *, public_key: str | PathLike[str] | None = None
) -> dict[str, Any]:
    """Check a bundle, and prove anew that its ONNX files compute what its weights do.

    Nothing is taken from onnx/export.json but what was asked for; tolerances are this dashzoo's.

    Args:
        name: of a whole bundle, as `load` takes it. Real samples are compared where its task can be
            loaded.
        public_key: in PEM; the bundle must then be signed with the private one that goes with it.

    Returns:
        The names of its files, whether it has a signature and that was checked, whether samples
        were real, and the certificate.

    Raises:
        BadBundle: a file is missing or has changed, or two of them disagree, or the bundle is not
            signed as it should be.
        BadData: the public key is none.
        ParityFailed: an ONNX file computes something else than the weights.
        MissingRuntime: onnxruntime, or for a signature model-signing, is not installed.
    """
    folder = find(name).folder
    return prove(folder, task_of(folder), public_key=public_key)


def prove(
    folder: Path, task: Task | None, *, public_key: str | PathLike[str] | None = None
) -> dict[str, Any]:
    """`verify` of a folder whose ``task``, or that there is none, is known already."""
    require(folder, "train", "export")
    require_runtime()
    files = check_bundle(folder)
    if public_key is not None:
        check_signature(folder, Path(public_key))
    report = read_json(folder / EXPORT)
    facts = load_facts(folder)
    for difference in (*in_config(facts), *in_export(facts)):
        raise BadBundle(f"{difference}; make the bundle again", field=CONFIG)
    net, config = load_with_config(folder)
    request = Request.from_json(report.get("request"))
    told = {**description(net, config), "weights_sha256": report["weights_sha256"]}
    models = {}
    for precision in request.precisions:
        name = model_path(precision)
        data = (folder / name).read_bytes()
        _require_metadata(name, data, told)
        models[precision] = data
    proof = certify(
        Chain.of(net, config.size, request),
        models,
        real=None if task is None else some(task.val.X, VALIDATION_SAMPLES),
        classes=KINDS[config.kind].classes,
    )
    return {
        "files": files,
        "signed": SIGNATURE in files,
        "signature_checked": public_key is not None,
        "real_samples": task is not None,
        "certificate": proof,
    }


def _require_metadata(name: str, data: bytes, told: Mapping[str, str]) -> None:
    try:
        held = {entry.key: entry.value for entry in onnx.load_from_string(data).metadata_props}
    except Exception as error:  # protobuf's own errors are not public
        raise BadBundle(f"{name} is no ONNX file; export again", field=name) from error
    for key, value in told.items():
        if held.get(key) != value:
            raise BadBundle(
                f"{name} says its {key} is {_short(held.get(key))}, {CONFIG} and the weights say "
                f"{_short(value)}; export again",
                field=f"{name}:{key}",
            )


def _short(text: str | None) -> str:
    shown = json.dumps(text, ensure_ascii=False)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"
