"""A round small enough for a test."""

from __future__ import annotations

import pytest
import torch

from dashzoo_search.panel.round import Round
from dashzoo_search.plan import Network
from dashzoo_search.search import SearchOptions
from dashzoo_search.spec import SearchSpace
from dashzoo_search.tasks import load_task
from dashzoo_search.training.objective import Objective
from dashzoo_search.training.recipe import Recipe


@pytest.fixture
def make_round():
    """The round of a task, of one epoch, with whatever options."""

    def make(task, seed=0, **options):
        recipe = Recipe(epochs=1, batch_size=16)
        return Round(
            **{
                "task": task,
                "network": Network(backbone="wrn1d", args={"width": 2}),
                "space": SearchSpace(kernels=(3, 5), dilations=(1,)),
                "recipe": recipe,
                "options": SearchOptions.of(recipe),
                "objective": Objective.of(task),
                "draws": 2,
                "seed": seed,
                "device": torch.device("cpu"),
                **options,
            }
        )

    return make


@pytest.fixture
def rounds(make_round, sequence_file):
    """Of the seed to its round."""
    return lambda seed: make_round(load_task(str(sequence_file), seed=seed), seed)
