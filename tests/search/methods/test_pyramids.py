"""Dilations in order of depth, whatever each layer's plane leaves of them."""

from __future__ import annotations

import pytest

from dashzoo_search.choice import Choice
from dashzoo_search.methods.pyramids import pyramids


def grid(kernels, dilations, dims=1):
    return tuple(Choice.cube(k, d, dims=dims) for k in kernels for d in dilations)


@pytest.mark.parametrize("dims", [1, 2])
def test_dilations_grow_and_shrink_evenly_with_depth(dims):
    layers = {str(i): grid((3, 5, 7, 9), (1, 3, 7), dims) for i in range(6)}
    found = pyramids(layers)
    for name, wanted in (("growing", (1, 1, 3, 3, 7, 7)), ("shrinking", (7, 7, 3, 3, 1, 1))):
        assert tuple(found[name]) == tuple(layers)
        assert [c.dilation[0] for c in found[name].values()] == list(wanted)
        assert {c.kernel for c in found[name].values()} == {(7,) * dims}


def test_a_layer_without_the_choice_gets_the_farthest_it_has_of_that_size():
    small = grid((3, 5), (1,))
    layers = {"a": grid((3, 5, 7), (1, 3, 7)), "b": grid((3, 5, 7), (1, 3)), "c": small}
    assert [str(c) for c in pyramids(layers)["growing"].values()] == ["k5 d1", "k5 d3", "k5 d1"]
    only = {"a": layers["a"], "b": (Choice.cube(9, 1, dims=1),)}
    assert [str(c) for c in pyramids(only)["growing"].values()] == ["k5 d1", "k9 d1"]


def test_a_kernel_that_only_the_backbone_has_is_none_of_the_sizes():
    own = Choice.cube(25, 1, dims=1)
    layers = {name: (own, *grid((3, 5, 7), (1, 3))) for name in "ab"}
    assert [str(c) for c in pyramids(layers)["growing"].values()] == ["k5 d1", "k5 d3"]


def test_of_one_dilation_there_are_none():
    assert pyramids({"a": grid((3, 5), (1,))}) == {}
