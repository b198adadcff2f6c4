"""Single steps: bad numbers are skipped without a trace, and 16 bits stay out of the parameters."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dashzoo_search.errors import BadData, TrainingFailed
from dashzoo_search.networks import SearchedNet
from dashzoo_search.spec import SearchSpace
from dashzoo_search.supernet import build_supernet
from dashzoo_search.training import Recipe
from dashzoo_search.training.precision import autocast, resolve_precision
from dashzoo_search.training.steps import Stepper

CPU = torch.device("cpu")


def made(precision="fp32", lr=1e-2):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    parameters = list(net.parameters())
    return net, Stepper(net, parameters, torch.optim.Adam(parameters, lr=lr), precision=precision)


def batch(n=6):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(1)), torch.arange(n) % 3


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_step_leaves_no_trace(bad):
    net, step = made()
    x, y = batch()
    step(x, y)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    x[0, 0] = bad
    step(x, y)
    assert step.skipped == 1
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_ten_in_a_row_stop_but_nine_do_not():
    _, step = made()
    x, y = batch()
    bad = torch.full_like(x, math.nan)
    for _ in range(3):
        for _ in range(9):
            step(bad, y)
        step(x, y)
    assert step.skipped == 27
    for _ in range(9):
        step(bad, y)
    with pytest.raises(TrainingFailed, match="10 steps in a row"):
        step(bad, y)


class Breaks(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.inner, self.break_forward = nn.Linear(8, 8), forward

    def forward(self, x):
        if self.break_forward:
            return self.inner(x) * math.inf
        return self.inner(x) + 0 * x.abs().sum().mul(0).sqrt()  # finite, but not its gradient


@pytest.mark.parametrize(
    ("forward", "told"),
    [(True, "the output of layer 1;"), (False, "the gradient of layer 0;")],
)
def test_the_layer_at_fault_is_named(forward, told):
    net = nn.Sequential(nn.Linear(4, 8), Breaks(forward), nn.Linear(8, 3))
    parameters = list(net.parameters())
    step = Stepper(net, parameters, torch.optim.Adam(parameters))
    with pytest.raises(TrainingFailed, match=told):
        for _ in range(10):
            step(*batch())


def test_a_layer_of_a_supernet_is_named_as_its_spec_names_it():
    net = SearchedNet("wrn1d", dims=1, in_chans=1, num_classes=2, backbone_args={"width": 2})
    supernet = build_supernet(net, SearchSpace(kernels=(3, 5)), (20,))
    name = list(supernet.layers)[3]
    with torch.no_grad():
        supernet.layers[name].weight.fill_(math.inf)
    weights = list(supernet.weights())
    step = Stepper(supernet, weights, torch.optim.Adam(weights))
    with pytest.raises(TrainingFailed, match=rf"first in the output of layer {name};"):
        for _ in range(10):
            step(torch.randn(4, 1, 20), torch.arange(4) % 2)


def test_bf16_computes_in_bf16_and_keeps_parameters_in_float32():
    net, step = made("bf16")
    seen = []
    net[0].register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    losses = [step(*batch()) for _ in range(60)]
    assert set(seen) == {torch.bfloat16}
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.dtype == p.grad.dtype == torch.float32 for p in net.parameters())
    state = step.optimizer.state.values()
    assert all(entry["exp_avg"].dtype == torch.float32 for entry in state)


@pytest.mark.parametrize("backbone", ["wrn1d"])
def test_a_supernet_steps_in_bf16(backbone):
    torch.manual_seed(0)
    net = SearchedNet(backbone, dims=1, in_chans=1, num_classes=2, backbone_args={"width": 4})
    supernet = build_supernet(net, SearchSpace(kernels=(3, 11), dilations=(1, 3)), (64,))
    for parameters in (list(supernet.weights()), list(supernet.architecture())):
        step = Stepper(supernet, parameters, torch.optim.Adam(parameters), precision="bf16")
        before = [p.clone() for p in parameters]
        assert math.isfinite(step(torch.randn(8, 1, 64), torch.arange(8) % 2))
        assert step.skipped == 0
        assert any(not torch.equal(p, b) for p, b in zip(parameters, before, strict=True))
        assert all(p.dtype == torch.float32 for p in parameters)


def test_precisions_are_resolved_at_the_edge():
    assert resolve_precision("auto", CPU) == "fp32"
    assert resolve_precision("bf16", CPU) == "bf16"
    with pytest.raises(BadData, match="fp16 needs a GPU"):
        resolve_precision("fp16", CPU)
    with pytest.raises(BadData, match="auto, fp32, bf16, fp16"):
        resolve_precision("fp8", CPU)
    with pytest.raises(BadData, match="precision must be"):
        Recipe(epochs=1, batch_size=1, precision="auto")
    with autocast("fp32", CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_precisions_on_a_gpu(precision):
    device = torch.device("cuda")
    assert resolve_precision(precision, device) == precision
    torch.manual_seed(0)
    net = SearchedNet("wrn1d", dims=1, in_chans=1, num_classes=2, backbone_args={"width": 8})
    supernet = build_supernet(net, SearchSpace(kernels=(3, 11), dilations=(1, 3)), (64,))
    supernet.to(device)
    weights = list(supernet.weights())
    step = Stepper(supernet, weights, torch.optim.Adam(weights), precision=precision)
    x, y = torch.randn(32, 1, 64, device=device), torch.arange(32, device=device) % 2
    losses = [step(x, y) for _ in range(40)]
    assert losses[-1] < losses[0]
    assert step.skipped < 10
