"""The Fourier path however it is cut: blocks, kept or remade spectra, matmul or scatter."""

from __future__ import annotations

import pytest
import torch

from dashzoo_search.ops import correlation, depthwise, spectrum
from dashzoo_search.spec import SearchSpace

from .reference import assert_close, assert_same, layer_of


@pytest.fixture(params=["kept", "remade"])
def _keeping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "remade":
        monkeypatch.setattr(correlation, "KEPT_SPECTRUM", 0)


@pytest.mark.usefixtures("_keeping")
@pytest.mark.parametrize("block", [1, 10**9])
@pytest.mark.parametrize("by_matmul", [True, False])
@pytest.mark.parametrize("kept_waves", [True, False])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("weights", ["separate", "shared"])
def test_every_cut_gives_the_same(
    monkeypatch: pytest.MonkeyPatch,
    block: int,
    by_matmul: bool,
    kept_waves: bool,
    groups: int,
    weights: str,
) -> None:
    monkeypatch.setattr(correlation, "BLOCK", block)
    monkeypatch.setattr(depthwise, "BLOCK", block)
    monkeypatch.setattr(spectrum, "MOST_MATMUL_TAPS", 10**9 if by_matmul else 0)
    monkeypatch.setattr(spectrum, "LARGEST_CONSTANT", 10**9 if kept_waves else 0)
    spectrum.make_plan.cache_clear()
    torch.manual_seed(0)
    try:
        for outs, stride in ((4, 1), (8, 2)):
            layer = layer_of(
                SearchSpace(kernels=(3, 5), dilations=(1, 4)).choices(dims=2),
                4,
                outs,
                stride=stride,
                groups=groups,
                weights=weights,
                strategy="fourier",
                dtype=torch.float64,
            )
            assert_same(layer, torch.randn(3, 4, 13, 10, dtype=torch.float64), 1e-10)
    finally:
        spectrum.make_plan.cache_clear()


def test_a_spectrum_too_large_to_exist_is_made_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectrum, "LARGEST_SPECTRUM", 10)
    monkeypatch.setattr(spectrum, "MOST_MATMUL_TAPS", 0)
    plan = spectrum.make_plan(((-3,), (0,), (3,)), (77,), (0,), (77,), pairs=2)
    assert plan.by_matmul
    taps = torch.randn(3, 4, dtype=torch.float64)
    whole = spectrum.fold_taps(taps)
    wave = spectrum.waves(plan.offsets, plan.length, taps.dtype, taps.device, (3, 9))
    part = torch.view_as_complex((wave @ whole).view(6, 4, 2))
    assert_close(part, plan.spectrum(taps)[3:9], 1e-12)
