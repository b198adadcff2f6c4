"""model.safetensors: round trip, and files that lie."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from dashzoo_export.weights import load_weights, save_weights
from dashzoo_search.errors import BadBundle


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))


def test_round_trip_is_bit_for_bit(tmp_path):
    a, b = net(), net()
    torch.nn.init.ones_(b[0].weight)
    save_weights(a, tmp_path / "w.safetensors")
    load_weights(b, tmp_path / "w.safetensors")
    for name, tensor in a.state_dict().items():
        assert torch.equal(tensor, b.state_dict()[name])


def corrupt(state, how):
    state = dict(state)
    if how == "missing":
        del state["0.bias"]
    elif how == "extra":
        state["payload"] = torch.zeros(3)
    elif how == "shape":
        state["0.bias"] = torch.zeros(4)
    elif how == "dtype":
        state["0.bias"] = state["0.bias"].double()
    elif how == "nan":
        state["0.bias"] = torch.full((3,), float("nan"))
    return state


@pytest.mark.parametrize("how", ["missing", "extra", "shape", "dtype", "nan"])
def test_tensors_that_do_not_fit_are_named(tmp_path, how):
    path = tmp_path / "w.safetensors"
    save_weights(net(), path)
    save_file(corrupt(load_file(path), how), path)
    target = net()
    before = {k: v.clone() for k, v in target.state_dict().items()}
    with pytest.raises(BadBundle) as caught:
        load_weights(target, path)
    assert caught.value.field == ("payload" if how == "extra" else "0.bias")
    assert all(torch.equal(v, before[k]) for k, v in target.state_dict().items())


@pytest.mark.parametrize("cut", [0, 5, 100, -1])
def test_damaged_files_are_refused(tmp_path, cut):
    path = tmp_path / "w.safetensors"
    save_weights(net(), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BadBundle, match="damaged"):
        load_weights(net(), path)


def test_a_pickle_is_not_loaded(tmp_path):
    torch.save(net().state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(BadBundle):
        load_weights(net(), tmp_path / "w.safetensors")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadBundle, match="missing"):
        load_weights(net(), tmp_path / "w.safetensors")
