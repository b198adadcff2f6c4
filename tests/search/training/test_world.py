"""Two processes train as one does: the same losses, kernels and weights."""

from __future__ import annotations

import json
import os
import socket
import traceback

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dashzoo_search.errors import BadData, BadLaunch, TrainingFailed
from dashzoo_search.networks import SearchedNet
from dashzoo_search.search import SearchOptions, search_kernels
from dashzoo_search.spec import SearchSpace
from dashzoo_search.supernet import build_supernet
from dashzoo_search.tasks import Split
from dashzoo_search.training import Recipe, evaluate, fit, world
from dashzoo_search.training.shared_norm import shared_statistics
from dashzoo_search.training.steps import Batches

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks the processes"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def in_processes(count, work, folder):
    """What ``work`` returns as JSON in each of ``count`` processes joined by gloo."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children = []
    for number in range(count):
        child = os.fork()
        if not child:
            try:
                os.environ.update(
                    RANK=str(number), LOCAL_RANK=str(number), WORLD_SIZE=str(count),
                    LOCAL_WORLD_SIZE=str(count), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
                )  # fmt: skip
                with world.joined(lambda: "gloo"):
                    told = work()
                (folder / str(number)).write_text(json.dumps(told))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return [json.loads((folder / str(number)).read_text()) for number in range(count)]


def echoes(n, length=32, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = 0.3 * rng.standard_normal((n, 1, length))
    X[np.arange(n), 0, 8] += 3
    X[np.arange(n), 0, np.where(y == 1, 20, 14)] += 3
    return Split(X.astype(np.float32), y)


def search():
    torch.manual_seed(0)
    net = SearchedNet("wrn1d", dims=1, in_chans=1, num_classes=2, backbone_args={"width": 2})
    supernet = build_supernet(net, SearchSpace(kernels=(3, 5), dilations=(1, 2)), (32,))
    losses = []
    # 41 samples: batches of odd sizes, which two processes cannot share evenly.
    result = search_kernels(
        supernet, echoes(59), SearchOptions.of(Recipe(epochs=3, batch_size=9), "mixture"), seed=0,
        generator=torch.Generator().manual_seed(0), on_epoch=lambda p: losses.append(p.loss),
    )  # fmt: skip
    alphas = [alpha.tolist() for alpha in supernet.architecture()]
    return {"losses": losses, "spec": result.spec.to_json(), "alphas": alphas}


def train():
    torch.manual_seed(0)
    net = SearchedNet("wrn1d", dims=1, in_chans=1, num_classes=2, backbone_args={"width": 2})
    losses = []
    result = fit(
        net, echoes(41), echoes(23, seed=1), Recipe(epochs=3, batch_size=9),
        generator=torch.Generator().manual_seed(0), on_epoch=lambda p: losses.append(p.loss),
    )  # fmt: skip
    return {"losses": losses, "val": result.val.to_json()}


def test_a_search_by_two_is_the_search_of_one(tmp_path):
    alone = search()
    one, other = in_processes(2, search, tmp_path)
    assert one == other
    assert one["spec"] == alone["spec"]
    np.testing.assert_allclose(one["losses"], alone["losses"], rtol=1e-5)
    for ours, theirs in zip(one["alphas"], alone["alphas"], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_training_by_two_is_the_training_of_one(tmp_path):
    alone = train()
    one, other = in_processes(2, train, tmp_path)
    assert one == other
    np.testing.assert_allclose(one["losses"], alone["losses"], rtol=1e-5)
    assert one["val"]["value"] == alone["val"]["value"]


@pytest.mark.parametrize("dims", [0, 1, 2])
def test_batch_norm_over_processes_is_that_of_the_whole_batch(tmp_path, dims):
    """Outputs, gradients and running statistics, with shares of different sizes."""
    x = torch.randn(7, 3, *(5,) * dims, generator=torch.Generator().manual_seed(0))
    target = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))

    def pieces(share):
        norm = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[dims](3)
        mine = share(x).clone().requires_grad_()
        with shared_statistics():
            y = norm(mine)
        loss = ((y - share(target)) ** 3).sum()
        grads = list(torch.autograd.grad(loss, [mine, norm.weight]))
        world.add_up([grads[1]])
        rows = [world.join_rows(t.detach()) for t in (y, grads[0])]
        return [t.tolist() for t in (*rows, grads[1], norm.running_mean, norm.running_var)]

    whole = pieces(lambda t: t)
    for shared in in_processes(2, lambda: pieces(world.share), tmp_path):
        for ours, theirs in zip(shared, whole, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_scores_are_shared_out_and_the_same_everywhere(tmp_path):
    torch.manual_seed(0)
    net = nn.Linear(4, 3)
    rng = np.random.default_rng(0)
    splits = [Split(rng.standard_normal((n, 4)).astype(np.float32), np.arange(n) % 3)
              for n in (1, 11)]  # fmt: skip
    alone = [evaluate(net, split).to_json() for split in splits]
    for told in in_processes(2, lambda: [evaluate(net, s).to_json() for s in splits], tmp_path):
        for ours, theirs in zip(told, alone, strict=True):
            assert ours["value"] == theirs["value"]
            assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-6)


def test_batches_too_small_to_share_are_refused(tmp_path):
    def work():
        with pytest.raises(BadData, match="cannot be shared by 2 processes; raise --batch-size"):
            Batches(echoes(6), 1, device=torch.device("cpu"), generator=torch.Generator())
        return None

    in_processes(2, work, tmp_path)


def test_ten_bad_steps_stop_all_processes_with_the_same_layer(tmp_path):
    def work():
        split = echoes(40)
        split.X[:] = 3e38
        with pytest.raises(TrainingFailed) as caught:
            fit(
                SearchedNet("wrn1d", dims=1, in_chans=1, num_classes=2), split, split,
                Recipe(epochs=10, batch_size=8), generator=torch.Generator(),
            )  # fmt: skip
        return str(caught.value)

    one, other = in_processes(2, work, tmp_path)
    assert one == other
    assert "layer" in one


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"MASTER_ADDR": None}, "MASTER_ADDR is not; start with 'torchrun"),
        ({"RANK": None}, "WORLD_SIZE is set but RANK is not"),
        ({"RANK": "one"}, "RANK is 'one', no number"),
        ({"RANK": "5"}, "RANK is 5 of 2"),
        ({"MASTER_PORT": "99999999"}, "do not reach each other"),
    ],
)
def test_a_launch_that_cannot_work_is_refused(monkeypatch, broken, told):
    good = {
        "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1",
    }  # fmt: skip
    for name, value in {**good, **broken}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with pytest.raises(BadLaunch, match=told), world.joined(lambda: "gloo"):
        pass


def test_alone_nothing_is_exchanged():
    rows = torch.arange(5)
    assert (world.size(), world.rank(), world.is_first()) == (1, 0, True)
    assert torch.equal(world.join_rows(world.share(rows)), rows)
    assert world.by_first(lambda: 3) == world.each_by_itself(lambda: 3) == 3
    x = torch.randn(4, 3, requires_grad=True)
    with shared_statistics():
        assert torch.equal(nn.BatchNorm1d(3)(x), F.batch_norm(x, None, None, training=True))
