"""Butterflies and kaleidoscopes against dense matrices built factor by factor."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import hadamard
from torch import Tensor

from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops.butterfly import multiply
from dashzoo_search.ops.kaleidoscope import Kaleidoscope, bit_reversed

DTYPES = {torch.float32: 1e-6, torch.float64: 1e-12}


def dense(twiddle: Tensor, *, increasing: bool) -> Tensor:
    """The product from the definition, one 2×2 block at a time: [d, m, n/2, 2, 2] → [n, n]."""
    depth, levels, half = twiddle.shape[:3]
    product = torch.eye(2 * half, dtype=twiddle.dtype)
    for b in range(depth):
        order = list(range(levels))
        for s in order if increasing == (b % 2 == 0) else reversed(order):
            factor = torch.zeros(2 * half, 2 * half, dtype=twiddle.dtype)
            for p in range(half):
                q, r = divmod(p, 2**s)
                pair = torch.tensor([q * 2 ** (s + 1) + r, q * 2 ** (s + 1) + r + 2**s])
                factor[pair[:, None], pair] = twiddle[b, s, p]
            product = factor @ product
    return product


def distance(got: Tensor, wanted: Tensor) -> float:
    assert got.shape == wanted.shape
    got, wanted = got.detach(), wanted.detach()
    return float((got - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30))


def drawn(levels: int, depth: int, seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    shape = (depth, levels, 2 ** (levels - 1), 2, 2)
    return torch.randn(shape, dtype=torch.complex128, generator=chance)


@settings(max_examples=40, deadline=None)
@given(
    levels=st.integers(1, 6),
    depth=st.integers(1, 4),
    increasing=st.booleans(),
    vectors=st.integers(1, 5),
    real=st.booleans(),
    data=st.data(),
)
def test_it_is_the_product_of_its_factors(levels, depth, increasing, vectors, real, data) -> None:
    n = 2**levels
    given_rows, wanted_rows = (data.draw(st.integers(1, n)) for _ in range(2))
    twiddle = drawn(levels, depth)
    x = torch.randn(given_rows, vectors, dtype=torch.float64 if real else torch.complex128)
    matrix = dense(twiddle, increasing=increasing)
    wanted = (matrix[:, :given_rows] @ x.to(matrix.dtype))[:wanted_rows]
    got = multiply(twiddle, x, increasing=increasing, rows=wanted_rows)
    assert float((got - wanted).abs().max()) <= 1e-12 * float(matrix.abs().max()) * n
    single = multiply(
        twiddle.to(torch.complex64), x.to(torch.complex64), increasing=increasing, rows=wanted_rows
    )
    assert float((single - wanted).abs().max()) <= 1e-5 * float(matrix.abs().max()) * n


@pytest.mark.parametrize("levels", [1, 3, 5, 6])
@pytest.mark.parametrize(("depth", "increasing"), [(1, True), (2, False), (3, True), (4, False)])
def test_its_gradients_are_those_of_the_product(levels, depth, increasing) -> None:
    twiddle = drawn(levels, depth).requires_grad_()
    x = torch.randn(2**levels, 3, dtype=torch.complex128, requires_grad=True)
    slope = torch.randn_like(x)
    ours = torch.autograd.grad(multiply(twiddle, x, increasing=increasing), (twiddle, x), slope)
    wanted = torch.autograd.grad(dense(twiddle, increasing=increasing) @ x, (twiddle, x), slope)
    for got, right in zip(ours, wanted, strict=True):
        assert distance(got, right) < 1e-12


def test_second_derivatives() -> None:
    twiddle = (drawn(3, 2) / 2).requires_grad_()
    x = torch.randn(8, 2, dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda t, z: multiply(t, z), (twiddle, x), fast_mode=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("levels", [0, 1, 2, 3, 5, 10])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("increasing", [True, False])
def test_its_settings_are_exact(dtype, levels, depth, increasing) -> None:
    n = 2**levels
    matrix = Kaleidoscope(n, depth, increasing=increasing, dtype=dtype)
    complex_dtype = dtype.to_complex()
    x = torch.randn(3, n, dtype=complex_dtype)
    bound = DTYPES[dtype]
    with torch.no_grad():
        assert distance(matrix(x), x) == 0  # the identity, at the start
        matrix.set_hadamard()
        exact = x.to(torch.complex128)  # a reference in float32 errs as much as what it judges
        wanted = exact @ torch.from_numpy(hadamard(n)).to(exact.dtype)
        assert distance(matrix(x), wanted) < bound
        order = bit_reversed(n)
        if depth > 1:
            matrix.set_bit_reversal()
            assert torch.equal(matrix(x), x[:, order])
        if depth > 1 or not increasing:
            matrix.set_fourier(reversed_spectrum=True)
            assert distance(matrix(x), torch.fft.fft(exact)[:, order]) < bound
        if depth > 1 or increasing:
            matrix.set_fourier(reversed_spectrum=True, inverse=True)
            assert distance(matrix(x[:, order]), torch.fft.ifft(exact)) < bound
        if depth > 2:
            for norm in ("backward", "ortho", "forward"):
                matrix.set_fourier(norm=norm)
                assert distance(matrix(x), torch.fft.fft(x, norm=norm)) < bound
                matrix.set_fourier(inverse=True, norm=norm)
                assert distance(matrix(x), torch.fft.ifft(x, norm=norm)) < bound


@pytest.mark.parametrize("step", [0, 2, 3, 8])
def test_a_step_is_the_transform_of_a_signal_spread_out(step) -> None:
    matrix = Kaleidoscope(64, 3, dtype=torch.float64)
    matrix.set_fourier(step=step)
    x = torch.randn(64, dtype=torch.float64)
    index = torch.arange(64) * step % 64
    assert distance(matrix(x), torch.fft.fft(x)[index]) < 1e-12
    spread = torch.zeros(64, dtype=torch.float64).index_add(0, index, x)
    assert distance(matrix(x), torch.fft.fft(spread)) < 1e-12


def test_dense_is_what_it_multiplies_by() -> None:
    matrix = Kaleidoscope(16, 2, dtype=torch.float64)
    with torch.no_grad():
        matrix.twiddle.normal_()
    twiddle = torch.view_as_complex(matrix.twiddle)
    assert distance(matrix.dense(), dense(twiddle, increasing=True)) < 1e-12


def test_its_parameters_are_real_and_travel() -> None:
    matrix, other = Kaleidoscope(8, 3), Kaleidoscope(8, 3)
    matrix.set_fourier()
    other.load_state_dict(matrix.state_dict())
    x = torch.randn(2, 8)
    assert torch.equal(matrix(x), other(x))
    assert not matrix.twiddle.is_complex()
    assert matrix.twiddle.shape == (3, 3, 4, 2, 2, 2)


def test_what_it_refuses() -> None:
    for size in (0, 3, 12):
        with pytest.raises(UnsupportedLayer, match="power of two"):
            Kaleidoscope(size)
    for depth in (0, 5):
        with pytest.raises(UnsupportedLayer, match="1 to 4"):
            Kaleidoscope(8, depth)
    with pytest.raises(UnsupportedLayer, match="depth 2"):
        Kaleidoscope(8).set_bit_reversal()
    with pytest.raises(UnsupportedLayer, match="depth 3"):
        Kaleidoscope(8, 2).set_fourier()
    with pytest.raises(UnsupportedLayer, match="decreasing"):
        Kaleidoscope(8, increasing=True).set_fourier(reversed_spectrum=True)
