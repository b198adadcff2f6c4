"""Least squares: conjugate gradients against the normal equations laid out in full."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dashzoo_search.choice import Kernel
from dashzoo_search.derive.least_squares import fit_kernel
from dashzoo_search.ops import AggConv


def layer_and_input(dims, groups, stride, bias, smooth, seed):
    torch.manual_seed(seed)
    choices = [Kernel((k,) * dims, (d,) * dims) for k in (3, 5) for d in (1, 2)]
    layer = AggConv(2, 4, choices, groups=groups, stride=stride, bias=bias).double().eval()
    layer.alpha.data.normal_()
    x = torch.randn(6, 2, *(14,) * dims, dtype=torch.float64)
    return layer, x.cumsum(-1) + 1 if smooth else x


def reference(layer, index, x, y):
    """Weights and shares by a dense solver: every tap of every channel a column, and a one."""
    choice = layer.choices[index]
    per, outs = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    weights, left, whole = [], [], []
    for group in range(layer.groups):
        columns = []
        for channel in range(group * per, (group + 1) * per):
            for tap in range(choice.taps):
                pick = torch.zeros(choice.taps, dtype=x.dtype)
                pick[tap] = 1
                conv = torch.nn.functional.conv1d if layer.dims == 1 else torch.nn.functional.conv2d
                column = conv(
                    x[:, channel : channel + 1], pick.view(1, 1, *choice.kernel), None,
                    layer.stride, choice.padding, choice.dilation,
                )  # fmt: skip
                columns.append(column.flatten())
        columns.append(torch.ones_like(columns[0]))
        design = torch.stack(columns, 1)
        target = y[:, group * outs : (group + 1) * outs].movedim(1, -1).flatten(0, -2)
        solution = torch.linalg.lstsq(design, target, driver="gelsd").solution
        weights.append(solution[:-1].T.reshape(outs, per, *choice.kernel))
        left.append((target - design @ solution).square().sum(0))
        whole.append((target - target.mean(0)).square().sum(0))
    return torch.cat(weights), float((1 - torch.cat(left) / torch.cat(whole)).mean())


@settings(max_examples=10)
@given(
    dims=st.sampled_from([1, 2]),
    groups=st.sampled_from([1, 2]),
    stride=st.sampled_from([1, 2]),
    bias=st.booleans(),
    smooth=st.booleans(),
    index=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_with_enough_iterations_it_is_the_dense_solution(
    dims, groups, stride, bias, smooth, index, seed
):
    layer, x = layer_and_input(dims, groups, stride, bias, smooth, seed)
    with torch.no_grad():
        y = layer(x)
    weight, share = reference(layer, index, x, y)
    fit = fit_kernel(layer, index, x, y, iterations=200)
    assert fit.share == pytest.approx(share, abs=1e-5)
    if not smooth:  # else many weights do equally well
        torch.testing.assert_close(fit.weight, weight, atol=1e-3, rtol=1e-3)


@settings(max_examples=10)
@given(groups=st.sampled_from([1, 2]), index=st.integers(0, 3), seed=st.integers(0, 99))
def test_no_iteration_makes_it_worse_and_few_do_nearly_all(groups, index, seed):
    layer, x = layer_and_input(1, groups, 1, True, True, seed)
    with torch.no_grad():
        y = layer(x)
    shares = [fit_kernel(layer, index, x, y, iterations=n).share for n in (0, 1, 2, 4, 8, 12)]
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(shares))
    assert shares[-1] >= reference(layer, index, x, y)[1] - 0.02


def test_the_shift_makes_up_for_what_is_left_out():
    layer, x = layer_and_input(1, 1, 1, True, True, 0)
    with torch.no_grad():
        y = layer(x)
        fit = fit_kernel(layer, 0, x, y)
        layer.set_choice_weight(0, fit.weight)
        layer.select(0)
        layer.bias.add_(fit.shift)
        torch.testing.assert_close(layer(x).mean((0, 2)), y.mean((0, 2)))


def test_a_silent_layer_is_explained_by_nothing_and_breaks_nothing():
    layer, x = layer_and_input(1, 1, 1, False, False, 0)
    layer.weight.data.zero_()
    with torch.no_grad():
        fit = fit_kernel(layer, 0, x, layer(x))
    assert fit.share == 0
    assert not fit.weight.any()
