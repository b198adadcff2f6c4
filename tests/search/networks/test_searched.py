"""The searched network, its preprocessing, and timm's view of it."""

import json

import numpy as np
import pytest
import timm
import torch

from dashzoo_search.errors import BadSpec
from dashzoo_search.networks import SearchedNet
from dashzoo_search.networks.preprocess import Preprocess

KERNELS = {"spec_version": 1, "dims": 1, "layers": {"blocks.0.conv1": {"kernel": 5, "dilation": 2}}}


def tiny(**kwargs):
    torch.manual_seed(0)
    args = {"backbone_args": {"width": 4}, "kernels": KERNELS} | kwargs
    return SearchedNet("wrn1d", dims=1, in_chans=2, num_classes=3, **args).eval()


def test_sequences_in_scores_out_at_any_length():
    net = tiny()
    for length in (1, 7, 64):
        assert net(torch.randn(3, 2, length)).shape == (3, 3)


def test_features_and_head_make_the_whole():
    net, x = tiny(), torch.randn(3, 2, 20)
    assert torch.equal(net.forward_head(net.forward_features(x)), net(x))
    assert net.forward_head(net.forward_features(x), pre_logits=True).shape == (3, net.num_features)


def test_reset_classifier():
    net = tiny()
    net.reset_classifier(7)
    assert net(torch.randn(1, 2, 20)).shape == (1, 7)
    assert net.get_classifier().out_features == 7
    net.reset_classifier(0)
    assert net(torch.randn(1, 2, 20)).shape == (1, net.num_features)


def test_model_args_are_json_and_rebuild_the_network():
    net = tiny()
    args = json.loads(json.dumps(net.model_args))
    again = timm.create_model("dashzoo_searched", num_classes=3, **args).eval()
    again.load_state_dict(net.state_dict())
    x = torch.randn(2, 2, 31)
    assert torch.equal(again(x), net(x))


def test_a_spec_of_other_dims_is_refused():
    with pytest.raises(BadSpec):
        tiny(kernels={**KERNELS, "dims": 2})


@pytest.mark.parametrize("shape", [(50, 3, 17), (50, 3, 9, 11)])
def test_normalisation_is_that_of_the_fitted_data(shape):
    scale = np.array([1, 10, 100]).reshape(3, *(1,) * (len(shape) - 2))
    X = (np.random.default_rng(0).normal(5, 3, shape) * scale).astype(np.float32)
    layer = Preprocess(3, len(shape) - 2)
    layer.fit(X)
    y = layer(torch.from_numpy(X))
    assert y.ndim == 4
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_a_constant_channel_is_centred_and_not_blown_up():
    X = np.full((10, 1, 8), 7.0, np.float32)
    layer = Preprocess(1, 1)
    layer.fit(X)
    assert torch.equal(layer(torch.from_numpy(X)), torch.zeros(10, 1, 1, 8))


def test_resize_is_part_of_the_network():
    net = SearchedNet("test_resnet", dims=2, in_chans=1, num_classes=2, resize=32).eval()
    seen = []
    net.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    net(torch.zeros(2, 1, 8, 8))
    assert seen == [(2, 1, 32, 32)]
    assert net.model_args["resize"] == 32
