"""Choices, spaces and specs: round trips, and every bad field named."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashzoo_search.errors import BadSpace, BadSpec
from dashzoo_search.spec import SPEC_VERSION, Choice, KernelSpec, SearchSpace

HUGE = 10**5000  # more digits than Python prints
ENORMOUS = pytest.param(HUGE, id="huge")

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}(\.[A-Za-z0-9_]{1,8}){0,3}", fullmatch=True)
odd = st.integers(0, 2047).map(lambda half: 2 * half + 1)
dilations = st.integers(1, 4096)


def choices(dims: int):
    axes = {"min_size": dims, "max_size": dims}
    return st.builds(
        Choice, st.lists(odd, **axes).map(tuple), st.lists(dilations, **axes).map(tuple)
    )


specs = st.sampled_from([1, 2]).flatmap(
    lambda dims: st.builds(
        KernelSpec,
        dims=st.just(dims),
        layers=st.dictionaries(names, choices(dims), max_size=4),
    )
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def spec_json(**changes):
    value = {
        "spec_version": SPEC_VERSION,
        "dims": 1,
        "layers": {"blocks.0.conv1": {"kernel": 7, "dilation": 3}},
    }
    return {**value, **changes}


class TestKernelSpec:
    @settings(max_examples=50)
    @given(specs)
    def test_round_trip(self, spec):
        assert KernelSpec.from_json(spec.to_json()) == spec
        assert KernelSpec.from_json(json.dumps(spec.to_json())) == spec
        assert KernelSpec.from_json(json.dumps(spec.to_json()).encode()) == spec

    def test_copies_and_pickles(self):
        spec = KernelSpec.from_json(spec_json())
        assert copy.deepcopy(spec) == spec
        assert pickle.loads(pickle.dumps(spec)) == spec

    def test_json_is_small_where_the_axes_agree(self):
        layers = {"a": Choice((3, 3), (2, 2)), "b": Choice((3, 5), (1, 1))}
        assert KernelSpec(dims=2, layers=layers).to_json()["layers"] == {
            "a": {"kernel": 3, "dilation": 2},
            "b": {"kernel": [3, 5], "dilation": 1},
        }

    @pytest.mark.parametrize("version", [None, 0, 2, "1", 1.0, True, [1], ENORMOUS])
    def test_version(self, version):
        with pytest.raises(BadSpec, match="version") as caught:
            KernelSpec.from_json(spec_json(spec_version=version))
        assert caught.value.field == "spec_version"

    @pytest.mark.parametrize("dims", [None, 0, 3, -1, "1", 1.0, 2.0, True, [1], {}, ENORMOUS])
    def test_dims(self, dims):
        with pytest.raises(BadSpec) as caught:
            KernelSpec.from_json(spec_json(dims=dims))
        assert caught.value.field == "dims"
        with pytest.raises(BadSpec):
            KernelSpec(dims=dims, layers={})

    @pytest.mark.parametrize(
        ("layers", "field"),
        [
            (None, "layers"),
            ([], "layers"),
            ("conv1", "layers"),
            ({"": {"kernel": 3, "dilation": 1}}, "layers"),
            ({"a b": {"kernel": 3, "dilation": 1}}, "layers"),
            ({"a..b": {"kernel": 3, "dilation": 1}}, "layers"),
            ({"__import__('os')": {"kernel": 3, "dilation": 1}}, "layers"),
            ({"a\n": {"kernel": 3, "dilation": 1}}, "layers"),
            ({"a" * 600: {"kernel": 3, "dilation": 1}}, "layers"),
            ({"a": None}, "layers.a"),
            ({"a": []}, "layers.a"),
            ({"a": {"kernel": 3}}, "layers.a"),
            ({"a": {"kernel": 3, "dilation": 1, "stride": 2}}, "layers.a"),
            ({"a": {"kernel": 4, "dilation": 1}}, "layers.a.kernel"),
            ({"a": {"kernel": 0, "dilation": 1}}, "layers.a.kernel"),
            ({"a": {"kernel": -3, "dilation": 1}}, "layers.a.kernel"),
            ({"a": {"kernel": 4097, "dilation": 1}}, "layers.a.kernel"),
            ({"a": {"kernel": HUGE + 1, "dilation": 1}}, "layers.a.kernel"),
            ({"a": {"kernel": True, "dilation": 1}}, "layers.a.kernel"),
            ({"a": {"kernel": 3.0, "dilation": 1}}, "layers.a.kernel"),
            ({"a": {"kernel": "3", "dilation": 1}}, "layers.a.kernel"),
            ({"a": {"kernel": None, "dilation": 1}}, "layers.a.kernel"),
            ({"a": {"kernel": [], "dilation": 1}}, "layers.a.kernel"),
            ({"a": {"kernel": [3, 3], "dilation": 1}}, "layers.a.kernel"),
            ({"a": {"kernel": [[3]], "dilation": 1}}, "layers.a.kernel"),
            ({"a": {"kernel": {"3": 3}, "dilation": 1}}, "layers.a.kernel"),
            ({"a": {"kernel": 3, "dilation": 0}}, "layers.a.dilation"),
            ({"a": {"kernel": 3, "dilation": 4097}}, "layers.a.dilation"),
            ({"a": {"kernel": 3, "dilation": False}}, "layers.a.dilation"),
            ({"a": {"kernel": 3, "dilation": float("nan")}}, "layers.a.dilation"),
        ],
    )
    def test_layers(self, layers, field):
        with pytest.raises(BadSpec) as caught:
            KernelSpec.from_json(spec_json(layers=layers))
        assert caught.value.field == field
        assert len(str(caught.value)) < 300

    def test_long_values_are_not_repeated_in_the_message(self):
        layers = {"a": {"kernel": [["x" * 10_000]], "dilation": 1}}
        with pytest.raises(BadSpec) as caught:
            KernelSpec.from_json(spec_json(layers=layers))
        assert len(str(caught.value)) < 200

    def test_a_million_layers(self):
        one = {"kernel": 3, "dilation": 1}
        with pytest.raises(BadSpec, match="1000000 layers") as caught:
            KernelSpec.from_json(spec_json(layers={f"l{i}": one for i in range(1_000_000)}))
        assert caught.value.field == "layers"

    @pytest.mark.parametrize("value", [None, [], 3, "", "{", b"\xff", "[]", "[" * 100_000])
    def test_no_object(self, value):
        with pytest.raises(BadSpec):
            KernelSpec.from_json(value)

    def test_unknown_field(self):
        with pytest.raises(BadSpec, match="strides") as caught:
            KernelSpec.from_json(spec_json(strides={}))
        assert caught.value.field == "strides"

    @given(anything, st.sampled_from(["spec_version", "dims", "layers", "new", "", None]))
    def test_never_another_error(self, value, field):
        hostile = value if field is None else spec_json(**{field: value})
        with contextlib.suppress(BadSpec):
            KernelSpec.from_json(hostile)

    @given(anything, st.sampled_from(["kernel", "dilation", None]))
    def test_never_another_error_in_a_layer(self, value, field):
        layer = value if field is None else {"kernel": 3, "dilation": 1, field: value}
        with contextlib.suppress(BadSpec):
            KernelSpec.from_json(spec_json(layers={"a": layer}))

    def test_a_spec_is_frozen_and_keeps_no_tie_to_its_source(self):
        source = {"a": Choice.cube(3, 1, dims=1)}
        spec = KernelSpec(dims=1, layers=source)
        source["b"] = source["a"]
        assert set(spec.layers) == {"a"}
        with pytest.raises(dataclasses.FrozenInstanceError):
            spec.layers = source

    def test_a_choice_of_other_dims(self):
        with pytest.raises(BadSpec) as caught:
            KernelSpec(dims=2, layers={"a": Choice.cube(3, 1, dims=1)})
        assert caught.value.field == "layers.a"


class TestChoice:
    @given(choices(2))
    def test_geometry(self, choice):
        for k, d, extent, pad in zip(
            choice.kernel, choice.dilation, choice.extent, choice.padding, strict=True
        ):
            offsets = [d * (j - (k - 1) // 2) for j in range(k)]
            assert extent == offsets[-1] - offsets[0] + 1
            assert pad == offsets[-1] == -offsets[0]

    @pytest.mark.parametrize(
        ("kernel", "dilation"),
        [((), ()), ((3,), (1, 1)), ((2,), (1,)), ((3.0,), (1,)), ((3,), (0,)), ((True,), (1,))],
    )
    def test_refused(self, kernel, dilation):
        with pytest.raises(BadSpec):
            Choice(kernel, dilation)

    def test_told(self):
        assert str(Choice.cube(7, 3, dims=2)) == "k7 d3"
        assert str(Choice((3, 5), (1, 2))) == "k3×5 d1×2"


class TestSearchSpace:
    @given(st.lists(odd, min_size=1, max_size=5), st.lists(dilations, min_size=1, max_size=5))
    def test_round_trip(self, kernels, spread):
        space = SearchSpace(kernels=tuple(kernels), dilations=tuple(spread))
        assert SearchSpace.from_json(json.loads(json.dumps(space.to_json()))) == space
        assert list(space.kernels) == sorted(set(kernels))
        assert len(set(space.choices(dims=2))) == len(space.choices(dims=2))

    @pytest.mark.parametrize(
        ("kernels", "dilations", "told"),
        [
            ((), (1,), "kernels is empty"),
            ((3,), (), "dilations is empty"),
            ((4,), (1,), "4 is even; use odd sizes, such as 3 or 5"),
            ((2,), (1,), "2 is even; use odd sizes, such as 3"),
            ((0,), (1,), "0 in kernels"),
            ((-3,), (1,), "-3 in kernels"),
            ((3.0,), (1,), "3.0 in kernels"),
            ((True,), (1,), "True in kernels"),
            (("3",), (1,), "'3' in kernels"),
            ("357", (1,), "'3' in kernels"),
            ((None,), (1,), "None in kernels"),
            (5, (1,), "kernels must be a set"),
            (None, (1,), "kernels must be a set"),
            ((3,), 1, "dilations must be a set"),
            ((3,), (-1,), "-1 in dilations"),
            ((4097,), (1,), "4097 in kernels is above the limit"),
            ((3,), (4097,), "4097 in dilations is above the limit"),
            pytest.param((HUGE + 1,), (1,), "an enormous int in kernels", id="huge kernel"),
            pytest.param((3,), (HUGE,), "an enormous int in dilations", id="huge dilation"),
        ],
    )
    def test_refused(self, kernels, dilations, told):
        with pytest.raises(BadSpace) as caught:
            SearchSpace(kernels=kernels, dilations=dilations)
        assert told in str(caught.value)

    def test_numpy_integers_become_plain(self):
        space = SearchSpace(kernels=np.arange(3, 8, 2), dilations=np.array([2, 1]))
        assert json.dumps(space.to_json()) == '{"kernels": [3, 5, 7], "dilations": [1, 2]}'
        with pytest.raises(BadSpace):
            SearchSpace(kernels=np.array([True]))

    @pytest.mark.parametrize(
        "value",
        [
            None,
            [],
            {},
            {"kernels": [3]},
            {"kernels": 3, "dilations": [1]},
            {"kernels": [3], "dilations": [1], "strides": [1]},
        ],
    )
    def test_foreign_json(self, value):
        with pytest.raises(BadSpace):
            SearchSpace.from_json(value)

    @pytest.mark.parametrize(
        ("kernels", "dilations", "size", "told"),
        [
            ((3, 21), (1,), (10,), "Kernel size 21"),
            ((3, 11), (2, 1), (5,), "Kernel size 11"),
            ((3, 5), (1, 10), (10,), "Dilation 10"),
            ((5,), (1, 5), (10,), "Dilation 5"),
            ((3, 19), (1,), (100, 9), "Kernel size 19"),
        ],
    )
    def test_wider_than_sense(self, kernels, dilations, size, told):
        with pytest.raises(BadSpace, match=told):
            SearchSpace(kernels=kernels, dilations=dilations).check_against(size)

    def test_wide_together_is_no_fault(self):
        SearchSpace(kernels=(3, 19), dilations=(1, 9)).check_against((10,))

    @given(
        st.lists(odd.filter(lambda k: k < 40), min_size=1, max_size=4),
        st.lists(st.integers(1, 20), min_size=1, max_size=4),
        st.lists(st.integers(1, 50), min_size=1, max_size=2),
    )
    def test_fitting(self, kernels, spread, size):
        space = SearchSpace(kernels=tuple(kernels), dilations=tuple(spread))
        fitting = set(space.fitting(size))
        for choice in space.choices(dims=len(size)):
            reaches = all(pad <= n - 1 for pad, n in zip(choice.padding, size, strict=True))
            assert (choice in fitting) == reaches
