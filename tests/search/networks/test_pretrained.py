"""Backbones that start from weights timm has, here from a file."""

import pytest
import timm
import torch
from timm.models import load_state_dict

from dashzoo_search.errors import BadBackbone
from dashzoo_search.networks import SearchedNet, create_backbone
from dashzoo_search.spec import Choice, KernelSpec, SearchSpace
from dashzoo_search.supernet import build_supernet

SPACE = SearchSpace(kernels=(3, 5), dilations=(1, 2))
OWN = Choice.cube(3, 1, dims=2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "resnet.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    return path


def backbone(weights, dims=2, **more):
    return create_backbone(
        "test_resnet", dims=dims, in_chans=3, num_classes=5, pretrained=weights, **more
    )


def test_it_starts_from_the_file(weights):
    state = load_state_dict(str(weights))
    net = backbone(weights)
    assert torch.equal(net.layer1[0].conv1.weight, state["layer1.0.conv1.weight"])
    sequences = backbone(weights, dims=1)
    assert torch.equal(
        sequences.layer1[0].conv1.weight, state["layer1.0.conv1.weight"].sum(2, keepdim=True)
    )
    dense = backbone(weights, dense=True)
    assert torch.equal(dense.encoder.layer1[0].conv1.weight, state["layer1.0.conv1.weight"])


def test_weights_that_cannot_be_had_are_refused(tmp_path):
    with pytest.raises(BadBackbone, match="test_resnet has no such weights"):
        backbone(tmp_path / "none.pth")
    with pytest.raises(BadBackbone, match="wrn1d has no such weights"):
        create_backbone("wrn1d", dims=1, in_chans=3, num_classes=5, pretrained=True)


def test_layers_of_another_kernel_keep_their_own(weights):
    spec = KernelSpec(
        dims=2,
        layers={
            "layer1.0.conv1": Choice.cube(3, 2, dims=2),
            "layer2.0.conv1": Choice.cube(5, 1, dims=2),
            "layer1.0.conv2": OWN,
        },
    )
    net = SearchedNet("test_resnet", dims=2, in_chans=3, num_classes=5, kernels=spec)
    before = {k: v.clone() for k, v in net.backbone.state_dict().items()}
    source = backbone(weights)
    net.adopt(source)
    after = net.backbone.state_dict()
    for name, tensor in source.state_dict().items():
        changed = name.startswith(("layer1.0.conv1.", "layer2.0.conv1."))
        assert torch.equal(after[name], before[name] if changed else tensor)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize(
    ("kind", "how"), [("paths", "separate"), ("mixture", "separate"), ("mixture", "shared")]
)
def test_the_choice_that_is_the_original_kernel_starts_as_it(weights, kind, how, dims):
    net = SearchedNet("test_resnet", dims=dims, in_chans=3, num_classes=5).eval()
    net.adopt(backbone(weights, dims=dims))
    x = torch.randn(2, 3, *(64,) * dims)
    expected = net(x)
    supernet = build_supernet(
        net, SPACE, (64,) * dims, kind=kind, weights=how, keep_weights=True
    ).eval()
    own = Choice.cube(3, 1, dims=dims)
    for name, layer in supernet.layers.items():
        layer.select(supernet.choices(name).index(own))
    torch.testing.assert_close(supernet(x), expected, atol=1e-5, rtol=1e-4)
    if kind == "paths":  # a larger kernel of that dilation is the same function at first
        for name, layer in supernet.layers.items():
            if (larger := Choice.cube(5, 1, dims=dims)) in supernet.choices(name):
                layer.select(supernet.choices(name).index(larger))
        torch.testing.assert_close(supernet(x), expected, atol=1e-5, rtol=1e-4)
