"""The operator under autocast, torch.compile, torch.func, checkpointing and memory formats."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dashzoo_search.ops import AggConv, fft_conv
from dashzoo_search.ops.aggconv import STRATEGIES
from dashzoo_search.ops.boundary import PADDINGS
from dashzoo_search.spec import SearchSpace

from .reference import assert_close, layer_of, sum_of_convolutions

SPACE = SearchSpace(kernels=(3, 5), dilations=(1, 2))
PATHS = ("mixed_weights", "per_dilation", "fourier")
NAMES = ("weight", "alpha", "bias")


def small(strategy: str, weights: str = "separate", groups: int = 1, **settings: Any) -> AggConv:
    torch.manual_seed(0)
    settings = {"dtype": torch.float64, **settings}
    return layer_of(
        SPACE.choices(dims=1), 2, 2, groups=groups, strategy=strategy, weights=weights, **settings
    )


def functional(layer: AggConv) -> Any:
    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        state = dict(zip(NAMES, parameters, strict=True))
        return torch.func.functional_call(layer, state, (x,))  # type: ignore[no-any-return]

    return run


@pytest.mark.parametrize("strategy", PATHS)
@pytest.mark.parametrize("weights", ["separate", "shared"])
@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (2, 1), (1, 2)])
def test_first_and_second_derivatives(
    strategy: str, weights: str, groups: int, stride: int
) -> None:
    layer = small(strategy, weights, groups, stride=stride)
    x = torch.randn(2, 2, 6, dtype=torch.float64, requires_grad=True)
    inputs = (x, layer.weight, layer.alpha, layer.bias)
    assert torch.autograd.gradcheck(functional(layer), inputs)
    assert torch.autograd.gradgradcheck(functional(layer), inputs)


@pytest.mark.parametrize("strategy", PATHS)
@pytest.mark.parametrize("weights", ["separate", "shared"])
@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (2, 1), (1, 2)])
def test_a_differentiable_gradient_is_the_gradient(
    strategy: str, weights: str, groups: int, stride: int
) -> None:
    layer = small(strategy, weights, groups, stride=stride)
    x = torch.randn(2, 2, 13, dtype=torch.float64, requires_grad=True)
    wanted = (x, *layer.parameters())
    slope = torch.randn_like(layer(x))
    plain = torch.autograd.grad(layer(x), wanted, slope)
    again = torch.autograd.grad(layer(x), wanted, slope, create_graph=True)
    assert again[0].requires_grad
    for ours, theirs in zip(again, plain, strict=True):
        assert_close(ours, theirs, 1e-10)


@pytest.mark.parametrize("padding", PADDINGS)
def test_second_derivatives_with_every_padding(padding: str) -> None:
    layer = small("fourier", padding=padding)
    x = torch.randn(1, 2, 6, dtype=torch.float64, requires_grad=True)
    inputs = (x, layer.weight, layer.alpha, layer.bias)
    assert torch.autograd.gradgradcheck(functional(layer), inputs)


def test_gradient_penalty_through_fft_conv() -> None:
    x, w = (
        torch.randn(*s, dtype=torch.float64, requires_grad=True) for s in ((1, 2, 7), (3, 2, 3))
    )
    assert torch.autograd.gradgradcheck(lambda x, w: fft_conv(x, w, padding="same"), (x, w))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("weights", ["separate", "shared"])
def test_vmap_and_func_grad(strategy: str, weights: str) -> None:
    layer = small(strategy, weights)
    run = functional(layer)
    parameters = tuple(p.detach() for p in layer.parameters())
    parameters = tuple(dict(layer.named_parameters())[n].detach() for n in NAMES)
    x = torch.randn(3, 4, 2, 11, dtype=torch.float64)
    with torch.no_grad():
        expected = torch.stack([layer(part) for part in x])
        assert_close(torch.vmap(run, (0, None, None, None))(x, *parameters), expected, 1e-12)

    def loss(parameters: tuple[Tensor, ...], x: Tensor) -> Tensor:
        return run(x, *parameters).square().sum()  # type: ignore[no-any-return]

    each = torch.vmap(torch.func.grad(loss), (None, 0))(parameters, x)
    for index, part in enumerate(x):
        layer.zero_grad()
        layer(part).square().sum().backward()
        for name, found in zip(NAMES, each, strict=True):
            wanted = dict(layer.named_parameters())[name].grad
            assert wanted is not None
            assert_close(found[index], wanted, 1e-10)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_ensemble_by_vmap_over_parameters(strategy: str) -> None:
    layers = [small(strategy) for _ in range(2)]
    nn.init.normal_(layers[1].weight)
    parameters = [torch.stack([getattr(m, n).detach() for m in layers]) for n in NAMES]
    x = torch.randn(2, 2, 9, dtype=torch.float64)
    got = torch.vmap(functional(layers[0]), (None, 0, 0, 0))(x, *parameters)
    with torch.no_grad():
        assert_close(got, torch.stack([m(x) for m in layers]), 1e-12)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_compiled_gives_the_same(strategy: str) -> None:
    layer = small(strategy)
    network = nn.Sequential(layer, nn.ReLU())
    x = torch.randn(2, 2, 15, dtype=torch.float64, requires_grad=True)
    expected = network(x)
    (slope,) = torch.autograd.grad(expected.sum(), x)
    torch.compiler.reset()
    got = torch.compile(network, backend="aot_eager")(x)
    assert_close(got, expected, 1e-12)
    assert_close(torch.autograd.grad(got.sum(), x)[0], slope, 1e-12)


def test_compiling_without_breaks_tells_why_not() -> None:
    torch.compiler.reset()
    compiled = torch.compile(small("fourier"), backend="eager", fullgraph=True)
    with pytest.raises(Exception, match=r"compiler\.disable|cache plans"):
        compiled(torch.randn(1, 2, 9, dtype=torch.float64))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_checkpointing_gives_the_same_gradients(strategy: str) -> None:
    layer = small(strategy, "shared")
    x = torch.randn(2, 2, 15, dtype=torch.float64, requires_grad=True)
    wanted = (x, *layer.parameters())
    expected = torch.autograd.grad(layer(x).square().sum(), wanted)
    again = checkpoint(layer, x, use_reentrant=False)
    assert isinstance(again, Tensor)
    for ours, theirs in zip(
        torch.autograd.grad(again.square().sum(), wanted), expected, strict=True
    ):
        assert_close(ours, theirs, 1e-12)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_channels_last(strategy: str) -> None:
    torch.manual_seed(0)
    layer = layer_of(SPACE.choices(dims=2), 4, 8, strategy=strategy)
    x = torch.randn(2, 4, 9, 10).to(memory_format=torch.channels_last).requires_grad_()
    y = layer(x)
    plain = x.detach().contiguous().requires_grad_()
    expected = sum_of_convolutions(layer, plain)
    assert_close(y, expected, 1e-5)
    y.square().sum().backward()
    expected.square().sum().backward()
    assert x.grad is not None
    assert plain.grad is not None
    assert_close(x.grad, plain.grad, 1e-5)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("weights", ["separate", "shared"])
def test_autocast_transforms_in_single(strategy: str, weights: str) -> None:
    torch.manual_seed(0)
    layer = layer_of(SPACE.choices(dims=1), 4, 4, strategy=strategy, weights=weights)
    x = torch.randn(2, 4, 50, requires_grad=True)
    exact = sum_of_convolutions(layer, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    # One rounding to bfloat16 at the end; its unit is 2⁻⁸. Direct paths round inside as well.
    assert_close(y.float(), exact, 2**-8 if strategy == "fourier" else 0.03)
    y.float().sum().backward()
    for tensor in (x, *layer.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.dtype == torch.float32


def test_all_strategies_read_one_state() -> None:
    source = small("auto")
    x = torch.randn(2, 2, 20, dtype=torch.float64)
    for strategy in STRATEGIES:
        other = AggConv(2, 2, source.choices, strategy=strategy, dtype=torch.float64)
        other.load_state_dict(copy.deepcopy(source.state_dict()))
        assert_close(other(x), source(x), 1e-12)


def test_parameters_are_real_and_shared_ones_few() -> None:
    separate, shared = small("fourier"), small("fourier", "shared")
    assert all(not p.is_complex() for m in (separate, shared) for p in m.parameters())
    assert separate.weight.shape == (16, 2, 2)
    assert shared.weight.shape == (5, 2, 2)


@pytest.mark.gpu
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("weights", ["separate", "shared"])
def test_the_same_on_a_gpu(strategy: str, weights: str) -> None:
    layer = small(strategy, weights)
    x = torch.randn(2, 2, 40, dtype=torch.float64)
    expected = layer(x)
    there = copy.deepcopy(layer).cuda()
    assert_close(there(x.cuda()).cpu(), expected, 1e-10)
