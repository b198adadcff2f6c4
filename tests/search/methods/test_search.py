"""What both methods promise: the same seed gives the same search, bad numbers stop it."""

import pytest
import torch

from dashzoo_search.errors import BadData, TrainingFailed
from dashzoo_search.search import SearchOptions
from dashzoo_search.spec import SearchSpace
from dashzoo_search.training import Recipe
from dashzoo_search.training.steps import Stepper

from .echoes import echoes, search

METHODS = ("paths", "mixture")


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_search(method):
    space = SearchSpace(kernels=(3, 5), dilations=(1, 2))
    (a, x), (b, y) = (search(echoes(64), space, method, epochs=3) for _ in range(2))
    assert x.spec == y.spec
    assert x.history == y.history
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("method", METHODS)
def test_data_that_overflows_stops_the_search_with_a_sentence(method):
    split = echoes(96)
    split.X[:] = 3e38
    with pytest.raises(TrainingFailed, match="lower --lr"):
        search(split, SearchSpace(kernels=(3, 5)), method, epochs=20)


@pytest.mark.parametrize("method", METHODS)
def test_chances_and_weights_add_up(method):
    _, result = search(echoes(64), SearchSpace(kernels=(3, 5), dilations=(1, 2)), method, epochs=4)
    for row in result.history:
        for weights in row["layers"].values():
            assert sum(weights) == pytest.approx(1, abs=2e-3)


def test_an_option_of_the_other_method_is_refused_with_its_name():
    recipe = Recipe(epochs=1, batch_size=1)
    with pytest.raises(BadData, match="--method mixture"):
        SearchOptions.of(recipe, "paths", alpha_lr=0.1)
    with pytest.raises(BadData, match="no option magic"):
        SearchOptions.of(recipe, "paths", magic=1)
    with pytest.raises(BadData, match="method must be"):
        SearchOptions.of(recipe, "luck")


def test_a_class_with_one_sample_each_cannot_be_searched():
    split = echoes(2)
    with pytest.raises(BadData, match="held out"):
        search(split, SearchSpace(kernels=(3, 5)), "paths", epochs=1)


@pytest.mark.parametrize(
    ("method", "options", "knobs"),
    [
        ("paths", {}, "lower --batch-size, or narrow --kernels and --dilations"),
        (
            "mixture",
            {},
            "lower --batch-size, or add --weights shared, or narrow --kernels and --dilations",
        ),
        (
            "mixture",
            {"weights": "shared"},
            "lower --batch-size, or narrow --kernels and --dilations",
        ),
    ],
)
def test_out_of_memory_names_what_helps_there(monkeypatch, method, options, knobs):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Stepper, "__call__", full)
    with pytest.raises(TrainingFailed, match=f"^Out of memory; {knobs}$"):
        search(echoes(32), SearchSpace(kernels=(3, 5)), method, epochs=1, **options)
