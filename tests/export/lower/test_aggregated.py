"""Layers over many kernels, written as the one convolution they are."""

import pytest
import torch

from dashzoo_export.lower import as_conv
from dashzoo_search.choice import Kernel
from dashzoo_search.errors import UnsupportedLayer
from dashzoo_search.ops import AggConv, PathConv
from dashzoo_search.ops.fftconv import FFTConv
from dashzoo_search.relax import Softmax

SIZES = {1: (31,), 2: (13, 18), 3: (8, 9, 10)}


class Noisy(Softmax):
    """Another mixture every time it is asked in training."""

    def forward(self, alpha):
        return super().forward(alpha + torch.rand_like(alpha) * self.training)


def mixed(dims, kernels=(3, 5), dilations=(1, 3), **kwargs):
    torch.manual_seed(0)
    choices = [Kernel((k,) * dims, (d,) * dims) for k in kernels for d in dilations]
    layer = AggConv(4, 8, choices, dtype=torch.float64, **kwargs)
    torch.nn.init.normal_(layer.alpha)
    return layer.eval()


def assert_same(layer, dims, stride=1):
    x = torch.randn(2, 4, *SIZES[dims], dtype=torch.float64)
    made = as_conv(layer)
    with torch.no_grad():
        expected, got = layer(x), made(x)
    assert got.shape == expected.shape
    assert float((got - expected).abs().max() / expected.abs().max()) < 1e-12
    return made


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("padding", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_mixture_is_one_dense_convolution(dims, padding, stride):
    dilations = (1, 2) if dims == 3 else (1, 3)
    layer = mixed(
        dims, dilations=dilations, padding=padding, stride=stride, groups=2, bias=dims > 1
    )
    made = assert_same(layer, dims)
    assert made.kernel_size == (4 * dilations[-1] + 1,) * dims
    assert made.padding_mode == padding


@pytest.mark.parametrize("weights", ["separate", "shared"])
@pytest.mark.parametrize("kernels", [(2, 4), (3, 4), (3,)])
def test_even_and_shared_kernels(weights, kernels):
    assert_same(mixed(2, kernels=kernels, weights=weights), 2)


def test_dilations_with_a_divisor_in_common_stay_a_dilation():
    made = assert_same(mixed(1, kernels=(3, 5), dilations=(2, 6)), 1)
    assert (made.kernel_size, made.dilation, made.padding) == ((13,), (2,), (12,))


def test_a_selected_choice_has_its_own_kernel():
    layer = mixed(1)
    layer.select(1)
    made = assert_same(layer, 1)
    assert (made.kernel_size, made.dilation) == ((3,), (3,))


def test_the_mixture_is_that_of_evaluation_and_the_layer_is_left_as_it_is():
    layer = mixed(1, relaxation=Noisy())
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.train()
    made = as_conv(layer)
    assert layer.training
    assert layer.relaxation.training
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name])
    x = torch.randn(1, 4, 31, dtype=torch.float64)
    with torch.no_grad():
        assert float((made(x) - layer.eval()(x)).abs().max()) < 1e-12


def test_a_sampled_layer():
    torch.manual_seed(0)
    choices = [Kernel((k,), (d,)) for k in (3, 7) for d in (1, 3)]
    layer = PathConv(4, 8, choices, first=2, stride=2, dtype=torch.float64).eval()
    made = assert_same(layer, 1)
    assert (made.kernel_size, made.dilation, made.stride) == ((7,), (1,), (2,))


def test_a_layer_by_fourier_transform():
    layer = FFTConv(4, 8, (5, 3), padding="same", dilation=2, dtype=torch.float64)
    assert assert_same(layer, 2).kernel_size == (5, 3)


def test_causal_layers_are_refused():
    with pytest.raises(UnsupportedLayer, match="derive its kernel"):
        as_conv(mixed(1, padding="causal"))
