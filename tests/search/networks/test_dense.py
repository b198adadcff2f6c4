"""Outputs for every position: on our own backbones, and by a decoder on any other."""

import json

import numpy as np
import pytest
import timm
import torch
from torch import nn

import dashzoo  # noqa: F401  registers dashzoo_searched
from dashzoo_export.config import network_config, read_config
from dashzoo_export.onnx import to_onnx
from dashzoo_export.parity import TOLERANCES, compare
from dashzoo_export.session import open_session
from dashzoo_export.weights import save_weights
from dashzoo_search.budget.receptive import receptive_field, windows
from dashzoo_search.derive import derive
from dashzoo_search.errors import BadBackbone
from dashzoo_search.fold import fold
from dashzoo_search.networks import SearchedNet, create_backbone
from dashzoo_search.networks.convs import conv_layers
from dashzoo_search.networks.decoder import _feature_channels
from dashzoo_search.spec import SearchSpace
from dashzoo_search.supernet import build_supernet

FAMILIES = (
    "resnet18",
    "convnext_atto",
    "mobilenetv3_small_050",
    "test_efficientnet",
    "regnetx_002",
)
OWN_IMAGES = ("chain2d", "fno2d", "wrn_16_1")
OWN_SEQUENCES = ("chain1d", "fno1d", "tcn", "wrn1d")
SPACE = SearchSpace(kernels=(3, 5), dilations=(1, 2))


def dense(name, dims=2, **kwargs):
    torch.manual_seed(0)
    return SearchedNet(name, dims=dims, in_chans=2, num_classes=3, dense=True, **kwargs).eval()


@pytest.mark.parametrize("name", [*OWN_IMAGES, *FAMILIES])
def test_images_keep_their_size(name):
    net = dense(name)
    for size in ((33, 40), (32, 47)):
        assert net(torch.randn(2, 2, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize("name", [*OWN_SEQUENCES, "wrn_16_1", "test_resnet", "regnetx_002"])
def test_sequences_keep_their_length(name):
    net = dense(name, dims=1)
    for length in (1, 16, 51):
        assert net(torch.randn(2, 2, length)).shape == (2, 3, length)


@pytest.mark.parametrize("name", ["wrn_16_1", "resnet18"])
def test_features_and_head_make_the_whole(name):
    net, x = dense(name), torch.randn(1, 2, 21, 24)
    features = net.forward_features(x)
    assert features.shape == (1, net.num_features, 21, 24)
    assert torch.equal(net.forward_head(features), net(x))
    net.reset_classifier(5)
    assert net(x).shape == (1, 5, 21, 24)


@pytest.mark.parametrize("name", [*OWN_IMAGES, "resnet18", "mobilenetv3_small_050"])
def test_every_weight_is_trained(name):
    net = dense(name).train()
    net(torch.randn(2, 2, 40, 40)).square().sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []


def test_our_own_have_no_strides():
    strides = {m.stride for m in dense("wrn_16_1").modules() if isinstance(m, nn.Conv2d)}
    assert strides == {(1, 1)}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("vit_tiny_patch16_224", "224"),
        ("mambaout_femto", r"\[2, 48, 64, 48\]"),  # channels last
    ],
)
def test_a_backbone_without_feature_maps_is_refused(name, why):
    with pytest.raises(BadBackbone, match=f"no feature maps.*{why}.*take another"):
        dense(name)


def test_tokens_are_no_feature_map():
    tokens = nn.Module()
    tokens.forward = lambda x: [x.flatten(2)]
    with pytest.raises(ValueError, match=r"\[2, 1, 49152\]"):
        _feature_channels(tokens, 1)


def test_a_model_that_tells_no_levels_is_decoded_from_its_last_features(monkeypatch):
    create = timm.create_model

    def without_levels(name, **kwargs):
        if kwargs.get("features_only"):
            raise AttributeError("feature_info")
        return create(name, **kwargs)

    monkeypatch.setattr(timm, "create_model", without_levels)
    net = dense("test_resnet")
    assert len(net.backbone.decoder.levels) == 1
    assert net(torch.randn(1, 2, 33, 40)).shape == (1, 3, 33, 40)


def test_options_that_do_not_go_together_are_refused():
    with pytest.raises(BadBackbone, match="leave resize out"):
        dense("wrn_16_1", resize=32)
    with pytest.raises(BadBackbone, match="give size"):
        dense("wrn_16_1", output_norm="position")
    with pytest.raises(BadBackbone, match="dense is no argument"):
        create_backbone("wrn1d", dims=1, in_chans=1, num_classes=2, args={"dense": True})


def test_the_decoder_is_not_searched():
    net = dense("resnet18")
    layers = {
        layer.name: layer for layer in conv_layers(net.backbone, torch.zeros(1, 2, 40, 40), dims=2)
    }
    assert layers["decoder.conv"].reason == "in the decoder"
    assert layers["encoder.layer1.0.conv1"].reason == ""
    assert sum(not layer.reason for layer in layers.values()) == 17


@pytest.mark.parametrize(
    ("name", "dims", "size"),
    [
        ("wrn1d", 1, (24,)),
        ("wrn_16_1", 2, (15, 16)),
        ("test_convnext", 2, (33, 40)),
        ("test_convnext", 1, (130,)),
    ],
)
def test_a_dense_supernet_folds_to_what_it_computes(name, dims, size):
    args = {"backbone_args": {"width": 4}} if name == "wrn1d" else {}
    net = dense(name, dims=dims, output_norm="position", size=size, coords=True, **args)
    net.fit_norms(
        np.random.default_rng(0).normal(2, 3, (6, 2, *size)).astype(np.float32),
        np.random.default_rng(1).normal(5, 2, (6, 3, *size)).astype(np.float32),
    )
    supernet = build_supernet(net, SPACE, size).eval()
    for layer in supernet.layers.values():
        layer.alpha.data.normal_()
    spec = derive(supernet).spec
    folded = fold(supernet, spec)
    x = torch.randn(2, 2, *size)
    y = folded(x)
    assert y.shape == (2, 3, *size)
    torch.testing.assert_close(y, supernet(x), atol=1e-4, rtol=1e-4)
    assert len(spec.layers) == len(supernet.layers) >= 3


@pytest.mark.parametrize(
    ("name", "dims", "size"),
    [
        ("test_resnet", 2, (33, 40)),
        ("fno2d", 2, (12, 15)),
        *(pytest.param(name, 2, (33, 40), marks=pytest.mark.slow) for name in FAMILIES),
        *(pytest.param(name, 2, (12, 15), marks=pytest.mark.slow) for name in OWN_IMAGES),
        *(pytest.param(name, 1, (21,), marks=pytest.mark.slow) for name in OWN_SEQUENCES),
        *(pytest.param(name, 1, (130,), marks=pytest.mark.slow) for name in FAMILIES),
    ],
)
def test_the_onnx_file_computes_the_same(name, dims, size):
    net = dense(name, dims=dims, output_norm="position", size=size, coords=True)
    with torch.no_grad():
        net.postprocess.mean.normal_(5)
        net.postprocess.std.uniform_(1, 2)
    session = open_session(to_onnx(net, size=size).SerializeToString(), threads=1)
    x = np.random.default_rng(0).standard_normal((3, 2, *size)).astype(np.float32)
    with torch.inference_mode():
        expected = net(torch.from_numpy(x)).numpy()
    compare(expected, session.run(None, {"input": x})[0], TOLERANCES["fp32"], what=name)


@pytest.mark.parametrize(
    ("name", "dims", "size"), [("test_resnet", 2, (33, 40)), ("wrn1d", 1, (20,))]
)
def test_timm_rebuilds_it_from_its_folder(tmp_path, name, dims, size):
    net = dense(name, dims=dims, coords=True, output_norm="position", size=size)
    with torch.no_grad():
        net.postprocess.std.uniform_(1, 2)
    config = network_config(net, label_names=["p", "q", "r"], size=size, provenance={})
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_weights(net, tmp_path / "model.safetensors")
    x = torch.randn(2, 2, *size)
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert torch.equal(again(x), net(x))
    other = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, num_classes=5).eval()
    assert other(x).shape == (2, 5, *size)
    built = read_config(tmp_path).build()
    assert built.model_args == net.model_args


def test_receptive_field_of_a_dense_network_is_that_of_its_kernels():
    net = dense("wrn_16_1")
    planes = net.preprocess(torch.zeros(1, 2, 31, 31))
    assert receptive_field(windows(net.backbone, planes)) == 1 + 13 * 2
    tcn = dense("tcn", dims=1, backbone_args={"depth": 3})
    planes = tcn.preprocess(torch.zeros(1, 2, 64))
    assert receptive_field(windows(tcn.backbone, planes)) == 1 + 4 * (2**3 - 1)
