"""Any timm CNN for sequences, and layers the user names, from the command line to the bundle."""

import pytest
import timm
import torch

import dashzoo
from dashzoo.steps.search_plan import plan_search
from dashzoo.workfiles import SearchRecord
from dashzoo_search.errors import UnknownLayer


def test_a_pattern_that_matches_nothing_is_told_at_once(refused, sequence_file, tmp_path):
    words = ("search", str(sequence_file), "--out", str(tmp_path / "x"), "--layers", "blocks.9.*")
    message = refused(*words)
    assert "'blocks.9.*'; nearest: blocks." in message
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("how", ["layers", "exclude"])
def test_layers_are_those_the_user_names(sequence_file, tmp_path, tiny_run, how):
    for gone in ("epochs", "baseline"):
        tiny_run.pop(gone)
    epochs = tiny_run.pop("search_epochs")
    patterns = ("blocks.0.*", "blocks.2.conv3")
    spec = dashzoo.search(
        sequence_file, tmp_path / "x", epochs=epochs, **tiny_run, **{how: patterns}
    )
    named = {"blocks.0.conv1", "blocks.0.conv2", "blocks.0.conv3", "blocks.2.conv3"}
    record = SearchRecord.read(tmp_path / "x")
    if how == "layers":
        assert set(spec.layers) == named
        assert record.kept["blocks.1.conv1"].startswith("not among 'blocks.0.*'")
    else:
        assert not set(spec.layers) & named
        assert record.kept["blocks.2.conv3"] == "excluded by 'blocks.2.conv3'"
    assert set(record.supernet(tmp_path / "x", record.task(tmp_path / "x")).layers) == set(
        spec.layers
    )


def test_a_timm_cnn_serves_sequences_from_data_to_bundle(sequence_file, tmp_path, tiny_run):
    tiny_run.pop("backbone_args")
    out = dashzoo.run(sequence_file, tmp_path / "x", backbone="test_resnet", **tiny_run)
    net = dashzoo.load(out)
    again = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
    x = torch.randn(2, 2, 30)
    assert again(x).shape == (2, 3)
    torch.testing.assert_close(again(x), net(x))


def test_the_options_reach_the_plan(sequence_file, tmp_path):
    plan = plan_search(sequence_file, tmp_path / "x", layers=("blocks.0.*",), threads=1)
    assert plan.network.rule.layers == ("blocks.0.*",)
    assert plan.identity("search")["backbone"]["layers"] == ["blocks.0.*"]
    with pytest.raises(UnknownLayer):
        plan_search(sequence_file, tmp_path / "x", exclude=("conv",), threads=1)
