"""Relaxations: coefficients sum to one, noise only in training, generators are honoured."""

from __future__ import annotations

import pytest
import torch

from dashzoo_search.relax import GumbelSoftmax, Softmax


@pytest.mark.parametrize("relaxation", [Softmax(0.5), GumbelSoftmax(0.5)])
def test_coefficients_sum_to_one_and_carry_gradients(relaxation: torch.nn.Module) -> None:
    logits = torch.randn(5, requires_grad=True)
    coefficients = relaxation(logits)
    assert coefficients.sum().item() == pytest.approx(1)
    (slope,) = torch.autograd.grad(coefficients[0], logits)
    assert slope[0] > 0


def test_eval_is_deterministic() -> None:
    logits = torch.randn(5)
    assert torch.equal(GumbelSoftmax(0.1).eval()(logits), logits.softmax(0))
    assert torch.equal(Softmax(0.5).eval()(logits), (logits / 0.5).softmax(0))


def test_noise_comes_from_the_generator() -> None:
    logits = torch.zeros(6)
    draws = [GumbelSoftmax(1, torch.Generator().manual_seed(3))(logits) for _ in range(2)]
    assert torch.equal(*draws)
    relaxation = GumbelSoftmax(1, torch.Generator().manual_seed(3))
    assert not torch.equal(relaxation(logits), relaxation(logits))


def test_leaders_of_a_draw_follow_the_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0])
    relaxation = GumbelSoftmax(1, torch.Generator().manual_seed(0))
    leaders = torch.stack([relaxation(logits).argmax() for _ in range(3000)])
    shares = leaders.bincount(minlength=3) / 3000
    assert torch.allclose(shares, logits.softmax(0), atol=0.03)


@pytest.mark.parametrize("kind", [Softmax, GumbelSoftmax])
@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_temperature_is_positive(kind: type, temperature: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        kind(temperature)
    assert "0.5" in repr(kind(0.5))
