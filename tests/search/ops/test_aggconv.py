"""AggConv against the sum of ordinary convolutions: values, gradients, selection, state."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dashzoo_search.choice import Kernel
from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops import AggConv
from dashzoo_search.ops.aggconv import STRATEGIES
from dashzoo_search.ops.boundary import PADDINGS
from dashzoo_search.spec import Choice, SearchSpace

from .reference import assert_close, assert_same, layer_of, sum_of_convolutions

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
SPACE = SearchSpace(kernels=(3, 7), dilations=(1, 3))


@st.composite
def layers(draw: st.DrawFn) -> tuple[AggConv, Tensor]:
    plane = draw(st.booleans())
    dims = 1 if plane else draw(st.integers(1, 3))
    size = tuple(draw(st.integers(1, (40, 12, 6)[dims - 1])) for _ in range(dims))
    sizes = draw(st.sampled_from(((1, 3, 5, 9), (1, 2, 3, 4, 5))))
    if dims == 3:
        sizes = tuple(k for k in sizes if k <= 3)
    choice = st.builds(
        Kernel,
        st.tuples(*[st.sampled_from(sizes)] * dims),
        st.tuples(*[st.integers(1, 7)] * dims),
    )
    choices = draw(st.lists(choice, min_size=1, max_size=4))
    padding = draw(st.sampled_from([p for p in PADDINGS if p != "causal" or dims == 1]))
    if plane and padding != "causal":
        choices, size = [choice.on_plane() for choice in choices], (1, *size)
    groups, outs, ins = draw(
        st.tuples(st.sampled_from((1, 2, 3)), st.integers(1, 2), st.integers(1, 2))
    )
    dtype = draw(st.sampled_from((torch.float32, torch.float64)))
    torch.manual_seed(draw(st.integers(0, 2**16)))
    layer = layer_of(
        choices,
        ins * groups,
        outs * groups,
        stride=draw(st.sampled_from((1, 1, 2, 3))),
        groups=groups,
        bias=draw(st.booleans()),
        padding=padding,
        weights=draw(st.sampled_from(("separate", "shared"))),
        strategy=draw(st.sampled_from(STRATEGIES)),
        dtype=dtype,
    )
    x = torch.randn(draw(st.integers(1, 3)), ins * groups, *size, dtype=dtype)
    return layer, x


@settings(max_examples=500, deadline=None)
@given(layers())
def test_equals_the_sum_of_convolutions(case: tuple[AggConv, Tensor]) -> None:
    layer, x = case
    assert_same(layer, x, TOLERANCE[x.dtype])


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("size", [(150,), (1, 150), (16, 17)])
@pytest.mark.parametrize("stride", [1, 2])
def test_at_the_sizes_of_real_layers(strategy: str, size: tuple[int, ...], stride: int) -> None:
    space = SearchSpace(kernels=(3, 7, 11, 15), dilations=(1, 3, 7, 15))
    choices = [c.on_plane() for c in space.choices(dims=1)]
    if len(size) == 1:
        choices = list(space.choices(dims=1))
    elif size[0] > 1:
        choices = list(SearchSpace(kernels=(3, 5, 7), dilations=(1, 3, 7)).choices(dims=2))
    torch.manual_seed(0)
    layer = layer_of(choices, 8, 12, stride=stride, strategy=strategy)
    assert_same(layer, torch.randn(4, 8, *size), 1e-5)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("padding", [p for p in PADDINGS if p != "causal"])
@pytest.mark.parametrize(
    "kernel", [Kernel((4,), (3,)), Kernel((2, 5), (3, 1)), Kernel((3,) * 3, (2,) * 3)]
)
def test_one_choice_is_torchs_same(strategy: str, padding: str, kernel: Kernel) -> None:
    """Centring of even sizes and every padding mode, as torch's own modules have it."""
    torch.manual_seed(0)
    layer = AggConv(2, 3, [kernel], padding=padding, strategy=strategy, dtype=torch.float64)
    module = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[kernel.dims - 1]
    plain = module(
        2,
        3,
        kernel.kernel,  # type: ignore[arg-type]
        padding="same",
        padding_mode=padding,
        dilation=kernel.dilation,  # type: ignore[arg-type]
        dtype=torch.float64,
    )
    plain.load_state_dict({"weight": layer.choice_weight(0), "bias": layer.bias})
    x = torch.randn(2, 2, *(14, 12, 9)[: kernel.dims], dtype=torch.float64)
    with warnings.catch_warnings():  # torch warns of the copy that an even kernel costs it
        warnings.simplefilter("ignore")
        assert_close(layer(x), plain(x), 1e-10)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_causal_outputs_do_not_see_the_future(strategy: str) -> None:
    layer = layer_of(SPACE.choices(dims=1), 2, 3, padding="causal", strategy=strategy)
    x = torch.randn(1, 2, 30, requires_grad=True)
    (slope,) = torch.autograd.grad(layer(x)[0, :, 12].sum(), x)
    assert slope[..., 13:].abs().max() < 1e-6
    assert slope[..., 12].abs().min() > 1e-4


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("groups", [4, 2])
def test_depthwise_and_grouped(strategy: str, groups: int) -> None:
    torch.manual_seed(0)
    layer = layer_of(SPACE.choices(dims=2), 4, 8, groups=groups, strategy=strategy)
    assert_same(layer, torch.randn(2, 4, 11, 8), 1e-5)
    layer = layer_of(SPACE.choices(dims=1), 6, 6, groups=6, strategy=strategy, stride=groups // 2)
    assert_same(layer, torch.randn(2, 6, 33), 1e-5)


@pytest.mark.parametrize("strategy", ["mixed_weights", "per_dilation", "fourier"])
def test_offsets_beyond_the_signal_read_only_padding(strategy: str) -> None:
    torch.manual_seed(0)
    choices = [Choice.cube(k, d, dims=1) for k in (3, 15) for d in (1, 127)]
    layer = layer_of(choices, 2, 3, strategy=strategy, dtype=torch.float64)
    for n in (1, 2, 9, 200):
        assert_same(layer, torch.randn(2, 2, n, dtype=torch.float64), 1e-10)


@pytest.mark.parametrize("strategy", ["mixed_weights", "per_dilation", "fourier"])
def test_gradcheck(strategy: str) -> None:
    torch.manual_seed(0)
    layer = layer_of(
        SearchSpace(kernels=(3, 5), dilations=(1, 2)).choices(dims=1),
        2,
        4,
        groups=2,
        stride=2,
        strategy=strategy,
        dtype=torch.float64,
    )
    assert layer.bias is not None
    names = ("weight", "alpha", "bias")

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        state = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(layer, state, (x,))  # type: ignore[no-any-return]

    x = torch.randn(2, 2, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (x, layer.weight, layer.alpha, layer.bias))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_frozen_inputs_and_parameters_get_no_gradient(strategy: str) -> None:
    layer = layer_of(SPACE.choices(dims=1), 3, 5, strategy=strategy)
    layer.weight.requires_grad_(False)
    layer.alpha.requires_grad_(False)
    layer(torch.randn(2, 3, 20)).sum().backward()
    assert layer.bias is not None
    assert layer.bias.grad is not None
    assert layer.weight.grad is None


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_autocast_follows_convolution(strategy: str) -> None:
    torch.manual_seed(0)
    layer = layer_of(SPACE.choices(dims=1), 4, 4, strategy=strategy)
    x = torch.randn(2, 4, 50, requires_grad=True)
    exact = sum_of_convolutions(layer, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
        like = F.conv1d(x, layer.choice_weight(0))
        y.sum().backward()
    assert y.dtype == like.dtype == torch.bfloat16 or strategy == "mixed_results"
    assert x.grad is not None
    assert x.grad.dtype == layer.weight.grad.dtype == torch.float32  # type: ignore[union-attr]
    assert_close(y.float(), exact, 0.05)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_transforms_in_single(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = layer_of(SPACE.choices(dims=1), 4, 4, strategy="fourier").to(dtype)
    x = torch.randn(2, 4, 50, dtype=dtype)
    y = layer(x)
    assert y.dtype == dtype
    exact = copy.deepcopy(layer).float()
    assert_close(y.float(), sum_of_convolutions(exact, x.float()), 0.02)


def test_refusals() -> None:
    choices = SPACE.choices(dims=1)
    with pytest.raises(ValueError, match="divide"):
        AggConv(3, 4, choices, groups=2)
    with pytest.raises(ValueError, match="auto, mixed_weights, per_dilation, fourier"):
        AggConv(3, 4, choices, strategy="fast")
    with pytest.raises(ValueError, match="axes"):
        AggConv(3, 4, [choices[0], choices[0].on_plane()])
    with pytest.raises(ValueError, match="at least one"):
        AggConv(3, 4, [])
    with pytest.raises(UnsupportedLayer, match="4 axes"):
        AggConv(3, 4, [Choice.cube(3, 1, dims=4)])
    with pytest.raises(UnsupportedLayer, match="Causal padding of 2 axes"):
        AggConv(3, 4, SPACE.choices(dims=2), padding="causal")
    with pytest.raises(ValueError, match="padding must be one of zeros, circular"):
        AggConv(3, 4, choices, padding="same")
    with pytest.raises(ValueError, match="weights must be one of separate, shared"):
        AggConv(3, 4, choices, weights="tied")
    with pytest.raises(ValueError, match="stride"):
        AggConv(3, 4, choices, stride=0)
    layer = AggConv(3, 4, choices)
    with pytest.raises(ValueError, match="expected"):
        layer(torch.randn(2, 5, 10))
    with pytest.raises(IndexError):
        layer.select(4)
    with pytest.raises(ValueError, match="aggregate"):
        layer.select(0, weight="all")  # type: ignore[arg-type]
