"""State: taken and given back bit for bit, and refused by name where it lies."""

from __future__ import annotations

import copy
import json
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dashzoo_search.errors import BadBundle
from dashzoo_search.training import Recipe
from dashzoo_search.training.state import Randomness, give, take
from dashzoo_search.training.steps import Stepper, weight_optimizer
from dashzoo_search.training.tree import decode, encode, expect_like

CPU = torch.device("cpu")

shapes = st.lists(st.integers(0, 3), max_size=3)
tensors = st.builds(
    lambda shape, dtype, seed: (
        torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 100
    ).to(dtype),
    shapes,
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8]),
    st.integers(0, 9),
)
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False),
    st.text(max_size=5), tensors,
)  # fmt: skip
trees = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return isinstance(b, type(a)) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@given(tree=trees)
def test_a_tree_comes_back_bit_for_bit(tree, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "tree.safetensors"
    path.write_bytes(encode(tree))
    back = decode(path)
    assert same(back, tree)
    expect_like(back, tree, "")


def test_what_cannot_be_kept_is_refused():
    for tree in ({"a": object()}, {1: 2}, {"a": {"$tensor": "x"}}, {"a": {1, 2}}):
        with pytest.raises(TypeError):
            encode(tree)


def with_header(path, header, tensors=None):
    from safetensors.torch import save

    text = header if isinstance(header, str) else json.dumps(header)
    path.write_bytes(save(tensors or {}, metadata={"dashzoo": text}))
    return path


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("{", "damaged"),
        ("[" * 100_000, "damaged"),
        ([1], "holds no object"),
        ({"a": {"$tensor": "b"}}, "lacks tensor b"),
        ({"a": {"$tensor": ["b"]}}, "lacks tensor"),
        ({"a": {"$tensor": "x"}, "b": {"$tensor": "x"}}, "lacks tensor x"),
        ({"a": 1}, "unexpected tensor x"),
    ],
)
def test_a_blob_that_lies_is_refused(tmp_path, header, told):
    path = with_header(tmp_path / "x.safetensors", header, {"x": torch.ones(2)})
    with pytest.raises(BadBundle, match=told):
        decode(path)


@pytest.mark.parametrize("data", [b"", b"\x00" * 8, b"\xff" * 64, b"PK\x03\x04" * 20])
def test_a_blob_that_is_no_safetensors_is_refused(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BadBundle, match="damaged"):
        decode(tmp_path / "x")
    with pytest.raises(BadBundle, match="damaged"):
        decode(tmp_path / "none")


def trained(steps=3, seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    parameters = list(net.parameters())
    optimizer, schedule = weight_optimizer(parameters, Recipe(epochs=1, batch_size=8), 20)
    step = Stepper(net, parameters, optimizer, schedule)
    work(net, step, steps)
    return net, step


def work(net, step, steps):
    generator = torch.Generator().manual_seed(7)
    net.train()
    return [step(torch.randn(8, 4, generator=generator), torch.arange(8) % 3) for _ in range(steps)]


def through_disk(tree, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(encode(tree))
    return decode(tmp_path / "x.safetensors")


def test_a_network_and_its_stepper_go_on_bit_for_bit(tmp_path):
    net, step = trained()
    kept = through_disk({"net": take(net), "step": take(step)}, tmp_path)
    losses = work(net, step, 4)
    other, other_step = trained(steps=0, seed=1)
    give(other, kept["net"], "net")
    give(other_step, kept["step"], "step")
    assert work(other, other_step, 4) == losses
    assert same(take(other_step), take(step))
    for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


LIES = [
    (("net", "0.weight"), torch.zeros(5, 3), "net/0.weight has shape"),
    (("net", "0.weight"), torch.zeros(5, 4, dtype=torch.float64), "net/0.weight is torch.float64"),
    (("net", "0.weight"), 3, "net/0.weight is no tensor"),
    (("net", "0.weight"), None, "net/0.weight is missing"),
    (("net", "9.weight"), torch.zeros(1), "net/9.weight is unexpected"),
    (("step", "skipped"), "many", "step/skipped is 'many', no int"),
    (("step", "skipped"), None, "step/skipped is missing"),
    (("step", "optimizer"), [1], "step/optimizer is no object"),
    (("step", "optimizer", "state"), [1], "step/optimizer/state is no object"),
    (("step", "optimizer", "state", "77"), {}, "state/77 is unexpected"),
    (("step", "optimizer", "state", "x"), {}, "state/x is unexpected"),
    (("step", "optimizer", "state", "0", "exp_avg"), torch.zeros(9), "exp_avg has not"),
    (("step", "optimizer", "state", "0", "exp_avg"), None, "entries of different kinds"),
    (("step", "optimizer", "param_groups"), [], "param_groups is no list of 2"),
    (("step", "optimizer", "param_groups", 0, "lr"), "1", "param_groups/0/lr is '1'"),
    (("step", "schedule", "last_epoch"), "x", "last_epoch is 'x', no int"),
    (("step", "schedule", "optimizer"), "x", "schedule/optimizer is unexpected"),
]


@pytest.mark.parametrize(("path", "lie", "told"), LIES)
def test_a_state_that_lies_is_refused_by_name_and_changes_nothing(path, lie, told):
    net, step = trained()
    kept = {"net": copy.deepcopy(take(net)), "step": copy.deepcopy(take(step))}
    before = copy.deepcopy(kept)
    at = kept
    for key in path[:-1]:
        at = at[key]
    if lie is None:
        del at[path[-1]]
    else:
        at[path[-1]] = lie
    with pytest.raises(BadBundle, match=told):
        give(net if path[0] == "net" else step, kept[path[0]], path[0])
    assert same(dict(take(net)), dict(before["net"]))
    assert same(take(step), before["step"])


def test_all_global_generators_come_back(tmp_path):
    random.gauss(0, 1)  # leaves a second one in store
    np.random.standard_normal()
    kept = through_disk(Randomness(CPU).state_dict(), tmp_path)

    def draw():
        return [random.gauss(0, 1), random.random(), *np.random.standard_normal(3),
                *torch.rand(3).tolist()]  # fmt: skip

    first = draw()
    draw()
    give(Randomness(CPU), kept, "randomness")
    assert draw() == first
    kept["numpy"][1] = kept["numpy"][1][:5]
    with pytest.raises(BadBundle, match="randomness/numpy/1"):
        give(Randomness(CPU), kept, "randomness")
