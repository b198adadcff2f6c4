"""Losses against loops over samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.losses import LOSSES, Loss, binary_cross_entropy


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_cross_entropy_of_dense_labels_is_a_mean_over_labelled_positions():
    outputs, targets = numbers(3, 4, 5), torch.tensor([[0, 3, -1, -1, 2]] * 2 + [[-1] * 5])
    found = LOSSES["cross_entropy"](outputs, targets)
    for sample in range(2):
        each = [
            -math.log(torch.softmax(outputs[sample, :, at], 0)[targets[sample, at]])
            for at in (0, 1, 4)
        ]
        assert found[sample] == pytest.approx(sum(each) / 3)
    assert found[2] == 0
    point = LOSSES["cross_entropy"](outputs[:, :, 0], torch.tensor([0, 3, 1]))
    assert point[1] == pytest.approx(-math.log(torch.softmax(outputs[1, :, 0], 0)[3]))


def test_cross_entropy_refuses_numbers():
    with pytest.raises(TypeError):
        LOSSES["cross_entropy"](numbers(3, 2), numbers(3, 2))


@pytest.mark.parametrize("weight", [1.0, 10.0])
def test_a_positive_label_counts_as_often_as_it_is_told(weight):
    outputs, targets = numbers(4, 3), (numbers(4, 3, seed=1) > 0).float()
    found = binary_cross_entropy(weight)(outputs, targets)
    for sample in range(4):
        each = []
        for o, y in zip(outputs[sample].tolist(), targets[sample].tolist(), strict=True):
            p = 1 / (1 + math.exp(-o))
            each.append(-weight * y * math.log(p) - (1 - y) * math.log(1 - p))
        assert found[sample] == pytest.approx(sum(each) / 3, rel=1e-6)


@pytest.mark.parametrize("shape", [(4, 2), (4, 2, 5), (4, 1, 3, 6)])
def test_losses_of_numbers(shape):
    outputs, targets = numbers(*shape), numbers(*shape, seed=1)
    targets[0] = 0
    for sample in range(4):
        o, y = outputs[sample].numpy().ravel(), targets[sample].numpy().ravel()
        norm = math.sqrt(sum(y * y)) or 1.0
        wanted = {
            "mse": sum((o - y) ** 2) / len(o),
            "mae": sum(abs(o - y)) / len(o),
            "relative_l2": math.sqrt(sum((o - y) ** 2)) / norm,
        }
        for name, value in wanted.items():
            assert LOSSES[name](outputs, targets)[sample] == pytest.approx(value)


def test_half_precision_outputs_are_compared_in_the_targets_precision():
    outputs, targets = numbers(2, 3).bfloat16(), numbers(2, 3, seed=1).float()
    assert LOSSES["mse"](outputs, targets).dtype == torch.float32


@pytest.mark.parametrize("of", [lambda o, y: (o - y).mean(), lambda o, y: 0.0])
def test_a_loss_of_ones_own_gives_a_number_a_sample(of):
    with pytest.raises(BadData, match=r"one number a sample, \[n\]"):
        Loss(name="mine:loss", of=of)(numbers(3, 1), numbers(3, 1))


def test_every_loss_has_a_gradient():
    classes, hot = torch.tensor([0, 1, 1]), torch.tensor(np.eye(3, 2), dtype=torch.float64)
    for name, loss in LOSSES.items():
        outputs = numbers(3, 2).requires_grad_()
        loss(outputs, classes if name == "cross_entropy" else hot).mean().backward()
        assert torch.isfinite(outputs.grad).all(), name
        assert outputs.grad.abs().sum() > 0, name
