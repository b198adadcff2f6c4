"""fft_conv against torch's own convolutions."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops import fft_conv
from dashzoo_search.ops.fourier import fft_conv_taps
from dashzoo_search.ops.spectrum import make_plan
from dashzoo_search.ops.transforms import smooth_length

from .reference import CONVOLUTIONS, assert_close


@settings(max_examples=250, deadline=None)
@given(
    data=st.data(),
    dims=st.integers(1, 3),
    padding=st.one_of(st.integers(0, 6), st.just("valid"), st.just("same"), st.none()),
    groups=st.sampled_from((1, 2, 4)),
    batched=st.booleans(),
    seed=st.integers(0, 999),
)
def test_fft_conv_is_conv(
    data: st.DataObject, dims: int, padding: Any, groups: int, batched: bool, seed: int
) -> None:
    def sizes(high: int) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(1, high)) for _ in range(dims))

    kernel, dilation, stride = sizes(6 - dims), sizes(3), sizes(3)
    n = tuple(v + 2 for v in sizes((24, 12, 6)[dims - 1]))
    if padding is None:
        padding = tuple(v - 1 for v in sizes(4))
    if padding == "same":
        stride = (1,) * dims
    pads = {"same": 99, "valid": 0}.get(padding, padding) if isinstance(padding, str) else padding
    pads = (pads,) * dims if isinstance(pads, int) else pads
    spans = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    assume(all(v + 2 * p > span for v, p, span in zip(n, pads, spans, strict=True)))
    torch.manual_seed(seed)
    x = torch.randn(*(2,) * batched, 4, *n, dtype=torch.float64, requires_grad=True)
    w = torch.randn(8, 4 // groups, *kernel, dtype=torch.float64, requires_grad=True)
    b = torch.randn(8, dtype=torch.float64, requires_grad=True)
    got = fft_conv(x, w, b, stride, padding, dilation, groups)
    with warnings.catch_warnings():  # torch warns of the copy that an even kernel costs it
        warnings.simplefilter("ignore")
        expected = CONVOLUTIONS[dims](x, w, b, stride, padding, dilation, groups)
    assert got.shape == expected.shape
    slope = torch.randn_like(expected)
    assert_close(got, expected, 1e-10)
    for ours, theirs in zip(
        torch.autograd.grad(got, (x, w, b), slope),
        torch.autograd.grad(expected, (x, w, b), slope),
        strict=True,
    ):
        assert_close(ours, theirs, 1e-10)


def test_signature_is_that_of_conv() -> None:
    names = ["input", "weight", "bias", "stride", "padding", "dilation", "groups"]
    found = inspect.signature(fft_conv).parameters
    assert list(found) == names
    assert [p.default for p in found.values()][2:] == [None, 1, 0, 1, 1]


@pytest.mark.parametrize("shape", [(0, 2, 9), (3, 2, 9)])
def test_an_empty_batch(shape: tuple[int, ...]) -> None:
    x, w = torch.randn(*shape), torch.randn(4, 2, 3)
    assert fft_conv(x, w).shape == F.conv1d(x, w).shape


def test_one_number_may_stand_for_all_axes() -> None:
    x, w = torch.randn(1, 2, 9, 9), torch.randn(4, 2, 3, 3)
    assert_close(fft_conv(x, w, stride=(2,), padding=[1]), F.conv2d(x, w, None, 2, 1), 1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_its_dtype(dtype: torch.dtype) -> None:
    x, w = torch.randn(1, 2, 30).to(dtype), torch.randn(4, 2, 3).to(dtype)
    got = fft_conv(x, w)
    assert got.dtype == dtype
    assert_close(got.float(), F.conv1d(x.float(), w.float()), 0.01)


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
    y = fft_conv_taps(x, taps, ((0,),), stride=(1,), out=(4,), start=(0,))
    assert y[0, 0, 1:].tolist() == [0, 0, 0]


def test_both_ways_to_the_spectrum_agree() -> None:
    few = make_plan(((-2,), (0,), (2,)), (9,), (0,), (9,))
    many = dataclasses.replace(few, by_matmul=not few.by_matmul)
    taps = torch.randn(3, 8, dtype=torch.float64)
    assert_close(few.spectrum(taps), many.spectrum(taps), 1e-12)


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
    refused: list[tuple[str, dict[str, Any]]] = [
        ("further", {"weight": torch.randn(1, 1, 7)}),
        ("do not fit", {"weight": w[None, None]}),
        ("do not fit", {"weight": w[0]}),
        ("do not fit with groups=1", {"weight": torch.randn(1, 2, 3)}),
        ("divide by groups=2", {"input": torch.randn(1, 2, 5), "groups": 2}),
        ("stride 1", {"stride": 2, "padding": "same"}),
        ("reflect", {"padding": "reflect"}),
        ("stride must be positive", {"stride": 0}),
        ("dilation must be positive", {"dilation": (1, 1)}),
        ("padding must be at least 0", {"padding": -1}),
        ("bias must have shape", {"bias": torch.randn(2)}),
        ("dtypes differ", {"weight": w.double()}),
    ]
    for told, changed in refused:
        arguments = {"input": x, "weight": w, **changed}
        with pytest.raises(ValueError, match=told):
            fft_conv(**arguments)
        with pytest.raises((RuntimeError, TypeError)):
            F.conv1d(**arguments)
    with pytest.raises(UnsupportedLayer, match="Complex"):
        fft_conv(x.cfloat(), w)
    with pytest.raises(UnsupportedLayer, match="int64"):
        fft_conv(x.long(), w.long())
    with pytest.raises(UnsupportedLayer, match="4 axes"):
        fft_conv(torch.randn(1, 1, 3, 3, 3, 3), torch.randn(1, 1, 1, 1, 1, 1))
