"""Shared weights: one master kernel, dilated in frequency, and what selection means then."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from dashzoo_search.choice import Kernel
from dashzoo_search.ops import AggConv, paths
from dashzoo_search.ops.aggconv import STRATEGIES
from dashzoo_search.ops.geometry import Geometry
from dashzoo_search.ops.shared import response, sharing
from dashzoo_search.ops.spectrum import make_plan
from dashzoo_search.spec import Choice, SearchSpace

from .reference import (
    assert_close,
    assert_same,
    layer_of,
    one_convolution,
    sum_of_convolutions,
)

SPACE = SearchSpace(kernels=(3, 5, 9), dilations=(1, 2, 7))


def test_dilation_is_a_gather_in_frequency() -> None:
    """The identity itself, against an FFT of the dilated kernel laid out."""
    n, kernel = 60, torch.randn(9, dtype=torch.float64)
    plain = torch.fft.fft(F.pad(kernel, (0, n - 9)))
    for d in (1, 2, 5, 7):
        dilated = torch.zeros(n, dtype=torch.float64).index_add(0, d * torch.arange(9) % n, kernel)
        gathered = plain[d * torch.arange(n) % n]
        assert (torch.fft.fft(dilated) - gathered).abs().max() < 1e-12


@pytest.mark.parametrize("dims", [1, 2])
def test_the_response_is_the_spectrum_of_the_aggregated_taps(dims: int) -> None:
    torch.manual_seed(0)
    choices = [Choice((k, 3)[:dims], (d, 2)[:dims]) for k in (3, 5) for d in (1, 4)]
    layer = layer_of(choices, 2, 3, weights="shared", dtype=torch.float64)
    size = (17, 20)[:dims]
    shared = sharing(layer.geometry, size, wrap=False)
    assert shared is not None
    plan = make_plan(shared.offsets, size, (0,) * dims, size)
    mix = response(shared, shared.betas(layer.coefficients()), plan)
    _, taps = layer.aggregated()
    half = len(layer.weight) // 2
    flat, taps = layer.weight.detach().flatten(1), taps.detach()
    plus, minus = flat[half + 1 :], flat[:half].flip(0)
    real = mix[:, : half + 1] @ torch.cat((flat[half : half + 1], plus + minus))
    imaginary = mix[:, half + 1 :] @ (plus - minus)
    assert_close(torch.complex(real, imaginary), plan.spectrum(taps.flatten(1)), 1e-12)


def test_sizes_are_the_middle_of_the_master() -> None:
    layer = AggConv(2, 3, SPACE.choices(dims=1), weights="shared")
    whole = layer.choice_weight(6)
    assert whole.shape == (3, 2, 9)
    assert layer.weight.shape == (9, 3, 2)
    for index, choice in enumerate(layer.choices):
        cut = (9 - choice.kernel[0]) // 2
        assert torch.equal(layer.choice_weight(index), whole[..., cut : 9 - cut])


def test_causal_sizes_are_the_end_of_the_master() -> None:
    layer = AggConv(1, 1, SPACE.choices(dims=1), weights="shared", padding="causal")
    assert torch.equal(layer.choice_weight(0), layer.choice_weight(6)[..., 6:])


@pytest.mark.parametrize("size", list(itertools.product((1, 2, 3, 4, 5), repeat=2)))
def test_a_crop_of_any_parity_lies_within(size: tuple[int, int]) -> None:
    least, most = sorted(size)
    geometry = Geometry.of([Kernel((least,), (1,)), Kernel((most,), (1,))], shared=True)
    rows = geometry.rows_of(0)
    assert list(rows) == list(range(rows[0], rows[0] + least))
    assert rows[0] >= 0
    assert rows[-1] < most


def test_weights_start_as_torch_starts_the_smallest_kernel_with_the_tap() -> None:
    torch.manual_seed(0)
    layer = AggConv(64, 64, SPACE.choices(dims=1), weights="shared")
    for position, size in ((4, 3), (2, 5), (0, 9)):
        bound = (64 * size) ** -0.5
        assert layer.weight[position].abs().max().item() == pytest.approx(bound, rel=0.01)


def test_taps_that_no_choice_uses_are_zero() -> None:
    layer = AggConv(2, 2, [Kernel((3, 5), (1, 1)), Kernel((5, 3), (1, 1))], weights="shared")
    assert layer.weight.view(5, 5, 4)[0, 0].count_nonzero() == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_selecting_the_aggregate_computes_exactly_that(strategy: str) -> None:
    torch.manual_seed(0)
    for index in range(9):
        layer = layer_of(
            SPACE.choices(dims=1), 2, 3, weights="shared", strategy=strategy, dtype=torch.float64
        )
        kernel, choice = layer.restricted(index).detach(), layer.choices[index]
        layer.select(index, weight="aggregate")
        x = torch.randn(2, 2, 40, dtype=torch.float64)
        expected = F.conv1d(x, kernel, layer.bias, 1, choice.padding, choice.dilation)
        assert_close(layer(x), expected, 1e-10)
        assert_close(layer.restricted(index), kernel, 1e-12)


def test_selecting_a_choice_keeps_its_weight() -> None:
    layer = layer_of(SPACE.choices(dims=1), 2, 3, weights="shared", dtype=torch.float64)
    x = torch.randn(2, 2, 40, dtype=torch.float64)
    assert layer.bias is not None
    expected = one_convolution(layer, x, 4) + layer.bias[:, None]
    layer.select(4)
    assert_close(layer(x), expected, 1e-10)


def test_writing_one_choice_writes_the_master() -> None:
    layer = AggConv(2, 3, SPACE.choices(dims=1), weights="shared")
    kernel = torch.randn(3, 2, 5)
    layer.set_choice_weight(3, kernel)
    assert torch.equal(layer.choice_weight(3), kernel)
    assert torch.equal(layer.choice_weight(0), kernel[..., 1:4])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_wide_space_on_a_short_signal(strategy: str) -> None:
    torch.manual_seed(0)
    space = SearchSpace(kernels=(3, 9, 15), dilations=(1, 31, 127))
    layer = layer_of(
        space.choices(dims=1), 2, 2, weights="shared", strategy=strategy, dtype=torch.float64
    )
    for n in (1, 2, 30, 64, 200):
        x = torch.randn(2, 2, n, dtype=torch.float64)
        assert_close(layer(x), sum_of_convolutions(layer, x), 1e-10)


@pytest.mark.parametrize("worth", [-(10**18), 10**18])
@pytest.mark.parametrize("groups", [1, 4])
def test_gathered_in_frequency_or_summed_by_taps(
    monkeypatch: pytest.MonkeyPatch, worth: int, groups: int
) -> None:
    monkeypatch.setattr(paths, "WORTH_GATHERING", worth)
    called = []
    monkeypatch.setattr(paths, "response", lambda *given: called.append(1) or response(*given))
    torch.manual_seed(0)
    layer = layer_of(
        SPACE.choices(dims=1),
        4,
        4,
        groups=groups,
        weights="shared",
        strategy="fourier",
        dtype=torch.float64,
    )
    assert_same(layer, torch.randn(2, 4, 50, dtype=torch.float64), 1e-10)
    assert bool(called) is (worth < 0)
