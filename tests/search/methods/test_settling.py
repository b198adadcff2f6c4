"""Settling: when a search has made up its mind."""

import pytest

from dashzoo_search.errors import BadBundle
from dashzoo_search.methods.settling import Settling
from dashzoo_search.spec import Choice, KernelSpec


def spec(kernel):
    return KernelSpec(dims=1, layers={"a": Choice.cube(kernel, 1, dims=1)})


def test_it_settles_when_the_spec_stayed_and_every_layer_has_a_leader():
    sure, unsure = {"a": [0.6, 0.4], "b": [0.1, 0.9]}, {"a": [0.6, 0.4], "b": [0.4, 0.4, 0.2]}
    settling = Settling(3)
    checks = [(3, sure), (5, sure), (5, sure), (5, unsure), (5, sure)]
    assert [settling.check(spec(k), shares) for k, shares in checks] == [False] * 4 + [True]
    settling.settle(7, spec(5), {"a": 0.25})
    assert not settling.looking
    twin = Settling(3)
    twin.load_state_dict(settling.state_dict())
    assert (twin.spec, twin.at, twin.lost) == (spec(5), 7, {"a": 0.25})
    assert not Settling(0).looking


@pytest.mark.parametrize(
    "change",
    [{"same": "2"}, {"at": 1.5}, {"at": 3, "spec": None}, {"spec": {}}, {"lost": {"a": 1}},
     {"more": 1}],
)  # fmt: skip
def test_a_damaged_state_of_settling_is_refused(change):
    settling = Settling(2)
    settling.check(spec(3), {"a": [1.0]})
    with pytest.raises(BadBundle):
        Settling(2).load_state_dict({**settling.state_dict(), **change})
