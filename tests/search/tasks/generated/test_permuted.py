"""Other orders of the same pixels."""

from __future__ import annotations

import numpy as np
import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.generated import bit_reversal, sequential


@pytest.mark.parametrize("size", [(1, 1), (2, 4), (8, 8), (32, 16)])
def test_every_pixel_goes_where_its_bits_say(size):
    X = np.random.default_rng(0).standard_normal((2, 3, *size)).astype(np.float32)
    bits = [side.bit_length() - 1 for side in size]
    permuted = bit_reversal(X)
    assert permuted.dtype == X.dtype
    for row in range(size[0]):
        for column in range(size[1]):
            there = [int(f"{i:0{b}b}"[::-1], 2) for i, b in zip((row, column), bits, strict=True)]
            np.testing.assert_array_equal(permuted[:, :, row, column], X[:, :, *there])
    np.testing.assert_array_equal(bit_reversal(permuted), X)


@pytest.mark.parametrize("size", [(8, 12), (28, 28), (0, 4)])
def test_sides_without_bits(size):
    with pytest.raises(BadData, match=r"no power of two.* resize or pad"):
        bit_reversal(np.zeros((1, 1, *size)))


def test_row_after_row():
    X = np.arange(24).reshape(2, 1, 3, 4)
    np.testing.assert_array_equal(sequential(X), np.arange(24).reshape(2, 1, 12))


@pytest.mark.parametrize("function", [bit_reversal, sequential])
def test_only_images(function):
    with pytest.raises(BadData, match=r"\[2, 1, 8\]; give images"):
        function(np.zeros((2, 1, 8)))
