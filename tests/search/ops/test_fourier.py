"""fft_conv against torch's own convolutions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops import fft_conv
from dashzoo_search.ops.fourier import fft_conv_taps
from dashzoo_search.ops.spectrum import make_plan, smooth_length

from .reference import CONVOLUTIONS, assert_close


@settings(max_examples=150, deadline=None)
@given(
    dims=st.integers(1, 2),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    padding=st.one_of(st.integers(0, 6), st.just("valid"), st.just("same")),
    groups=st.sampled_from((1, 2)),
    n=st.integers(1, 24),
    seed=st.integers(0, 999),
)
def test_fft_conv_is_conv(
    dims: int,
    kernel: int,
    stride: int,
    dilation: int,
    padding: int | str,
    groups: int,
    n: int,
    seed: int,
) -> None:
    if padding == "same":
        stride = 1
        assume(kernel % 2)
    total = n + (2 * padding if isinstance(padding, int) else 0)
    assume(padding == "same" or total > dilation * (kernel - 1))
    torch.manual_seed(seed)
    x = torch.randn(2, 4, *range(n, n + dims), dtype=torch.float64, requires_grad=True)
    size = [kernel] * dims
    w = torch.randn(6, 4 // groups, *size, dtype=torch.float64, requires_grad=True)
    b = torch.randn(6, dtype=torch.float64, requires_grad=True)
    got = fft_conv(x, w, b, stride, padding, dilation, groups)  # type: ignore[arg-type]
    expected = CONVOLUTIONS[dims](x, w, b, stride, padding, dilation, groups)  # type: ignore[operator]
    assert got.shape == expected.shape
    slope = torch.randn_like(expected)
    assert_close(got, expected, 1e-10)
    for ours, theirs in zip(
        torch.autograd.grad(got, (x, w, b), slope),
        torch.autograd.grad(expected, (x, w, b), slope),
        strict=True,
    ):
        assert_close(ours, theirs, 1e-10)


@pytest.mark.parametrize("kernel", [41, 1601])
def test_many_and_few_taps_agree_with_conv(kernel: int) -> None:
    torch.manual_seed(0)
    x, w = torch.randn(2, 3, 900), torch.randn(4, 3, kernel)
    assert_close(fft_conv(x, w, padding="same"), F.conv1d(x, w, padding="same"), 1e-5)


def test_outputs_that_no_tap_reaches_are_the_bias() -> None:
    x, w, b = torch.randn(1, 1, 1), torch.randn(1, 1, 2), torch.ones(1)
    got = fft_conv(x, w, b, padding=3, dilation=4)
    assert torch.equal(got, F.conv1d(x, w, b, padding=3, dilation=4))
    taps = torch.ones(1, 1, 1)
    assert fft_conv_taps(x, taps, ((0,),), out=(4,))[0, 0, 1:].tolist() == [0, 0, 0]


def test_both_ways_to_the_spectrum_agree() -> None:
    few = make_plan(((-2,), (0,), (2,)), (9,), (9,))
    many = type(few)(few.offsets, few.length, few.out, by_matmul=not few.by_matmul)
    taps = torch.randn(3, 4, 2, dtype=torch.float64)
    assert_close(few.spectrum(taps), many.spectrum(taps), 1e-12)
    slope = torch.randn(few.frequencies, 4, 2, dtype=torch.complex128)
    assert_close(few.adjoint(slope), many.adjoint(slope), 1e-12)


@given(st.integers(1, 100_000))
def test_transform_lengths_are_even_smooth_and_close(least: int) -> None:
    size = smooth_length(least)
    assert least <= size <= max(2, 1.2 * least + 2)
    assert size % 2 == 0
    for prime in (2, 3, 5):
        while size % prime == 0:
            size //= prime
    assert size == 1


def test_refusals() -> None:
    x, w = torch.randn(1, 1, 5), torch.randn(1, 1, 3)
    with pytest.raises(ValueError, match="further"):
        fft_conv(x, torch.randn(1, 1, 7))
    with pytest.raises(ValueError, match="do not fit"):
        fft_conv(x, w[0])
    with pytest.raises(ValueError, match="stride 1"):
        fft_conv(x, w, stride=2, padding="same")
    with pytest.raises(ValueError, match="reflect"):
        fft_conv(x, w, padding="reflect")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedLayer, match="Complex"):
        fft_conv(x.cfloat(), w)
