"""A searched network as timm's users know a model: feature maps, other channels and classes."""

import json

import pytest
import timm
import torch

import dashzoo  # noqa: F401  registers dashzoo_searched
from dashzoo_export.config import network_config
from dashzoo_export.weights import save_weights
from dashzoo_search.errors import BadBackbone
from dashzoo_search.networks import SearchedNet

FAMILIES = ("test_resnet", "test_efficientnet", "convnext_atto", "regnetx_002", "test_mambaout")
LAYERS = {
    "test_resnet": "layer2.0.conv1",
    "test_efficientnet": "blocks.1.0.conv_exp",
    "convnext_atto": "stages.1.blocks.0.conv_dw",
    "regnetx_002": "s2.b1.conv2.conv",
    "test_mambaout": "stages.1.blocks.0.conv",
}


def searched(name, dims):
    kernels = {"spec_version": 1, "dims": dims, "layers": {}}
    if name in LAYERS:
        kernels["layers"][LAYERS[name]] = {"kernel": 5, "dilation": 3}
    torch.manual_seed(0)
    return SearchedNet(name, dims=dims, in_chans=2, num_classes=3, kernels=kernels).eval()


def folder(net, path, size):
    config = network_config(net, label_names=["p", "q", "r"], size=size, provenance={})
    (path / "config.json").write_text(json.dumps(config))
    save_weights(net, path / "model.safetensors")
    return f"local-dir:{path}"


@pytest.mark.parametrize("name", FAMILIES)
def test_its_maps_are_those_timm_gives(name):
    torch.manual_seed(0)
    own = timm.create_model(name, features_only=True, in_chans=2, num_classes=3).eval()
    torch.manual_seed(0)
    args = {**SearchedNet(name, dims=2, in_chans=2, num_classes=3).model_args, "num_classes": 3}
    torch.manual_seed(0)
    net = timm.create_model("dashzoo_searched", features_only=True, **args).eval()
    # Where its class draws in another order it has the same names.
    own.load_state_dict(net.backbone.body.state_dict(), strict=False)
    x = torch.randn(1, 2, 64, 64)
    maps, expected = net(x), own(x)
    assert net.feature_info.channels() == own.feature_info.channels()
    assert net.feature_info.reduction() == own.feature_info.reduction()
    assert len(maps) == len(expected)
    for y, wanted in zip(maps, expected, strict=True):
        torch.testing.assert_close(y, wanted)


@pytest.mark.parametrize("name", [*FAMILIES, "wrn1d", "tcn", "chain1d", "wrn_16_1"])
def test_maps_of_sequences_are_sequences(name, tmp_path):
    net = searched(name, 1)
    source = folder(net, tmp_path, (64,))
    features = timm.create_model(source, pretrained=True, features_only=True).eval()
    x = torch.randn(2, 2, 64)
    maps = features(x)
    channels = features.feature_info.channels()
    axis = 2 if name == "test_mambaout" else 1
    assert [y.shape[axis] for y in maps] == channels
    assert {y.ndim for y in maps} == {3}
    last = timm.create_model(source, pretrained=True, features_only=True, out_indices=(-1,)).eval()
    (only,) = last(x)
    assert torch.equal(only, maps[-1])


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "convnext_atto"])
def test_timm_rebuilds_it_with_other_classes_and_channels(name, dims, tmp_path):
    size = (48,) * dims
    net = searched(name, dims)
    source = folder(net, tmp_path, size)
    x = torch.randn(2, 2, *size)
    again = timm.create_model(source, pretrained=True).eval()
    assert torch.equal(again(x), net(x))
    other = timm.create_model(source, pretrained=True, num_classes=7, in_chans=1).eval()
    assert other(x[:, :1]).shape == (2, 7)
    layer = f"backbone.{LAYERS[name]}.weight"
    assert torch.equal(other.state_dict()[layer], net.state_dict()[layer])
    other.reset_classifier(4)
    assert other(x[:, :1]).shape == (2, 4)
    headless = timm.create_model(source, pretrained=True, num_classes=0).eval()
    assert torch.equal(headless(x), net.forward_head(net.forward_features(x), pre_logits=True))


@pytest.mark.parametrize(
    ("name", "more", "why"),
    [
        ("fno2d", {}, "fno2d tells nothing of its levels"),
        ("hrnet_w18_small", {}, "in a module of its own"),
        ("test_resnet", {"dense": True}, "is dense"),
        ("test_resnet", {"out_indices": (5,)}, "no level 5, only 5"),
    ],
)
def test_levels_that_cannot_be_had_are_refused(name, more, why):
    with pytest.raises(BadBackbone, match=why):
        timm.create_model(
            "dashzoo_searched",
            backbone=name,
            dims=2,
            in_chans=3,
            num_classes=2,
            features_only=True,
            **more,
        )
