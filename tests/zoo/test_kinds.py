"""Every kind of problem from a file to a bundle: scores, card, ONNX and predictions agree."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dashzoo
from dashzoo_cards.render import check_card
from dashzoo_search.errors import BadData
from dashzoo_search.tasks import DataOptions, load_task
from dashzoo_search.tasks.metrics import METRICS

OPTIONS = {
    "backbone_args": {"width": 2},
    "kernels": (3, 5),
    "dilations": (1,),
    "batch_size": 16,
    "threads": 1,
    "search_epochs": 1,
    "epochs": 1,
    "scout": 0,
}


def arrays(kind):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 2, 12)).astype(np.float32)
    if kind == "dense_regression":
        X = rng.standard_normal((40, 1, 6, 6)).astype(np.float32)
    return {
        "X": X,
        "y": {
            "classification": np.where(X[:, 0].mean(1) > 0, "up", "down"),
            "multilabel": (X.mean(2) > 0).astype(np.float32),
            "regression": 100 * X[:, 0].mean(1) + 7,
            "dense_regression": 100 * X[:, 0] + 7,
            "dense_labels": np.where(rng.random(X[:, 0].shape) < 0.1, -1, X[:, 0] > 0),
        }[kind],
    }


KINDS = ("classification", "multilabel", "regression", "dense_regression", "dense_labels")
SCORED = {"multilabel": "auroc", "dense_regression": "relative_l2", "dense_labels": "f1"}


@pytest.fixture(scope="module")
def bundle_of(tmp_path_factory):
    """Bundles by kind, each made once."""
    made: dict[str, Path] = {}

    def make(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            np.savez(folder / "data.npz", **arrays(kind))
            chain = "chain2d" if kind == "dense_regression" else "chain1d"
            made[kind] = dashzoo.run(
                folder / "data.npz",
                folder / "bundle",
                backbone=chain,
                data_options=DataOptions(kind=kind, metric=SCORED.get(kind)),
                **OPTIONS,
            )
        return made[kind]

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_from_a_file_to_a_bundle(bundle_of, kind):
    bundle = bundle_of(kind)
    results = json.loads((bundle / "results.json").read_text())
    metric = METRICS[results["objective"]["metric"]["name"]]
    task = load_task(
        str(bundle.parent / "data.npz"), seed=0, options=DataOptions(kind=kind, metric=metric.name)
    )
    test = task.test.open()

    # What results.json says is what the bundle's network does.
    shipped = results["metrics"][results["selection"]["shipped"]]["test"]
    assert set(shipped) == {"metric", "value", "loss"}
    net = dashzoo.load(bundle)
    outputs = net(test.rows(slice(None))).detach().double().numpy()
    assert metric(outputs, test.targets().numpy()) == pytest.approx(shipped["value"], abs=1e-9)

    by_torch, names = dashzoo.predict(bundle, test.X)
    by_onnx, _ = dashzoo.predict(bundle, test.X, runtime="onnx")
    np.testing.assert_allclose(by_onnx, by_torch, atol=1e-4 * np.abs(by_torch).max())
    assert by_torch.shape == outputs.shape
    assert names == task.classes
    checks = json.loads((bundle / "onnx" / "export.json").read_text())["certificate"]
    agreed = kind in ("classification", "dense_labels")
    assert all(check["agree"] == check["of"] for check in checks["network"])
    assert all((check["of"] is not None) == agreed for check in checks["network"])

    card = (bundle / "README.md").read_text()
    assert f"test {metric.name.replace('_', chr(92) + '_')}" in card
    assert check_card(bundle) == []


def test_the_graph_tells_its_kind(bundle_of):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(bundle_of("multilabel") / "onnx" / "model.onnx")
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told["kind"] == "multilabel"
    assert json.loads(told["labels"]) == ["0", "1"]


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_laid_out_as_labels_are(bundle_of, command, tmp_path, kind):
    made = arrays(kind)
    np.save(tmp_path / "X.npy", made["X"][:5])
    outcome = command("predict", bundle_of(kind), tmp_path / "X.npy", "--out", tmp_path / "Y.npy")
    assert outcome.code == 0
    told, y = np.load(tmp_path / "Y.npy"), made["y"][:5]
    assert told.shape == {"regression": (5, 1), "dense_regression": (5, 1, 6, 6)}.get(kind, y.shape)
    if kind in ("classification", "multilabel", "dense_labels"):
        assert set(told.ravel()) <= set(made["y"].ravel())


def test_predictions_of_a_sample_make_a_line(bundle_of, command, refused, tmp_path):
    np.save(tmp_path / "X.npy", arrays("regression")["X"][:3])
    values, _ = dashzoo.predict(bundle_of("regression"), np.load(tmp_path / "X.npy"))
    outcome = command("predict", bundle_of("regression"), tmp_path / "X.npy")
    np.testing.assert_allclose([float(line) for line in outcome.out.split()], values[:, 0], 1e-4)
    rows = command("predict", bundle_of("multilabel"), tmp_path / "X.npy", "--json").json
    for row in rows:
        assert row["labels"] == [name for name, p in row["probabilities"].items() if p > 0.5]
    assert "--out" in refused("predict", bundle_of("dense_labels"), tmp_path / "X.npy")


def test_a_loss_of_ones_own_runs_only_for_who_names_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_of_kinds.py").write_text(
        "def loss(o, y):\n    return (o - y).abs().flatten(1).mean(1)\n"
        "def off(o, y):\n    return abs(o - y).max()\noff.larger_is_better = False\n"
    )
    np.savez(tmp_path / "data.npz", **arrays("regression"))
    said = DataOptions(kind="regression", loss="own_of_kinds:loss", metric="own_of_kinds:off")
    options = {k: v for k, v in OPTIONS.items() if k not in ("search_epochs", "epochs")}
    out = tmp_path / "bundle"
    dashzoo.search(
        tmp_path / "data.npz", out, backbone="chain1d", epochs=1, data_options=said, **options
    )
    with pytest.raises(BadData, match="--trust own_of_kinds:loss"):
        dashzoo.train(out, epochs=1)
    results = dashzoo.train(out, epochs=1, trust=(said.loss, said.metric))
    assert results["objective"]["metric"]["name"] == "own_of_kinds:off"
    dashzoo.export(out)
    (tmp_path / "own_of_kinds.py").write_text("raise RuntimeError('a bundle ran this')")
    monkeypatch.delitem(__import__("sys").modules, "own_of_kinds")
    dashzoo.card(out)
    assert "smaller is better" in (out / "README.md").read_text()
    dashzoo.load(out)


def test_norms_and_coordinates_are_the_users_choice(tmp_path):
    np.savez(tmp_path / "data.npz", **arrays("dense_regression"))
    bundle = dashzoo.run(
        tmp_path / "data.npz",
        tmp_path / "bundle",
        backbone="chain2d",
        coords=True,
        input_norm="position",
        output_norm="position",
        data_options=DataOptions(kind="dense_regression"),
        **OPTIONS,
    )
    args = json.loads((bundle / "config.json").read_text())["model_args"]
    assert args["coords"] is True
    assert (args["input_norm"], args["output_norm"], args["size"]) == (
        "position",
        "position",
        [6, 6],
    )
    assert dashzoo.load(bundle).preprocess.mean.shape == (1, 6, 6)
