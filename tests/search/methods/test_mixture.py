"""The mixture: α moves, a price makes kernels smaller, samples of every class are asked."""

import numpy as np
import pytest
import torch

from dashzoo_search.errors import BadData
from dashzoo_search.networks import SearchedNet
from dashzoo_search.search import SearchOptions, search_kernels
from dashzoo_search.spec import SearchSpace
from dashzoo_search.supernet import build_supernet
from dashzoo_search.training import Recipe

from .echoes import echoes, search


@pytest.mark.parametrize("alpha_on", ["heldout", "train"])
def test_alpha_moves_after_the_warm_up_and_the_loss_falls(alpha_on):
    seen = []
    torch.manual_seed(0)
    split = echoes()
    space = SearchSpace(kernels=(3, 5), dilations=(1, 6))
    net = SearchedNet("wrn1d", dims=1, in_chans=1, num_classes=2, backbone_args={"width": 4})
    supernet = build_supernet(net, space, (64,))
    result = search_kernels(
        supernet,
        split,
        SearchOptions.of(
            Recipe(epochs=8, batch_size=16, lr=1e-2), "mixture", alpha_on=alpha_on, warmup=0.5
        ),
        seed=0,
        generator=torch.Generator().manual_seed(0),
        on_epoch=lambda p: seen.append(p.loss),
    )
    assert seen[-1] < 0.7 * seen[0]
    first = result.history[3]["layers"]["blocks.0.conv1"]
    last = result.history[-1]["layers"]["blocks.0.conv1"]
    assert first == [0.25] * 4
    assert np.ptp(last) > 0.01
    assert sum(last) == pytest.approx(1, abs=1e-3)
    assert set(result.spec.layers) == set(supernet.layers)


def test_a_price_makes_kernels_smaller():
    space = SearchSpace(kernels=(3, 11), dilations=(1, 3))
    taps = {}
    for price in (0.0, 30.0):
        _, result = search(echoes(), space, "mixture", epochs=6, price=price, rule="argmax")
        taps[price] = sum(choice.taps for choice in result.spec.layers.values())
    assert taps[30.0] == 3 * 9
    assert taps[0.0] > taps[30.0]


def test_the_spec_is_derived_from_samples_of_every_class(monkeypatch):
    """Data sorted by class is common; the first samples of it are all alike."""
    from dashzoo_search.methods import deriving as room

    seen = []
    real = room.derive
    monkeypatch.setattr(room, "derive", lambda *a, **k: seen.append(a[2]) or real(*a, **k))
    split = echoes(400)
    split = split.take(np.argsort(split.y, kind="stable"))
    search(split, SearchSpace(kernels=(3, 5)), "mixture", epochs=1)
    (samples,) = seen
    held = {x.tobytes() for x in samples.numpy()}
    found = [sum(x.tobytes() in held for x in split.X[split.y == label]) for label in (0, 1)]
    assert sum(found) == len(samples) == room.DERIVE_SAMPLES
    assert abs(found[0] - found[1]) <= 1


@pytest.mark.parametrize(
    "options",
    [{"price": -1}, {"price": float("nan")}, {"alpha_lr": 0}, {"warmup": 1}, {"heldout": 0},
     {"explore": 2.0}, {"alpha_on": "test"}, {"rule": "magic"}, {"slack": 1.0},
     {"relaxation": "hope"}, {"temperature": 0.0}, {"temperature_end": float("inf")},
     {"shrink": 1.0}, {"dilations_at": -0.1}, {"settle": -1}, {"settle": True},
     {"weights": "borrowed"}],
)  # fmt: skip
def test_bad_options_are_refused(options):
    with pytest.raises(BadData):
        SearchOptions.of(Recipe(epochs=1, batch_size=1), "mixture", **options)
