"""Mean and standard deviation, by channel and by position; coordinates; physical units."""

import numpy as np
import pytest
import timm
import torch

from dashzoo_search.networks import SearchedNet
from dashzoo_search.networks.moments import Moments
from dashzoo_search.networks.postprocess import Postprocess
from dashzoo_search.networks.preprocess import Preprocess
from dashzoo_search.plan import Network, build_network
from dashzoo_search.rows import Rows
from dashzoo_search.tasks.task import make_task


def fields(n=40, channels=2, size=(5, 6), seed=0):
    """Every position with a mean and scale of its own; zero on the boundary."""
    rng = np.random.default_rng(seed)
    y = rng.normal(
        rng.normal(0, 5, (channels, *size)),
        rng.uniform(1, 9, (channels, *size)),
        (n, channels, *size),
    )
    y[:, :, 0] = y[..., -1] = 0
    return y.astype(np.float32)


@pytest.mark.parametrize("size", [(), (5, 6)])
def test_moments_are_those_of_numpy_read_in_blocks(size, monkeypatch):
    monkeypatch.setattr("dashzoo_search.rows.BLOCK_BYTES", 1000)
    y = fields()
    axes = (0,) if size else (0, 2, 3)
    for array in (y, Rows.of(y)):
        moments = Moments(2, size)
        moments.fit(array)
        wide = y.astype(np.float64)
        np.testing.assert_allclose(moments.mean, wide.mean(axes), rtol=1e-5, atol=1e-6)
        moved = wide.std(axes) > 0
        np.testing.assert_allclose(moments.std[moved], wide.std(axes)[moved], rtol=1e-5)
        assert (moments.std[~moved] == 1).all()


def test_outputs_by_position_are_in_the_targets_units_and_the_boundary_exact():
    y = torch.from_numpy(fields())
    post = Postprocess(2, (5, 6))
    post.fit(y.numpy())
    out = post(torch.randn(4000, 2, 5, 6))
    assert (out[:, :, 0] == 0).all()
    assert (out[..., -1] == 0).all()
    inside = (slice(None), slice(1, None), slice(None, -1))
    scale = y.std(0)[inside]
    assert ((out.mean(0) - y.mean(0))[inside].abs() < 0.1 * scale).all()
    assert (out.std(0)[inside] / scale - 1).abs().max() < 0.1


def test_outputs_by_channel():
    y = np.random.default_rng(0).normal([3.0, -50.0], [1.0, 20.0], (500, 2)).astype(np.float32)
    post = Postprocess(2)
    post.fit(y)
    out = post(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(out, [y.mean(0), y.mean(0) + y.std(0)], rtol=1e-4)


def test_samples_by_position():
    x = fields(channels=1)
    pre = Preprocess(1, 2, size=(5, 6))
    pre.fit(x)
    out = pre(torch.from_numpy(x))
    torch.testing.assert_close(out.mean(0), torch.zeros(1, 5, 6), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        out.std(0, correction=0)[0, 1:, :-1], torch.ones(4, 5), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("size", [(30,), (5, 6)])
def test_samples_by_themselves(size):
    rng = np.random.default_rng(0)
    x = (
        rng.standard_normal((4, 2, *size))
        * np.array([1e-4, 1.0, 1e3, 1e-3])[:, None, *(None,) * len(size)]
    )
    x = (x + 5 * np.abs(x).max((1, *range(2, x.ndim)), keepdims=True)).astype(np.float32)
    x[3, 1] = 1 / 3
    pre = Preprocess(2, len(size), per_sample=True)
    before = {name: value.clone() for name, value in pre.state_dict().items()}
    pre.fit(x)
    assert all(torch.equal(value, before[name]) for name, value in pre.state_dict().items())
    out = pre(torch.from_numpy(x)).flatten(2)
    torch.testing.assert_close(out.mean(2), torch.zeros(4, 2), atol=1e-3, rtol=0)
    spread = torch.ones(4, 2)
    spread[3, 1] = 0
    torch.testing.assert_close(out.std(2, correction=0), spread, atol=1e-3, rtol=0)
    again = pre(torch.from_numpy(7 * x)).flatten(2)
    torch.testing.assert_close(again, out, atol=1e-3, rtol=0)


def test_coordinates_are_the_last_channels():
    out = Preprocess(1, 2, coords=True)(torch.zeros(2, 1, 3, 5))
    assert out.shape == (2, 3, 3, 5)
    assert out[1, 1].tolist() == [[-1.0] * 5, [0.0] * 5, [1.0] * 5]
    assert out[1, 2].tolist() == [[-1.0, -0.5, 0.0, 0.5, 1.0]] * 3
    out = Preprocess(1, 1, coords=True)(torch.zeros(2, 1, 3))
    assert out[0].tolist() == [[[0.0, 0.0, 0.0]], [[-1.0, 0.0, 1.0]]]


def task(n, kind):
    rng = np.random.default_rng(0)

    def pair(count):
        X = rng.normal(size=(count, 1, 7)).astype(np.float32)
        targets = {
            "dense_regression": 100 + 10 * X,
            "regression": 100 + 10 * X.mean(2),
            "dense_labels": (X[:, 0] > 0).astype(np.int64),
            "classification": (X[:, 0, 0] > 0).astype(np.int64),
        }
        return X, targets[kind]

    return make_task(
        "t", kind=kind, train=pair(n), val=pair(4), test=pair(4), seed=0, source="made"
    )


@pytest.mark.parametrize(
    ("n", "kind", "norm", "shape"),
    [
        (300, "dense_regression", None, (1, 7)),
        (100, "dense_regression", None, (1,)),
        (300, "dense_regression", "channel", (1,)),
        (100, "dense_regression", "position", (1, 7)),
        (300, "regression", None, (1,)),
        (300, "dense_labels", None, None),
        (300, "classification", "channel", None),
    ],
)
def test_what_a_task_is_normalised_by(n, kind, norm, shape):
    plan = Network(backbone="wrn1d", args={"width": 2}, output_norm=norm, coords=True)
    assert Network.from_json(plan.to_json()) == plan
    net = build_network(plan, task(n, kind)).eval()
    if shape is None:
        assert len(list(net.postprocess.buffers())) == 0
    else:
        assert net.postprocess.mean.shape == shape
        assert 95 < net.postprocess.mean.mean() < 105
        assert net(torch.randn(8, 1, 7)).mean() > 50
    again = timm.create_model("dashzoo_searched", num_classes=net.num_classes, **net.model_args)
    again.load_state_dict(net.state_dict())
    x = torch.randn(2, 1, 7)
    assert torch.equal(again.eval()(x), net(x))


def test_plans_of_older_records_are_read():
    assert Network.from_json({"name": "wrn1d", "args": {}, "resize": None}) == Network(
        backbone="wrn1d"
    )


def test_a_fresh_classifier_comes_with_fresh_units():
    net = SearchedNet("wrn1d", dims=1, in_chans=1, num_classes=2, output_norm="channel").eval()
    net.reset_classifier(3)
    assert net(torch.zeros(1, 1, 9)).shape == (1, 3)
    net.reset_classifier(0)
    assert net(torch.zeros(1, 1, 9)).shape == (1, net.num_features)
