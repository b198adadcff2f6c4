"""A small problem both methods are tried on."""

import numpy as np
import torch

from dashzoo_search.networks import SearchedNet
from dashzoo_search.search import SearchOptions, search_kernels
from dashzoo_search.supernet import build_supernet
from dashzoo_search.tasks import Split
from dashzoo_search.training import Recipe


def echoes(n=192, length=64, gap=12, seed=0):
    """Two spikes apart by ``gap`` (class 1) or ``gap`` / 2 (class 0), in noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = 0.1 * rng.standard_normal((n, 1, length))
    at = rng.integers(gap, length - gap, n)
    X[np.arange(n), 0, at] += 3
    X[np.arange(n), 0, at + np.where(y == 1, gap, gap // 2)] += 3
    return Split(X.astype(np.float32), y)


def search(split, space, method, *, epochs=12, builds=None, **options):
    torch.manual_seed(0)
    net = SearchedNet("wrn1d", dims=1, in_chans=1, num_classes=2, backbone_args={"width": 4})
    supernet = build_supernet(
        net, space, split.X.shape[2:], kind=method, weights=options.get("weights", "separate")
    )
    recipe = Recipe(epochs=epochs, batch_size=16, lr=1e-2)
    result = search_kernels(
        supernet,
        split,
        SearchOptions.of(recipe, method, **options),
        seed=0,
        generator=torch.Generator().manual_seed(0),
        builds=builds,
    )
    return supernet, result
