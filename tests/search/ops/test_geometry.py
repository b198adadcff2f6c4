"""Geometry of taps, and the dense lattice around them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dashzoo_search.ops.direct import lattice
from dashzoo_search.ops.geometry import Geometry
from dashzoo_search.ops.taps import support
from dashzoo_search.spec import Choice, SearchSpace


def test_the_counts_of_the_widest_published_space() -> None:
    space = SearchSpace(kernels=range(3, 17, 2), dilations=[2**c - 1 for c in range(1, 8)])  # type: ignore[arg-type]
    geometry = Geometry.of(space.choices(dims=1))
    assert (len(geometry.choices), geometry.slots, len(geometry.offsets)) == (49, 441, 89)


@given(
    st.lists(
        st.builds(
            Choice,
            st.tuples(*[st.sampled_from((1, 3, 5))] * 2),
            st.tuples(*[st.integers(1, 6)] * 2),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_offsets_are_sorted_symmetric_and_complete(choices: list[Choice]) -> None:
    geometry = Geometry.of(choices)
    offsets = geometry.offsets
    assert list(offsets) == sorted(set(offsets))
    assert [tuple(-o for o in offset) for offset in reversed(offsets)] == list(offsets)
    for index, choice in enumerate(choices):
        slots = geometry.slot_offset[geometry.slice(index)]
        assert tuple(offsets[t] for t in slots) == support(choice)
        assert set(geometry.slot_choice[geometry.slice(index)]) == {index}


def test_a_lone_choice_is_its_own_lattice() -> None:
    choice = Choice((1, 7), (1, 3))
    grid = lattice(support(choice))
    assert (grid.kernel, grid.dilation, grid.dense) == ((1, 7), (1, 3), True)
