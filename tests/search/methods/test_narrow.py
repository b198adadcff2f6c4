"""Fewer choices and all of them again: what a layer computes is kept where it can be."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dashzoo_search.choice import Kernel
from dashzoo_search.methods.narrow import hand_over, narrow, stranded, widen
from dashzoo_search.ops import AggConv
from dashzoo_search.relax import RELAXATIONS, make_relaxation

SIZES = [(3, 1), (7, 1), (3, 2), (5, 2), (3, 3), (5, 3)]


def layer_of(dims=1, seed=0, relaxation="softmax", temperature=1.0, **how):
    torch.manual_seed(seed)
    choices = [Kernel((k,) * dims, (d,) * dims) for k, d in SIZES]
    layer = AggConv(2, 3, choices, **how).double()
    layer.relaxation = make_relaxation(relaxation, temperature)
    layer.alpha.data.normal_()
    return layer.eval()


def kernel(layer):
    """The aggregated kernel by offset, without those at which it is zero."""
    offsets, taps = layer.aggregated()
    pairs = zip(map(tuple, offsets.tolist()), taps.detach(), strict=True)
    return {o: t for o, t in pairs if t.any()}


@settings(max_examples=25)
@given(
    keep=st.sets(st.integers(0, 5), min_size=1),
    dims=st.sampled_from([1, 2]),
    relaxation=st.sampled_from(list(RELAXATIONS)),
    temperature=st.sampled_from([0.5, 1.0, 3.0]),
    seed=st.integers(0, 99),
)
def test_the_aggregate_is_kept_on_the_support_that_is_left(
    keep, dims, relaxation, temperature, seed
):
    layer = layer_of(dims, seed, relaxation, temperature)
    p = layer.coefficients().detach()
    if relaxation in ("straight_through", "sparsemax"):
        keep |= set((p > 0).nonzero().flatten().tolist())  # who computes nothing cannot take over
    keep = sorted(keep)
    before, lost = kernel(layer), stranded(layer, keep)
    alpha = layer.alpha[keep].detach().clone()
    narrow(layer, keep)
    after = kernel(layer)
    assert torch.equal(layer.alpha, alpha)
    support = set(layer.geometry.offsets)
    for offset, tap in before.items():
        if offset in support:
            torch.testing.assert_close(after[offset], tap)
    outside = sum(float(t.square().sum()) for o, t in before.items() if o not in support)
    whole = sum(float(t.square().sum()) for t in before.values())
    assert lost == pytest.approx(outside / whole, abs=1e-12)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("keep", [[2, 3], [4], [0, 1]])
def test_shared_taps_of_one_dilation_take_over(keep, dims):
    layer = layer_of(dims, weights="shared")
    before = kernel(layer)
    narrow(layer, keep)
    assert layer.weight.shape[0] == max(SIZES[i][0] for i in keep) ** dims
    after = kernel(layer)
    assert set(after) == set(before) & set(layer.geometry.offsets)
    for offset, tap in after.items():
        torch.testing.assert_close(tap, before[offset])


@settings(max_examples=20)
@given(keep=st.sets(st.integers(0, 5), min_size=1), seed=st.integers(0, 99))
def test_shared_taps_come_as_near_as_they_can(keep, seed):
    layer, keep = layer_of(seed=seed, weights="shared"), sorted(keep)
    before = kernel(layer)
    narrow(layer, keep)
    offsets, after = layer.aggregated()
    zero = torch.zeros_like(after[0])
    wanted = torch.stack([before.get(tuple(o), zero) for o in offsets.tolist()])
    distance = (after - wanted).square().sum()
    (slope,) = torch.autograd.grad(distance, layer.weight)
    assert slope.abs().max() < 1e-8


@pytest.mark.parametrize("relaxation", RELAXATIONS)
@pytest.mark.parametrize("temperature", [0.7, 1.0])
@pytest.mark.parametrize("weights", ["separate", "shared"])
def test_a_widened_layer_computes_the_same_as_a_plain_softmax(relaxation, temperature, weights):
    layer = layer_of(relaxation=relaxation, temperature=temperature, weights=weights).float()
    whole, x = layer.geometry, torch.randn(2, 2, 30)
    keep = [0, 1, 3, int(layer.alpha.argmax())]
    keep = sorted(set(keep) | set((layer.coefficients() > 0).nonzero().flatten().tolist()[:4]))
    narrow(layer, keep)
    with torch.no_grad():
        wanted = layer(x)
        widen(layer, whole, keep)
        torch.testing.assert_close(layer(x), wanted, atol=1e-5, rtol=1e-5)
        fresh = AggConv(2, 3, whole.choices, weights=weights).eval()
        fresh.load_state_dict(layer.state_dict())  # as a supernet that is read from disk
        torch.testing.assert_close(fresh(x), wanted, atol=1e-5, rtol=1e-5)
    for index in set(range(6)) - set(keep):
        assert layer.coefficients()[index] == 0
        assert weights == "shared" or not layer.choice_weight(index).any()


def test_a_layer_of_one_choice_is_the_convolution_it_was_restricted_to():
    layer = layer_of(dims=2)
    wanted = layer.restricted(3).detach()
    narrow(layer, [3])
    torch.testing.assert_close(layer.choice_weight(0), wanted)


def test_gradients_flow_and_the_cheapest_path_is_found_anew():
    layer = layer_of().float().train()
    x = torch.randn(4, 2, 400)
    layer(x).sum().backward()
    layer.zero_grad()
    narrow(layer, [0, 2])
    reference = AggConv(2, 3, layer.choices, strategy="mixed_results")
    reference.load_state_dict(layer.state_dict())
    y = layer(x)
    torch.testing.assert_close(y, reference(x), atol=1e-4, rtol=1e-4)
    y.square().sum().backward()
    reference(x).square().sum().backward()
    for p, q in zip(layer.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, atol=1e-2, rtol=1e-3)


def test_moments_go_with_their_rows_and_others_are_left_alone():
    layer, other = layer_of(bias=True), torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    parameters = [other, *layer.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in parameters if p.ndim > 1]},
         {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0}],
        lr=0.1,
    )  # fmt: skip
    (layer(torch.randn(2, 2, 30).double()).square().sum() + other.sum()).backward()
    optimizer.step()
    rows = [*range(3, 10), *range(13, 18)]  # those of choices 1 and 3
    state = {name: dict(optimizer.state[p]) for name, p in layer.named_parameters()}
    hand_over(optimizer, parameters, narrow(layer, [1, 3]))
    assert {id(p) for p in parameters} == {id(p) for p in [other, *layer.parameters()]}
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in parameters} == set(map(id, optimizer.state))
    for key in ("exp_avg", "exp_avg_sq"):
        assert torch.equal(optimizer.state[layer.weight][key], state["weight"][key][rows])
        assert torch.equal(optimizer.state[layer.alpha][key], state["alpha"][key][[1, 3]])
        assert optimizer.state[layer.bias][key] is state["bias"][key]
    assert optimizer.state[layer.weight]["step"] == 1
    optimizer.zero_grad()
    layer(torch.randn(2, 2, 30).double()).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("keep", [[], [2, 1], [1, 1], [0, 6], [-1]])
def test_what_cannot_be_kept_is_refused(keep):
    with pytest.raises(ValueError, match="cannot keep"):
        narrow(layer_of(), keep)
