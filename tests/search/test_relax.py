"""Relaxations: coefficients sum to one, noise only in training, generators are honoured."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dashzoo_search.relax import (
    RELAXATIONS,
    GumbelSoftmax,
    Softmax,
    Sparsemax,
    StraightThrough,
    make_relaxation,
    sparsemax,
)

LOGITS = st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=9)


@pytest.mark.parametrize("name", RELAXATIONS)
def test_coefficients_sum_to_one_and_carry_gradients(name: str) -> None:
    logits = 0.1 * torch.randn(5, generator=torch.Generator().manual_seed(0))
    coefficients = make_relaxation(name, 0.9)(logits.requires_grad_())
    assert coefficients.sum().item() == pytest.approx(1)
    assert coefficients.min() >= 0
    leader = int(coefficients.argmax())
    (slope,) = torch.autograd.grad(coefficients[leader], logits)
    assert slope[leader] > 0
    assert slope.sum().item() == pytest.approx(0, abs=1e-6)


def test_eval_is_deterministic() -> None:
    logits = torch.randn(5)
    assert torch.equal(GumbelSoftmax(0.1).eval()(logits), logits.softmax(0))
    assert torch.equal(Softmax(0.5).eval()(logits), (logits / 0.5).softmax(0))
    assert StraightThrough(0.5).eval()(logits).argmax() == logits.argmax()
    for name in RELAXATIONS:
        relaxation = make_relaxation(name, 0.7).eval()
        state = torch.get_rng_state()
        assert torch.equal(relaxation(logits), relaxation(logits))
        assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", [GumbelSoftmax, StraightThrough])
def test_noise_comes_from_the_generator(kind: type) -> None:
    logits = torch.zeros(60)
    draws = [kind(1, torch.Generator().manual_seed(3))(logits) for _ in range(2)]
    assert torch.equal(*draws)
    relaxation = kind(1, torch.Generator().manual_seed(3))
    state = torch.get_rng_state()
    assert not torch.equal(relaxation(logits), relaxation(logits))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", [GumbelSoftmax, StraightThrough])
def test_leaders_of_a_draw_follow_the_shares(kind: type) -> None:
    logits = torch.tensor([0.0, 1.0, 2.0])
    relaxation = kind(1, torch.Generator().manual_seed(0))
    leaders = torch.stack([relaxation(logits).argmax() for _ in range(3000)])
    shares = leaders.bincount(minlength=3) / 3000
    assert torch.allclose(shares, relaxation.shares(logits), atol=0.03)


def test_the_straight_through_gradient_is_that_of_the_draw_it_hides() -> None:
    logits = torch.randn(6, requires_grad=True)
    weights = torch.randn(6)
    slopes = []
    for kind in (GumbelSoftmax, StraightThrough):
        drawn = kind(0.7, torch.Generator().manual_seed(1))(logits)
        slopes.append(torch.autograd.grad(drawn @ weights, logits)[0])
    torch.testing.assert_close(*slopes)
    assert drawn.detach().sort().values.tolist() == [0, 0, 0, 0, 0, 1]


@given(LOGITS)
def test_sparsemax_is_the_nearest_point_of_the_simplex(values: list[float]) -> None:
    """By the optimality conditions: z − p is largest, and constant, on the support."""
    z = torch.tensor(values, dtype=torch.float64)
    p = sparsemax(z)
    assert p.min() >= 0
    assert p.sum().item() == pytest.approx(1)
    multiplier = (z - p)[p > 0]
    assert float(multiplier.max() - multiplier.min()) < 1e-9
    assert bool(((z - p)[p == 0] <= multiplier.max() + 1e-9).all())


@settings(max_examples=30)
@given(LOGITS, st.integers(0, 1000))
def test_sparsemax_has_the_jacobian_of_the_paper(values: list[float], seed: int) -> None:
    noise = torch.rand(len(values), generator=torch.Generator().manual_seed(seed))
    z = torch.tensor(values, dtype=torch.float64) + noise.double()  # no ties on the edge
    found = torch.autograd.functional.jacobian(sparsemax, z)
    s = (sparsemax(z) > 0).double()
    torch.testing.assert_close(found, s.diag() - torch.outer(s, s) / s.sum())


def test_sparsemax_is_sparse_and_its_temperature_decides_how() -> None:
    logits = torch.linspace(0, 2, 20)
    counts = [int((Sparsemax(t)(logits) > 0).sum()) for t in (0.1, 1.0, 10.0, 100.0)]
    assert counts == sorted(counts)
    assert counts[0] == 1
    assert counts[-1] == 20


@pytest.mark.parametrize("name", RELAXATIONS)
@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_temperature_is_positive(name: str, temperature: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        make_relaxation(name, temperature)
    assert "0.5" in repr(make_relaxation(name, 0.5))


def test_an_unknown_relaxation_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"softmax, gumbel.*'hope'"):
        make_relaxation("hope")
