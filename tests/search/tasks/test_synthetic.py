"""Tasks drawn from first principles, and images in another order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dashzoo_search.tasks import load_task
from dashzoo_search.tasks.generated import DarcyFlow, bit_reversal
from dashzoo_search.tasks.generated.cache import cache_folder
from dashzoo_search.tasks.synthetic import SYNTHETIC

COUNTS = (4, 3, 2)


@pytest.fixture(autouse=True)
def few(monkeypatch, tmp_path):
    """Few samples, and Darcy's equation on a coarse grid."""
    monkeypatch.setenv("DASHZOO_CACHE", str(tmp_path))
    for name, what in SYNTHETIC.items():
        problem = what.problem
        if isinstance(problem, DarcyFlow):
            problem = replace(problem, size=41)
        monkeypatch.setitem(SYNTHETIC, name, replace(what, problem=problem, counts=COUNTS))


# channels, size, outputs, kind, loss, metric
TASKS = {
    "darcy": (3, (9, 9), 1, "dense_regression", "relative_l2", "relative_l2"),
    "darcy/small": (3, (5, 5), 1, "dense_regression", "relative_l2", "relative_l2"),
    "burgers/viscous": (1, (1024,), 1, "dense_regression", "relative_l2", "relative_l2"),
    "burgers/sharp": (1, (1024,), 1, "dense_regression", "relative_l2", "relative_l2"),
    "adding/200": (2, (200,), 1, "regression", "mse", "mse"),
    "adding/600": (2, (600,), 1, "regression", "mse", "mse"),
    "copy/200": (10, (220,), 9, "dense_labels", "cross_entropy", "f1"),
    "motifs": (4, (200,), 2, "classification", "cross_entropy", "accuracy"),
    "ecg/synthetic": (1, (1000,), 4, "dense_labels", "cross_entropy", "f1"),
}


@pytest.mark.parametrize("name", TASKS)
def test_drawn(name):
    task = load_task(name)
    assert TASKS[name] == (
        task.channels, task.size, task.outputs, task.kind, task.loss, task.metric
    )  # fmt: skip
    assert (len(task.train), len(task.val), len(task.test)) == COUNTS
    assert (task.test.reads, task.license, task.guessed) == (0, "cc0-1.0", ())
    assert task.source.endswith("seed 0")


def test_every_one_is_tested():
    assert set(TASKS) == set(SYNTHETIC)


def test_every_seed_has_the_same_samples_from_the_cache():
    one, files = load_task("motifs", seed=0), list((cache_folder() / "generated").iterdir())
    assert len(files) == 1
    assert load_task("motifs", seed=7).sha256 == one.sha256
    assert list((cache_folder() / "generated").iterdir()) == files


def test_darcy_is_that_of_nb360():
    task = load_task("nb360/darcy")
    assert task.sha256 == load_task("darcy").sha256
    assert "regenerated" in task.source
    values = {row["method"]: row["value"] for row in task.published}
    assert (values["WRN"], values["expert"]) == (0.073, 0.008)
    assert task.space.to_json() == {"kernels": [3, 5, 7, 9], "dilations": [1, 3, 7, 15]}


def test_small_darcy_is_every_second_point():
    large, small = load_task("darcy"), load_task("darcy/small")
    assert small.published == ()
    np.testing.assert_array_equal(large.train.X[:, :, ::2, ::2], small.train.X)
    np.testing.assert_array_equal(large.train.y[:, :, ::2, ::2], small.train.y)


def test_far_marks_get_far_dilations():
    assert max(load_task("adding/600").space.dilations) == 31


class TestPermuted:
    @pytest.mark.parametrize("name", ["digits", "textures"])
    def test_bits(self, name):
        pytest.importorskip({"digits": "sklearn", "textures": "skimage"}[name])
        plain, permuted = load_task(name, seed=3), load_task(f"{name}/permuted", seed=3)
        for one, other in zip(parts(plain), parts(permuted), strict=True):
            np.testing.assert_array_equal(bit_reversal(one.X), other.X)
            np.testing.assert_array_equal(one.y, other.y)
        assert (permuted.classes, permuted.size) == (plain.classes, plain.size)
        assert permuted.sha256 != plain.sha256
        assert permuted.source == f"{plain.source}; rows and columns in bit-reversed order"

    def test_pixel_by_pixel(self):
        pytest.importorskip("sklearn")
        plain, read = load_task("digits", seed=3), load_task("digits/sequential", seed=3)
        assert (read.dims, read.size, read.test.reads) == (1, (64,), 0)
        np.testing.assert_array_equal(plain.val.X.reshape(-1, 1, 64), read.val.X)
        np.testing.assert_array_equal(plain.val.y, read.val.y)


def parts(task):
    return task.train, task.val, task.test.open()
