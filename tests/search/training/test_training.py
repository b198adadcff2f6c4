"""Recipes, batches, scores and the training loop."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dashzoo_search.errors import BadData, TrainingFailed, UnknownDevice
from dashzoo_search.tasks import Split
from dashzoo_search.training import Recipe, Score, evaluate, fit
from dashzoo_search.training.batchnorm import reestimate
from dashzoo_search.training.loop import memory_guard
from dashzoo_search.training.runtime import cores_at_hand, limit_threads, resolve_device
from dashzoo_search.training.steps import Batches


def blobs(n=60, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return Split((rng.standard_normal((n, 4)) + 3 * np.eye(4)[y]).astype(np.float32), y)


@given(n=st.integers(1, 100), size=st.integers(1, 40))
def test_batches_cover_every_sample_once_in_even_parts(n, size):
    split = Split(np.arange(n, dtype=np.float32)[:, None], np.zeros(n, np.int64))
    batches = Batches(split, size, device=torch.device("cpu"), generator=torch.Generator())
    parts = [x.flatten().tolist() for x, _ in batches]
    assert len(parts) == len(batches) == math.ceil(n / size)
    assert sorted(i for part in parts for i in part) == list(range(n))
    lengths = [len(p) for p in parts]
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1


def test_scores_are_over_the_whole_split_not_a_mean_of_batches():
    net = nn.Linear(4, 3)
    split = blobs(10)
    whole = evaluate(net, split)
    assert evaluate(net, split, batch_size=3).loss == pytest.approx(whole.loss, abs=1e-7)
    outputs = net(torch.from_numpy(split.X))
    assert whole.value == (outputs.argmax(1).numpy() == split.y).mean()


def test_of_equal_accuracy_the_lower_loss_is_better():
    assert Score(0.9, 0.2).better_than(Score(0.9, 0.3))
    assert not Score(0.8, 0.0).better_than(Score(0.9, 9.0))
    assert Score(0.0, 9.0).better_than(None)


def test_fit_learns_and_keeps_its_best_epoch():
    torch.manual_seed(0)
    net = nn.Linear(4, 3)
    train, val = blobs(60, 0), blobs(60, 1)
    seen = []
    result = fit(
        net, train, val, Recipe(epochs=20, batch_size=8, lr=0.05),
        generator=torch.Generator().manual_seed(0), on_epoch=lambda p: seen.append(p.value),
    )  # fmt: skip
    assert result.val.value == max(seen) > 0.9
    assert seen[result.best_epoch - 1] == max(seen)
    again = evaluate(net, val)
    assert (again.value, again.loss) == (result.val.value, result.val.loss)
    assert not net.training


def test_a_few_bad_steps_are_skipped_and_counted():
    class Sometimes(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.calls = nn.Linear(4, 3), 0

        def forward(self, x):
            self.calls += self.training
            return self.inner(x) * (float("nan") if self.training and self.calls % 5 == 0 else 1)

    net = Sometimes()
    result = fit(net, blobs(), blobs(), Recipe(epochs=5, batch_size=6), generator=torch.Generator())
    assert result.skipped_steps == 10
    assert all(torch.isfinite(p).all() for p in net.parameters())


def test_running_out_of_memory_names_the_knob():
    with pytest.raises(TrainingFailed, match=r"lower --batch-size$"), memory_guard():
        torch.empty(2**60)
    with pytest.raises(TrainingFailed, match=r"size, or add x$"), memory_guard("add x"):
        torch.empty(2**60)
    with pytest.raises(RuntimeError, match="shapes"), memory_guard():
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def test_batch_statistics_are_those_of_the_training_split():
    net = nn.Sequential(nn.BatchNorm1d(4))
    split = blobs(300)
    reestimate(net, split, batch_size=300)
    np.testing.assert_allclose(net[0].running_mean, split.X.mean(0), atol=1e-5)
    assert not net.training
    assert net[0].momentum == 0.1


@pytest.mark.parametrize(
    "field", [{"epochs": 0}, {"batch_size": 0}, {"lr": 0}, {"lr": math.inf}, {"weight_decay": -1}]
)
def test_recipes_refuse_nonsense(field):
    with pytest.raises(BadData, match=next(iter(field))):
        Recipe(**({"epochs": 1, "batch_size": 1} | field))


def test_threads_are_capped_to_the_cores_at_hand():
    before = torch.get_num_threads()
    try:
        assert limit_threads(10_000) == cores_at_hand()
        assert limit_threads(1) == torch.get_num_threads() == 1
        assert limit_threads(work=1e6) == 1
        assert limit_threads(work=1e12) == cores_at_hand()
    finally:
        torch.set_num_threads(before)


def test_devices_that_are_not_here_are_refused():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type in ("cpu", "cuda")
    with pytest.raises(UnknownDevice, match="This machine has: cpu"):
        resolve_device("cuda:77")
