"""AggConv's state: selecting a choice, reading and writing weights, chance, buffers."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from dashzoo_search.ops import AggConv
from dashzoo_search.ops.aggconv import STRATEGIES
from dashzoo_search.relax import GumbelSoftmax
from dashzoo_search.spec import SearchSpace

from .reference import assert_close, layer_of

SPACE = SearchSpace(kernels=(3, 7), dilations=(1, 3))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("weight", ["choice", "aggregate"])
def test_selected_is_one_plain_convolution(strategy: str, weight: str) -> None:
    torch.manual_seed(0)
    layer = layer_of(SPACE.choices(dims=2), 3, 5, stride=2, strategy=strategy, dtype=torch.float64)
    index, choice = 2, layer.choices[2]
    kernel = layer.restricted(index) if weight == "aggregate" else layer.choice_weight(index)
    kernel = kernel.detach().clone()
    layer.select(index, weight=weight)  # type: ignore[arg-type]
    assert layer.selected == index
    assert layer.coefficients().tolist() == [0, 0, 1, 0]
    x = torch.randn(2, 3, 15, 14, dtype=torch.float64)
    expected = F.conv2d(x, kernel, layer.bias, 2, choice.padding, choice.dilation)
    assert_close(layer(x), expected, 1e-10)
    assert_close(layer.restricted(index), kernel, 1e-12)

    twin = AggConv(3, 5, layer.choices, stride=2, strategy=strategy, dtype=torch.float64)
    assert twin.selected is None
    twin.load_state_dict(layer.state_dict())
    assert twin.selected == index
    assert torch.equal(twin(x), layer(x))
    assert copy.deepcopy(layer).selected == index


def test_selection_follows_a_write_in_place() -> None:
    layer, other = (AggConv(1, 1, SPACE.choices(dims=1)) for _ in range(2))
    assert layer.selected is None
    other.select(1)
    for name, buffer in layer.state_dict().items():  # as an average of models does
        buffer.copy_(other.state_dict()[name])
    assert layer.selected == 1


def test_state_holds_parameters_and_the_selection_only() -> None:
    layer = AggConv(2, 2, SPACE.choices(dims=1))
    layer(torch.randn(1, 2, 30))
    assert set(layer.state_dict()) == {"weight", "alpha", "bias", "picked"}
    assert layer.alpha.count_nonzero() == 0
    assert "4 choices" in repr(layer)


def test_aggregated_kernel_is_the_sum_of_dilated_kernels() -> None:
    layer = layer_of(SPACE.choices(dims=1), 2, 3)
    offsets, taps = layer.aggregated()
    assert offsets.dtype == torch.int64
    dense = torch.zeros(3, 2, 19)
    for a, c, i in zip(layer.coefficients(), layer.choices, range(4), strict=True):
        dense[..., 9 - c.padding[0] : 10 + c.padding[0] : c.dilation[0]] += (
            a * layer.choice_weight(i)
        ).detach()
    assert_close(taps.detach().movedim(0, -1), dense[..., offsets[:, 0] + 9], 1e-6)


def test_weights_start_as_torch_starts_them() -> None:
    torch.manual_seed(0)
    layer = AggConv(64, 64, SPACE.choices(dims=1))
    for index, choice in enumerate(layer.choices):
        plain = torch.nn.Conv1d(64, 64, choice.kernel[0]).weight
        ours = layer.choice_weight(index)
        assert ours.shape == plain.shape
        assert ours.std().item() == pytest.approx(plain.std().item(), rel=0.05)


def test_choice_weight_round_trip() -> None:
    layer = AggConv(2, 3, SPACE.choices(dims=2))
    kernel = torch.randn(3, 2, 7, 7)
    layer.set_choice_weight(3, kernel)
    assert torch.equal(layer.choice_weight(3), kernel)
    with pytest.raises(ValueError, match="size"):
        layer.set_choice_weight(0, kernel)


def test_noise_only_while_training() -> None:
    relaxation = GumbelSoftmax(generator=torch.Generator().manual_seed(0))
    layer = AggConv(1, 1, SPACE.choices(dims=1), relaxation=relaxation)
    assert not torch.equal(layer.coefficients(), layer.coefficients())
    layer.eval()
    assert torch.equal(layer.coefficients(), torch.full((4,), 0.25))
    layer.train().select(0, weight="aggregate")
    assert relaxation.training


def test_second_call_in_training_after_inference_mode() -> None:
    layer = layer_of(SPACE.choices(dims=1), 2, 2, strategy="fourier")
    x = torch.randn(1, 2, 37)
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()
